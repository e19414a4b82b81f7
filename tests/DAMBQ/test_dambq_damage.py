"""Files that do not fit are refused in one line."""

import numpy as np
import pytest
from dambq_tiny import quantized

from common import checkpoint
from common.errors import CheckpointError
from DAMBQ import packing, storage

pytestmark = pytest.mark.usefixtures("user_model")


def changed(path, tensors=None, metadata=None, packed=None) -> None:
    """Write a packed file with some tensors and metadata replaced; None drops them."""
    found, layout = packing.pack((stored := quantized()).network)
    found = {name: value for name, value in {**found, **(tensors or {})}.items() if value is not None}
    about = {**stored.metadata, "kind": "packed", **(metadata or {})}
    about = {name: value for name, value in about.items() if value is not None}
    layout = {name: bits for name, bits in {**layout, **(packed or {})}.items() if name in found and bits}
    checkpoint.save(path, found, about, layout)


def refused(path, expected: str, read=storage.load, **options) -> None:
    with pytest.raises(CheckpointError, match=expected) as caught:
        read(path, **options)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


def packed_tensor(name: str) -> np.ndarray:
    return packing.pack(quantized().network)[0][name]


PACKED = ["codes_1", "codes_4", "weight_bits", "input_bits", "scales", "clips", "ends", "end_scales"]


def test_an_unchanged_file_is_taken(tmp_path):
    changed(tmp_path / "net.ckpt")
    assert storage.load(tmp_path / "net.ckpt").kind == "packed"


@pytest.mark.parametrize("name", [*PACKED, "stem.bias", "body.2.0.moving_variance"])
def test_a_missing_tensor_is_refused(tmp_path, name):
    changed(tmp_path / "net.ckpt", {name: None})
    refused(tmp_path / "net.ckpt", "packed tensors|1 missing")


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("length", [-1, 1], ids=["short", "long"])
def test_too_few_and_too_many_values_are_refused(tmp_path, name, length):
    value = packed_tensor(name)
    changed(tmp_path / "net.ckpt", {name: value[:-1] if length < 0 else np.append(value, value[:1])})
    refused(tmp_path / "net.ckpt", "too few values|left over")


def with_first(name: str, value) -> np.ndarray:
    found = packed_tensor(name).copy()
    found[0] = value
    return found


@pytest.mark.parametrize(
    ("tensors", "packed"),
    [
        (lambda: {"other": np.ones(3, np.float32)}, {}),
        (lambda: {"codes_5": np.ones(3, np.uint8)}, {"codes_5": 5}),
        (lambda: {"codes_2": packed_tensor("codes_2").astype(np.float32)}, {"codes_2": 0}),
        (lambda: {"codes_1": with_first("codes_1", 5)}, {"codes_1": 3}),
        (lambda: {"weight_bits": with_first("weight_bits", 7)}, {}),
        (lambda: {"input_bits": with_first("input_bits", 7)}, {}),
        (lambda: {"scales": with_first("scales", np.nan)}, {}),
        (lambda: {"clips": with_first("clips", np.inf)}, {}),
        (lambda: {"last.bias": np.zeros(6, np.float32)}, {}),
    ],
    ids=["other", "5 bits", "float codes", "no level", "7 weight bits", "7 input bits", "scale", "clip", "bias"],
)
def test_tensors_that_make_no_sense_are_refused(tmp_path, tensors, packed):
    changed(tmp_path / "net.ckpt", tensors(), packed=packed)
    refused(tmp_path / "net.ckpt", "expected|not one of this network")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"network": "resnet20"}, "packed tensors"),
        ({"network": "ResNet99"}, "expected a float, quantized, packed network"),
        ({"network": None}, "expected a float, quantized, packed network"),
        ({"kind": "odd"}, "expected a float, quantized, packed network"),
        ({"kind": "float"}, "not one of this network"),
        ({"kind": "quantized"}, "not one of this network"),
        ({"method": "LDNQ"}, "expected method DAMBQ"),
        ({"num_classes": 6}, "packed tensors"),
        ({"num_classes": None}, "num_classes"),
        ({"settings": None}, "settings"),
        ({"settings": {"bits": 9}}, "settings"),
        ({"settings": {"table": "v3"}}, "settings"),
        ({"settings": {"colour": 1}}, "settings"),
        ({"settings": [4]}, "settings"),
    ],
)
def test_metadata_of_something_else_is_refused(tmp_path, metadata, expected):
    changed(tmp_path / "net.ckpt", metadata=metadata)
    refused(tmp_path / "net.ckpt", expected)
