"""The convolution with a bit-width for each image: against float64 NumPy, the static convolution, and its fallback."""

import conv_oracle as oracle
import numpy as np
import pytest
import selected_conv_oracle as selected
from mindspore import Tensor, ops
from selected_conv_oracle import BITS, CLIP, SCALE, SIZES
from test_dorefa import gradient as dorefa_gradient

from common.kernels import native_available
from common.kernels.conv import float_conv2d
from common.kernels.fake_quant import UniformQuantize
from common.kernels.selected_conv import NativeDoReFaConv2d, selected_conv2d
from common.quant.dorefa import ScaledDoReFa, dorefa_weights
from common.runtime.context import execution_mode

TOLERANCE = 1e-5  # float32 sums of at most a few thousand terms, by the largest value
KINDS = [pytest.param(True, id="native"), pytest.param(False, id="fallback")]


def sample(n, c, h, w, f, kh, kw, stride, padding, choice=None):
    """Inputs x, W, bits, scale, clip and mask, and an output gradient."""
    x, _, mask, gy = selected.sample(n, c, h, w, f, kh, kw, stride, padding, choice)
    weight = np.random.default_rng(n).normal(0, 0.5, (f, c, kh, kw)).astype(np.float32)
    return (x, weight, BITS, SCALE, CLIP, mask), gy


def branches(weight):
    """The weights of all branches, float32."""
    return np.stack([scale * dorefa_weights(weight, bits) for scale, bits in zip(SCALE, BITS)])


def expected(inputs, gy, stride, padding):
    """Output and gradients for x, W, clip and mask in float64."""
    x, weight, _, _, _, mask = inputs
    y, of_x, of_branches, of_clip, of_mask = selected.expected(x, branches(weight), mask, gy, stride, padding)
    common = np.tensordot(SCALE.astype(np.float64), of_branches, 1)
    return y, of_x, dorefa_gradient(weight, 2, common), of_clip, of_mask


def run(native, inputs, gy, stride, padding, training=False):
    """Output and gradients for x, W, clip and mask."""
    if native and not native_available():
        pytest.skip("needs a C++ compiler")
    x, weight, bits, scale, clip, mask = map(Tensor, inputs)
    if native:
        cell = NativeDoReFaConv2d(stride, padding)
        cell.set_train(training)

        def convolve(x, weight, clip, mask):
            return cell(x, weight, bits, scale, clip, mask)[0]
    else:
        cell, quantize = selected_conv2d(stride, padding, False), ScaledDoReFa(False)

        def convolve(x, weight, clip, mask):
            return cell(x, quantize(weight, bits, scale), bits, clip, mask)

    def loss(x, weight, clip, mask):
        return (convolve(x, weight, clip, mask) * Tensor(gy)).sum()

    given = (x, weight, clip, mask)
    return [t.asnumpy() for t in (convolve(*given), *ops.grad(loss, (0, 1, 2, 3))(*given))]


@pytest.mark.parametrize("native", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_output_and_gradients_are_those_of_the_equations(size, native):
    inputs, gy = sample(*size)
    wanted = expected(inputs, gy, *size[7:])
    for training in (False, True)[: 1 + native]:
        with execution_mode("pynative"):
            found = run(native, inputs, gy, *size[7:], training)
        for own, right in zip(found, wanted, strict=True):
            assert oracle.error(own, right) < TOLERANCE


@pytest.mark.parametrize("size", SIZES[1:4], ids=str)
def test_weights_of_each_branch_have_gradients_of_their_own(size, library, mode):
    """The cell of frozen networks."""
    x, weights, mask, gy = selected.sample(*size)
    cell = selected_conv2d(*size[7:], native=True)
    bits = Tensor(BITS)

    def loss(x, weights, clip, mask):
        return (cell(x, weights, bits, clip, mask) * Tensor(gy)).sum()

    found = ops.grad(loss, (0, 1, 2, 3))(*map(Tensor, (x, weights, CLIP, mask)))
    _, of_x, of_weights, of_clip, of_mask = selected.expected(x, weights, mask, gy, *size[7:])
    for own, right in zip(found, (of_x, of_weights, of_clip, of_mask), strict=True):
        assert oracle.error(own.asnumpy(), right) < TOLERANCE


@pytest.mark.parametrize("native", KINDS)
def test_graph_equals_pynative(native):
    (inputs, gy), found = sample(*SIZES[1]), []
    for mode in ("graph", "pynative"):
        with execution_mode(mode):
            found.append(run(native, inputs, gy, *SIZES[1][7:], training=native))
    assert all(oracle.error(*pair) <= (0 if native else 1e-6) for pair in zip(*found, strict=True))


def test_what_else_reads_the_input_adds_its_gradient(library, mode):
    """The cell that forks, against the same without."""
    size = SIZES[4]
    (x, weight, *others, mask), gy = sample(*size)
    given, factor = (
        tuple(map(Tensor, (*others, mask))),
        Tensor(np.random.default_rng(5).normal(size=x.shape).astype("f")),
    )
    alone, forked = NativeDoReFaConv2d(*size[7:]).set_train(), NativeDoReFaConv2d(*size[7:], forks=True).set_train()

    def of_alone(x, weight):
        return (alone(x, weight, *given)[0] * Tensor(gy)).sum() + (x * factor).sum()

    def of_forked(x, weight):
        y, x, _, _ = forked(x, weight, *given)
        return (y * Tensor(gy)).sum() + (x * factor).sum()

    found = [ops.grad(loss, (0, 1))(Tensor(x), Tensor(weight)) for loss in (of_alone, of_forked)]
    for one, other in zip(*found, strict=True):
        assert oracle.error(one.asnumpy(), other.asnumpy()) < 1e-6


@pytest.mark.parametrize("branch", range(3))
def test_a_branch_alone_is_the_static_convolution(branch, library):
    """Bit for bit, but for the gradients of weights and clip: their sums are taken in another way."""
    size = SIZES[4]
    inputs, gy = sample(*size, choice=np.full(size[0], branch))
    x, weight, bits, _, clip, _ = inputs
    quantize, convolve = UniformQuantize(learned_step=False, native=True), float_conv2d(*size[7:], native=True)
    probe, scaled = Tensor(np.zeros(1, np.float32)), ScaledDoReFa(True)
    bits, scale = Tensor(bits[branch : branch + 1]), Tensor(SCALE[branch : branch + 1])

    def static(x, weight, clip):
        q = quantize(x.reshape(x.shape[0], 1, -1), bits, clip, probe)
        return convolve(q.reshape(x.shape), scaled(weight, bits, scale)[0])

    with execution_mode("pynative"):
        found = run(True, inputs, gy, *size[7:])
        given = (Tensor(x), Tensor(weight), Tensor(clip))
        y = static(*given).asnumpy()
        gradients = ops.grad(lambda *args: (static(*args) * Tensor(gy)).sum(), (0, 1, 2))(*given)
    wanted = [t.asnumpy() for t in gradients]
    assert np.array_equal(found[0], y) and np.array_equal(found[1], wanted[0])
    assert oracle.error(found[2], wanted[1]) < TOLERANCE and oracle.error(found[3], wanted[2]) < TOLERANCE


def test_an_image_does_not_depend_on_its_batch(library):
    size = SIZES[6]
    inputs, _ = sample(*size)
    x, weight, bits, scale, clip, mask = inputs

    def output(cell, first, last):
        return cell(*map(Tensor, (x[first:last], weight, bits, scale, clip, mask[first:last])))[0].asnumpy()

    with execution_mode("pynative"):
        for training in (False, True):
            cell = NativeDoReFaConv2d(*size[7:]).set_train(training)
            whole = output(cell, 0, 40)
            for count in (1, 7):
                parts = [output(cell, start, min(40, start + count)) for start in range(0, 40, count)]
                assert np.array_equal(np.concatenate(parts), whole)


def test_a_clip_below_the_least_counts_as_that_and_gets_no_gradient(library, pynative):
    (x, weight, bits, scale, _, mask), gy = sample(*SIZES[1])
    found = []
    for clip in (1e-3, 1e-4, -1):
        inputs = (x, weight, bits, scale, np.array([clip], np.float32), mask)
        found.append(run(True, inputs, gy, *SIZES[1][7:], training=True))
    for other in found[1:]:
        assert all(np.array_equal(own, right) for i, (own, right) in enumerate(zip(other, found[0])) if i != 3)
        assert other[3] == 0 != found[0][3]


def test_weights_on_their_levels_give_the_same_output(library):
    size = SIZES[4]
    (x, weight, bits, _, clip, mask), gy = sample(*size)
    with execution_mode("pynative"):
        given = map(Tensor, (x, branches(weight), bits, clip, mask))
        y = selected_conv2d(*size[7:], native=True)(*given).asnumpy()
        assert np.array_equal(y, run(True, (x, weight, bits, SCALE, clip, mask), gy, *size[7:])[0])


@pytest.mark.parametrize("size", [SIZES[6], SIZES[-1]], ids=str)
def test_results_do_not_depend_on_threads(size, library, threads):
    (inputs, gy), found = sample(*size), []
    for count in (1, 2, 3):
        threads(count)
        with execution_mode("pynative"):
            found.append(run(True, inputs, gy, *size[7:], training=True))
    for other in found[1:]:
        assert all(np.array_equal(*pair) for pair in zip(found[0], other, strict=True))


@pytest.mark.parametrize("kind", ["selected", "plain"])
def test_same_inputs_at_other_strides_have_their_own_shape(kind, library):
    """PYNATIVE mode remembers output shapes by function, input shapes and attributes of the operator."""
    (x, weight, bits, _, clip, mask), _ = sample(2, 3, 9, 9, 4, 3, 3, 1, 1)
    cells, found = [], []  # all of them stay alive
    with execution_mode("pynative"):
        for stride, padding in ((2, 1), (1, 1), (1, 0)):
            if kind == "selected":
                cells.append(selected_conv2d(stride, padding, native=True))
                found.append(cells[-1](*map(Tensor, (x, branches(weight), bits, clip, mask))).shape)
            else:
                cells.append(float_conv2d(stride, padding, native=True))
                found.append(cells[-1](Tensor(x), Tensor(weight)).shape)
    assert found == [(2, 4, 5, 5), (2, 4, 9, 9), (2, 4, 7, 7)]
