"""Forward passes of 8-bit networks in onnxruntime and OpenVINO; run in the peers' environment.

Both read one file: the float network, quantized by onnxruntime's own tool to unsigned activations and signed weights of
each channel (QDQ), calibrated on random images as they are timed.
"""

import numpy as np

from benchmarks.runtime_sessions import onnxruntime_session, openvino_request
from benchmarks.runtime_steps import exported
from benchmarks.stock_int8 import stock_int8


def quantized(network: str, batch_size: int, side: int) -> bytes:
    """An 8-bit network as an ONNX file's content."""
    return stock_int8(exported(network, batch_size, side)[0], batch_size, side)


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
