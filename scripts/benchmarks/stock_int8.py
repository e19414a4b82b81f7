"""The 8-bit network that onnxruntime's own tool makes of a float one, calibrated on random images."""

import tempfile
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class _Images(CalibrationDataReader):
    """A few batches of random images."""

    def __init__(self, shape: tuple[int, ...], count: int = 2):
        rng = np.random.default_rng(0)
        self.batches = iter([{"images": rng.normal(size=shape).astype(np.float32)} for _ in range(count)])

    def get_next(self):
        return next(self.batches, None)


def stock_int8(content: bytes, batch_size: int, side: int) -> bytes:
    """Unsigned activations and signed weights of each channel (QDQ), as an ONNX file's content.

    Args:
        content: the float network's file, of an input ``images``.
        batch_size: images that it is calibrated on at once.
        side: height and width of an image.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.onnx" for name in ("float", "prepared", "int8")]
        paths[0].write_bytes(content)
        quant_pre_process(paths[0], paths[1], skip_symbolic_shape=True)
        quantize_static(
            paths[1],
            paths[2],
            _Images((batch_size, 3, side, side)),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        return paths[2].read_bytes()
