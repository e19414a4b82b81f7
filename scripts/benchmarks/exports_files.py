"""ONNX files of ResNet-20s for the benchmark of exports: float, as the stock tool quantizes it, and of the methods."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

FLOAT, STOCK = "float", "int8, onnxruntime's tool"
EXACT, FAST = "exact", "fast"
# By name: method, settings, and the forms that it has.
NETWORKS: Mapping[str, tuple[str, Mapping[str, Any], tuple[str, ...]]] = {
    "ProQHA W4A4": ("ProQHA", {"bits": 4}, (EXACT, FAST)),
    "LDNQ ternary": ("LDNQ", {"levels": 3, "act_bits": None}, (EXACT, FAST)),
    "LDNQ ternary A8": ("LDNQ", {"levels": 3, "act_bits": 8}, (EXACT, FAST)),
    "DynamicQuant static 4": ("DynamicQuant", {"bits": 4, "static": True}, (EXACT, FAST)),
    "DAMBQ int8 W2A2": ("DAMBQ", {"bits": 2, "table": "int8"}, (FAST,)),
}
FILES = {f"{name} {form}": (name, form) for name, (*_, forms) in NETWORKS.items() for form in forms}
WITHOUT = {
    "AdderQuant": "no operator of ONNX sums absolute differences over a window",
    "DAMBQ v2": "its levels are no 8-bit integers; table int8 rounds them",
    "DynamicQuant dynamic": "each image chooses the bits of each layer",
}
NETWORK, SIDE = "resnet20", 32
_CLASSES, _CALIBRATION = 10, 64


def content(candidate: str) -> bytes:
    """The file of ``FLOAT``, ``STOCK`` or one of ``FILES``, with random weights."""
    if candidate == FLOAT:
        return _float()
    if candidate == STOCK:
        from benchmarks.stock_int8 import stock_int8

        return stock_int8(_float(), _CALIBRATION, SIDE)
    name, form = FILES[candidate]
    return (_fast if form == FAST else _exact)(name)


def _float() -> bytes:
    from common.export import onnx_model
    from common.models.registry import model

    with _portable():
        return onnx_model.encode(model(NETWORK).build(_CLASSES), SIDE, _CLASSES)


def _exact(name: str) -> bytes:
    from benchmarks.engine_networks import quantized
    from common.export import onnx_model

    method, settings, _ = NETWORKS[name]
    with _portable():
        cell, layers = quantized(method, NETWORK, SIDE, **settings)
        return onnx_model.encode(cell, SIDE, _CLASSES, integers=layers)


def _fast(name: str) -> bytes:
    from benchmarks.engine_networks import description
    from common.export import onnx_fast

    method, settings, _ = NETWORKS[name]
    images = np.random.default_rng(0).normal(size=(_CALIBRATION, 3, SIDE, SIDE)).astype(np.float32)
    described = description(method, NETWORK, SIDE, **settings)
    return onnx_fast.encode_description(described, images, _CLASSES, {}).content


@contextlib.contextmanager
def _portable() -> Iterator[None]:
    """Cells of MindSpore's own operators."""
    from common.kernels.custom import without_native
    from common.runtime import context

    with without_native(), context.execution_mode("pynative"):
        yield
