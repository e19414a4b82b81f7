"""Forward passes of 8-bit networks in onnxruntime and OpenVINO; run in the peers' environment.

Both read one file: the float network, quantized by onnxruntime's own tool to unsigned activations and signed weights of
each channel (QDQ), calibrated on random images as they are timed.
"""

import tempfile
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.runtime_steps import exported, onnxruntime_session, openvino_request


class _Images(CalibrationDataReader):
    """A few batches of random images."""

    def __init__(self, shape: tuple[int, ...], count: int = 2):
        rng = np.random.default_rng(0)
        self.batches = iter([{"images": rng.normal(size=shape).astype(np.float32)} for _ in range(count)])

    def get_next(self):
        return next(self.batches, None)


def quantized(network: str, batch_size: int, side: int) -> bytes:
    """An 8-bit network as an ONNX file's content."""
    content, images = exported(network, batch_size, side)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.onnx" for name in ("float", "prepared", "int8")]
        paths[0].write_bytes(content)
        quant_pre_process(paths[0], paths[1], skip_symbolic_shape=True)
        quantize_static(
            paths[1],
            paths[2],
            _Images(tuple(images.shape)),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        return paths[2].read_bytes()


def onnxruntime_step(network: str, batch_size: int, side: int, threads: int, **_):
    """The forward pass in onnxruntime."""
    session, images = onnxruntime_session(quantized(network, batch_size, side), threads), _images(batch_size, side)
    return lambda: session.run(None, {"images": images})[0]


def openvino_step(network: str, batch_size: int, side: int, threads: int, **_):
    """The forward pass in OpenVINO."""
    request, images = openvino_request(quantized(network, batch_size, side), threads), _images(batch_size, side)
    return lambda: request.infer({"images": images})["logits"]


def _images(batch_size: int, side: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(batch_size, 3, side, side)).astype(np.float32)
