"""What every weight quantizer promises of pruned weights: what is 0 stays 0, on as many levels, in both modes."""

import numpy as np
import pytest
from mindspore import Tensor, ops
from quantizers import SHAPE, WEIGHTS, named

from common.quant.dorefa import DOREFA_ZERO, DoReFaWeight, dorefa, dorefa_codes, dorefa_weights
from common.quant.level_table import DOREFA
from common.quant.zeros import DEAD, kept
from DAMBQ.quant import MultiBitWeight
from DynamicQuant.quant import CandidateWeights

# Adder layers have no zeros to keep: |x - 0| is not 0. One bit has two levels and both are needed.
CASES = [case for case in WEIGHTS if not case.name.startswith("AdderQuant")]
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
EACH_WIDE = pytest.mark.parametrize("case", [c for c in CASES if c.bits > 1], ids=lambda case: case.name)
SHARES_A_SCALE = [case for case in CASES if case.name.startswith(("DoReFa", "DynamicQuant"))]


def weights(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, SHAPE).astype(np.float32)


def scattered(share: float, seed: int = 0) -> np.ndarray:
    """Weights of which the smallest are 0."""
    w = weights(seed)
    return np.where(np.abs(w) < np.quantile(np.abs(w), share), np.float32(0), w)


def check(case, w: np.ndarray) -> np.ndarray:
    """The quantized weights, after what always holds."""
    quantized, integers = case.values(w), case.integers(w)
    np.testing.assert_array_equal(integers.dequantize(), quantized)
    assert np.isfinite(quantized).all() and not quantized[w == 0].any()
    assert all(len(np.unique(row)) <= 2**case.bits for row in quantized)
    return quantized


@EACH
def test_a_channel_of_zeros_stays_zero(case, mode):
    w = weights()
    w[2] = 0
    quantized = check(case, w)
    assert all(quantized[row].any() for row in (0, 1, 3, 4, 5))


@EACH
def test_a_layer_of_zeros_stays_zero(case, mode):
    assert not check(case, np.zeros(SHAPE, np.float32)).any()


@EACH_WIDE
@pytest.mark.parametrize("share", [0.01, 0.5, 0.8])
def test_scattered_zeros_stay_zero(case, share, mode):
    w = scattered(share)
    w[1] = 0
    check(case, w)


@EACH_WIDE
def test_larger_weights_never_get_lower_levels_beside_zeros(case, pynative):
    w = scattered(0.3)
    for row, quantized in zip(w.reshape(len(w), -1), case.values(w).reshape(len(w), -1)):
        assert (np.diff(quantized[np.argsort(row, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("case", SHARES_A_SCALE, ids=lambda case: case.name)
@pytest.mark.parametrize(("size", "dead"), [(DEAD / 2, True), (1e-20, True), (DEAD * 2, False)])
def test_a_dead_channel_becomes_zero_where_all_share_a_scale(case, size, dead, mode):
    w = weights()
    w[3] *= np.float32(size * np.abs(w).max() / np.abs(w[3]).max())
    quantized = check(case, w)
    assert quantized[3].any() != dead and all(quantized[row].any() for row in (0, 1, 2, 4, 5))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_only_the_lowest_level_gives_way(bits):
    w = scattered(0.5)
    plain, quantized, levels = dorefa(w, bits), dorefa_weights(w, bits), DOREFA.levels(bits)
    moved = (quantized != plain) & (w != 0)
    assert (plain[moved] == -1).all() and (quantized[moved] == levels[1]).all() and moved.sum() <= (plain == -1).sum()
    np.testing.assert_array_equal(DOREFA_ZERO.levels(bits), np.sort([*levels[1:], 0]).astype(np.float32))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_codes_of_dorefa_come_back_from_those_with_a_zero(bits, pynative):
    w, cell = scattered(0.5), named(DoReFaWeight(bits))
    integers = cell.to_int(w)
    assert integers.levels is DOREFA_ZERO and not (integers.dequantize() == -1).any()
    rebuilt = DOREFA.levels(bits)[dorefa_codes(integers)]
    np.testing.assert_array_equal(np.where(w == 0, 0, rebuilt), dorefa_weights(w, bits))


def test_what_is_no_number_is_no_zero():
    w = weights()
    w[0, 0, 0, 0] = np.nan
    assert kept(w)[0, 0, 0, 0] and kept(w, shared_scale=False).all()


def _gradient(cell, w: np.ndarray, gy: np.ndarray) -> np.ndarray:
    def product(w, gy):
        return (cell(w) * gy).sum()

    return ops.grad(product)(Tensor(w), Tensor(gy)).asnumpy()


QUANTIZERS = [
    lambda w: DoReFaWeight(3),
    lambda w: CandidateWeights(w, (3, 4)),
    lambda w: MultiBitWeight(w, 3),
]


@pytest.mark.parametrize("make", QUANTIZERS, ids=["DoReFaWeight", "CandidateWeights", "MultiBitWeight"])
def test_pruned_weights_get_no_gradient_and_others_theirs(make, mode):
    w = scattered(0.5)
    w[4] = 0
    cell = named(make(w))
    shape = cell(Tensor(w)).shape
    gy = np.random.default_rng(5).normal(0, 1, shape).astype(np.float32)
    gradient = _gradient(cell, w, gy)
    assert not gradient[w == 0].any() and gradient[w != 0].any()
    other = gy + 3 * np.broadcast_to(w == 0, shape).astype(np.float32)  # what comes back to zeros must not matter
    np.testing.assert_allclose(_gradient(cell, w, other), gradient, rtol=1e-5, atol=1e-5)


def test_zeros_do_not_count_in_the_scale_of_binary_codes(pynative):
    w = np.array([[1.0, -2.0, 0.0, 0.0], [1.0, -2.0, 1.0, -2.0]], np.float32)
    cell = named(MultiBitWeight(w, 3))
    np.testing.assert_allclose(cell.scale.asnumpy(), 4.16 * 1.5, rtol=1e-6)
    cell.set_train(True)(Tensor(w))
    np.testing.assert_allclose(cell.scale.asnumpy(), 4.16 * 1.5, rtol=1e-6)
