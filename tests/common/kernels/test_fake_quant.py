"""Fake quantization and its gradients against float64 NumPy, and what a quantizer must hold."""

import conv_oracle
import fake_quant_oracle as oracle
import numpy as np
import pytest
from fake_quant_calls import CLIP, KINDS, table, uniform

from common.kernels import build
from common.kernels.fake_quant import CodebookQuantize, UniformQuantize
from common.runtime.context import execution_mode

TOLERANCE = 1e-5  # sums of 13,440 float32 terms at most


def check(found, expected, tolerance=TOLERANCE):
    for name, a, b in zip(("y", "gradient", "second gradient", "third gradient"), found, expected, strict=False):
        assert conv_oracle.error(a, b) < tolerance, name


def most_bits(native):
    """Of a table: the fallback takes one operator after another for each level."""
    return 8 if native else 4


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize("learned_step", [True, False])
@pytest.mark.parametrize(("shape", "first"), oracle.SHAPES, ids=str)
def test_uniform_at_any_shape(shape, first, learned_step, native):
    x, bits, gy = oracle.uniform_sample(shape, first, CLIP)
    with execution_mode("pynative"):
        found = uniform(x, bits, CLIP, gy, native, learned_step)
    check(found, (oracle.uniform(x, bits, CLIP), *oracle.uniform_gradients(x, bits, CLIP, gy, learned_step)))


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize("shape", oracle.ROWS, ids=str)
def test_table_at_any_shape(shape, native):
    w, bits, scale, levels, gy = oracle.table_sample(shape, most_bits(native))
    with execution_mode("pynative"):
        found = table(w, bits, scale, levels, gy, native)
    expected = oracle.table_quantized(w, bits, scale, levels), *oracle.table_gradients(w, bits, scale, levels, gy)
    check(found, expected)


@pytest.mark.parametrize("native", KINDS)
def test_both_in_graph_mode(native):
    x, bits, gy = oracle.uniform_sample((3, 6, 4, 33), 0, CLIP)
    w, w_bits, scale, levels, gw = oracle.table_sample((7, 6, 3, 3), 4)
    with execution_mode("graph"):
        uniforms, tables = uniform(x, bits, CLIP, gy, native), table(w, w_bits, scale, levels, gw, native)
    check(uniforms, (oracle.uniform(x, bits, CLIP), *oracle.uniform_gradients(x, bits, CLIP, gy)))
    expected = oracle.table_quantized(w, w_bits, scale, levels)
    check(tables, (expected, *oracle.table_gradients(w, w_bits, scale, levels, gw)))


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize("learned_step", [True, False])
def test_uniform_by_hand(native, learned_step, mode):
    """Levels 0, 1, 2, 3, ties to the even one; the clip's own value passes its gradient to x and to the clip."""
    x = np.array([-1, 0, 0.5, 1, 1.5, 2.5, 3, 4], np.float32).reshape(8, 1)
    gy = 2 ** np.arange(8, dtype=np.float32).reshape(8, 1)
    y, gx, gclip, change = uniform(x, [2], 3, gy, native, learned_step)
    assert y.ravel().tolist() == [0, 0, 0, 1, 2, 2, 3, 3]
    assert gx.ravel().tolist() == [0, 2, 4, 8, 16, 32, 64, 0]
    rounding = (-0.5 * 4 + 0.5 * 16 - 0.5 * 32) / 3
    assert gclip.item() == pytest.approx(64 + 128 + rounding * learned_step, rel=1e-6)
    assert change.item() == pytest.approx(-1 + 2 - 8 + 16 + 128)


@pytest.mark.parametrize("native", KINDS)
def test_table_by_hand(native, mode):
    """Levels -2, -0.5, 0.5, 2 after scaling, ties to the upper; the scale itself still passes the gradient."""
    levels = np.array([[0, 0, 0, 0], [-1, 1, 0, 0], [-1, -0.25, 0.25, 1]], np.float32)
    w = np.array([[-3, -2, -1.25, -0.25, 0, 1.25, 2, 2.5]] * 3, np.float32)
    gy = np.broadcast_to(2 ** np.arange(8, dtype=np.float32), (3, 8))
    y, gw, change = table(w, [2, 1, 0], np.array([2, 2, 0], np.float32), levels, gy, native)
    assert y.tolist() == [[-2, -2, -0.5, -0.5, 0.5, 2, 2, 2], [-2, -2, -2, -2, 2, 2, 2, 2], [0] * 8]
    assert gw.tolist() == [[0, 2, 4, 8, 16, 32, 64, 0]] * 2 + [[0, 0, 0, 0, 16, 0, 0, 0]]
    assert change == pytest.approx((gy * (w - y)).sum(1))


def check_quantizer(values, quantized, again):
    """Of sorted values and the result of their result."""
    assert np.array_equal(quantized, again)
    assert (np.diff(quantized) >= 0).all() and (np.diff(values) >= 0).all()


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize("clip", [3, CLIP, np.float32(0.371)])
@pytest.mark.parametrize("bits", [*oracle.BITS, 12, 16])
def test_what_uniform_quantization_must_hold(bits, clip, native):
    levels = np.linspace(0, clip, 2**bits, dtype=np.float32)
    x = np.sort(np.concatenate((levels, np.linspace(-1, 1.5, 20_001, dtype=np.float32) * clip)))[:, None]
    with execution_mode("pynative"):
        y = uniform(x, [bits], clip, native=native)
        again, on_levels = (uniform(v, [bits], clip, native=native) for v in (y, levels[:, None]))
    check_quantizer(x[:, 0], y[:, 0], again[:, 0])
    assert len(np.unique(y)) == 2**bits
    rounding = 4e-7 * clip  # of float32
    assert abs(on_levels[:, 0] - levels).max() <= rounding
    inside = (x >= 0) & (x <= clip)
    assert bits == 0 or abs(x - y)[inside].max() <= clip / (2**bits - 1) / 2 + rounding
    assert not y[x <= 0].any() and (bits == 0 or abs(y[x >= clip] - clip).max() <= rounding)


@pytest.mark.parametrize(
    ("bits", "native"),
    [(bits, native) for native in (True, False) for bits in oracle.BITS if bits <= most_bits(native)],
)
def test_what_table_quantization_must_hold(bits, native):
    levels, scale = oracle.make_table(max(1, bits)), np.full(1, 0.7, np.float32)
    own = levels[bits, : 2**bits] * scale
    w = np.sort(np.concatenate((own, np.linspace(-1, 1, 5_001, dtype=np.float32))))[None]
    with execution_mode("pynative"):
        y = table(w, [bits], scale, levels, native=native)
        again, on_levels = (table(v, [bits], scale, levels, native=native) for v in (y, own[None]))
    check_quantizer(w[0], y[0], again[0])
    assert np.array_equal(on_levels[0], own) and np.array_equal(np.unique(y), own)
    inside, gaps = abs(w) <= scale, np.diff(own)
    assert bits == 0 or abs(w - y)[inside].max() <= gaps.max() / 2 + 1e-6


def test_native_and_fallback_give_the_same_values(mode):
    x, bits, gy = oracle.uniform_sample((3, 6, 16, 33), 0, CLIP)
    w, w_bits, scale, levels, gw = oracle.table_sample((7, 6, 3, 3), 4)
    for function, inputs in ((uniform, (x, bits, CLIP, gy)), (table, (w, w_bits, scale, levels, gw))):
        native, fallback = (function(*inputs, native) for native in (True, False))
        assert np.array_equal(native[0], fallback[0])
        check(native, fallback)


def around(values):
    """Float32 values and the numbers just below and above them; no denormals, which MindSpore takes for 0."""
    values = np.asarray(values, np.float32)
    gap = np.spacing(np.maximum(abs(values), np.float32(1e-6)))
    return np.concatenate([values, values - gap, values + gap])


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8, 16])
def test_native_and_fallback_round_the_same_way_next_to_a_tie(bits):
    steps = 2**bits - 1
    x = around((np.arange(steps) + 0.5) * CLIP / steps)[:, None]
    with execution_mode("pynative"):
        both = [uniform(x, [bits], CLIP, native=native) for native in (True, False)]
    assert np.array_equal(*both)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_native_and_fallback_take_the_same_level_next_to_the_middle_of_two(bits):
    levels, scale = oracle.make_table(bits), np.full(1, 0.7, np.float32)
    w = around((levels[bits, 1:] + levels[bits, :-1]) / 2 * scale)[None]
    with execution_mode("pynative"):
        both = [table(w, [bits], scale, levels, native=native) for native in (True, False)]
    assert np.array_equal(*both)


@pytest.mark.parametrize("native", KINDS)
def test_the_value_of_a_probe_does_not_matter(native, mode):
    x, bits, gy = oracle.uniform_sample((3, 6), 0, CLIP)
    w, w_bits, scale, levels, gw = oracle.table_sample((6, 17), 4)
    probe = np.linspace(-3, 5, 6, dtype=np.float32)
    for function, inputs in ((uniform, (x, bits, CLIP, gy)), (table, (w, w_bits, scale, levels, gw))):
        without, given = function(*inputs, native), function(*inputs, native, probe=probe)
        assert all(np.array_equal(*pair) for pair in zip(without, given, strict=True))


def test_result_does_not_depend_on_threads(library, threads):
    x, bits, gy = oracle.uniform_sample((17, 6, 9, 33), 0, CLIP)
    w, w_bits, scale, levels, gw = oracle.table_sample((13, 3, 5, 5), 8)
    results = []
    with execution_mode("pynative"):
        for count in (1, 2, 3):
            threads(count)
            results.append((*uniform(x, bits, CLIP, gy, True), *table(w, w_bits, scale, levels, gw, True)))
    for other in results[1:]:
        assert all(np.array_equal(*pair) for pair in zip(results[0], other, strict=True))


def test_demanding_native_where_there_is_none(monkeypatch):
    monkeypatch.setattr(build, "library", lambda: None)
    for cell in (UniformQuantize, CodebookQuantize):
        with pytest.raises(build.BuildError, match="demanded"):
            cell(native=True)
        assert not cell().native
