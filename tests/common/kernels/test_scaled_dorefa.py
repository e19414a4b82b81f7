"""DoReFa weights at several widths in one pass: against NumPy, with pruned weights and dead channels."""

import conv_oracle
import numpy as np
import pytest
from fake_quant_calls import KINDS, needs_compiler
from mindspore import Tensor
from test_dorefa import gradient

from common.kernels.dorefa import NativeDoReFaWeights
from common.quant.dorefa import ScaledDoReFa, dorefa_weights
from common.quant.zeros import kept
from common.runtime.context import execution_mode

BITS, SCALE = np.array([2, 5, 3], np.int32), np.array([0.5, 1.25, 0.8], np.float32)


def sample(shape, pruned, dead):
    rng = np.random.default_rng(len(shape))
    w, gy = rng.normal(0, 0.5, shape), rng.normal(0, 1, (len(BITS), *shape))
    if pruned:
        w[rng.random(shape) < 0.3] = 0
    if dead:
        w[1] *= 2.0**-12
    return w.astype(np.float32), gy.astype(np.float32)


def run(native, w, gy):
    needs_compiler(native)
    y, gw, *_ = conv_oracle.run(ScaledDoReFa(native), (w, BITS, SCALE), gy)
    return y, gw


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize(("pruned", "dead"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", [(8, 5, 3, 3), (70, 131)], ids=str)
def test_values_and_gradients(shape, pruned, dead, native, mode):
    w, gy = sample(shape, pruned, dead)
    y, gw = run(native, w, gy)
    for k, (bits, scale) in enumerate(zip(BITS, SCALE)):
        assert np.array_equal(y[k], scale * dorefa_weights(w, bits))
    common = np.tensordot(SCALE.astype(np.float64), gy, 1) * kept(w)
    assert conv_oracle.error(gw, gradient(w, 2, common)) < 1e-5


def test_tanh_is_within_three_units_in_the_last_place():
    needs_compiler(True)
    sizes = np.concatenate([np.linspace(0, 12, 100_001), np.logspace(-37, 1, 10_007)])
    w = np.concatenate([sizes, -sizes]).astype(np.float32)
    with execution_mode("pynative"):
        found = NativeDoReFaWeights()(Tensor(w), Tensor(BITS), Tensor(SCALE))[1].asnumpy()
    wanted = np.tanh(w.astype(np.float64))
    assert (np.abs(found - wanted) <= 3 * np.spacing(np.abs(wanted).astype(np.float32))).all()
    assert np.abs(found).max() == 1


def test_results_do_not_depend_on_threads(threads):
    needs_compiler(True)
    found = []
    with execution_mode("pynative"):
        for count in (1, 2, 3):
            threads(count)
            found.append(run(True, *sample((70, 131), True, True)))
    for other in found[1:]:
        assert all(np.array_equal(*pair) for pair in zip(found[0], other, strict=True))
