"""The fake quantizers called on arrays, for the tests of them."""

import conv_oracle
import numpy as np
import pytest
from mindspore import Tensor

from common.kernels import native_available
from common.kernels.fake_quant import CodebookQuantize, UniformQuantize

KINDS = [pytest.param(True, id="native"), pytest.param(False, id="fallback")]
CLIP = np.float32(2.7)


def needs_compiler(native):
    if native and not native_available():
        pytest.skip("needs a C++ compiler")


def zeros(count):
    return np.zeros(count, np.float32)


def uniform(x, bits, clip, gy=None, native=None, learned_step=True, probe=None):
    """Output; with ``gy`` also the gradients for x, clip and probe."""
    needs_compiler(native)
    bits, cell = np.asarray(bits, np.int32), UniformQuantize(learned_step, native)
    inputs = x, bits, np.full(1, clip, np.float32), zeros(len(bits)) if probe is None else probe
    if gy is None:
        return cell(*map(Tensor, inputs)).asnumpy()
    y, gx, gbits, gclip, gprobe = conv_oracle.run(cell, inputs, gy)
    assert not gbits.any()
    return y, gx, gclip, gprobe


def table(w, bits, scale, levels, gy=None, native=None, probe=None):
    """Output; with ``gy`` also the gradients for w and probe."""
    needs_compiler(native)
    cell = CodebookQuantize(native)
    inputs = w, np.asarray(bits, np.int32), scale, levels, zeros(len(bits)) if probe is None else probe
    if gy is None:
        return cell(*map(Tensor, inputs)).asnumpy()
    y, gw, *_, gprobe = conv_oracle.run(cell, inputs, gy)
    return y, gw, gprobe
