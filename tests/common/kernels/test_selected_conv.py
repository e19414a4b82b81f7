"""The convolution with a bit-width for each image: against float64 NumPy, the static convolution, and its fallback."""

import conv_oracle as oracle
import numpy as np
import pytest
from mindspore import Tensor, ops

from common.kernels import native_available
from common.kernels.conv import float_conv2d
from common.kernels.fake_quant import UniformQuantize
from common.kernels.selected_conv import selected_conv2d
from common.runtime.context import execution_mode

TOLERANCE = 1e-5  # float32 sums of at most a few thousand terms, by the largest value
BITS, CLIP = np.array([2, 3, 4], np.int32), np.array([1.3], np.float32)

# N, C, H, W, F, KH, KW, stride, padding: odd sizes, narrow and wide rows, strides, no padding, more than a filter tile.
SIZES = [
    (1, 1, 1, 1, 1, 1, 1, 1, 0),
    (7, 5, 9, 9, 6, 3, 3, 1, 1),
    (5, 3, 8, 17, 9, 3, 3, 2, 1),
    (9, 4, 7, 6, 3, 1, 1, 2, 0),
    (4, 16, 16, 16, 32, 3, 3, 1, 1),
    (3, 2, 9, 33, 5, 5, 3, 1, 2),
    (40, 2, 5, 5, 4, 3, 3, 1, 0),
]


def sample(n, c, h, w, f, kh, kw, stride, padding, choice=None):
    """Inputs in the operator's order, and an output gradient."""
    rng = np.random.default_rng(n + c + f)
    x = rng.normal(0.5, 1, (n, c, h, w)).astype(np.float32)
    weights = rng.normal(0, 1, (len(BITS), f, c, kh, kw)).astype(np.float32)
    choice = rng.integers(0, len(BITS), n) if choice is None else choice
    mask = np.eye(len(BITS), dtype=np.float32)[choice]
    shape = (n, f, (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1)
    return (x, weights, BITS, CLIP, mask), rng.normal(0, 1, shape).astype(np.float32)


def quantized(x, bits):
    """As float32 rounds, so that the oracle takes the same levels."""
    steps = np.float32(2**bits - 1)
    return np.rint(np.clip(x, 0, CLIP) * (steps / CLIP)) * (CLIP / steps)


def expected(inputs, gy, stride, padding):
    """Output and gradients for x, w, clip and mask in float64, branch by branch."""
    x, weights, bits, clip, mask = inputs
    outputs = [oracle.forward(quantized(x, own), w, stride, padding) for own, w in zip(bits, weights)]
    y = sum(m[:, None, None, None] * out for m, out in zip(mask.T, outputs))
    grad_q, grad_w = 0, []
    for own, w, m in zip(bits, weights, mask.T):
        masked = gy * m[:, None, None, None]
        grad_q = grad_q + oracle.input_gradient(x, w, masked, stride, padding)
        grad_w.append(oracle.weight_gradient(quantized(x, own), w, masked, stride, padding))
    inside = (x >= 0) & (x <= clip)
    grad_mask = np.stack([(gy * out).sum((1, 2, 3)) for out in outputs], 1)
    return y, grad_q * inside, np.stack(grad_w), np.array([(grad_q * (x >= clip)).sum()]), grad_mask


def run(native, inputs, gy, stride, padding):
    """Output and gradients for x, w, clip and mask."""
    if native and not native_available():
        pytest.skip("needs a C++ compiler")
    x, w, bits, clip, mask = map(Tensor, inputs)
    cell = selected_conv2d(stride, padding, native)

    def loss(x, w, clip, mask):
        return (cell(x, w, bits, clip, mask) * Tensor(gy)).sum()

    gradients = ops.grad(loss, (0, 1, 2, 3))(x, w, clip, mask)
    return [t.asnumpy() for t in (cell(x, w, bits, clip, mask), *gradients)]


@pytest.mark.parametrize("native", [pytest.param(True, id="native"), pytest.param(False, id="fallback")])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_output_and_gradients_are_those_of_the_equations(size, native):
    inputs, gy = sample(*size)
    with execution_mode("pynative"):
        found = run(native, inputs, gy, *size[7:])
    for own, wanted in zip(found, expected(inputs, gy, *size[7:]), strict=True):
        assert oracle.error(own, wanted) < TOLERANCE


@pytest.mark.parametrize("native", [pytest.param(True, id="native"), pytest.param(False, id="fallback")])
def test_graph_equals_pynative(native):
    (inputs, gy), found = sample(*SIZES[1]), []
    for mode in ("graph", "pynative"):
        with execution_mode(mode):
            found.append(run(native, inputs, gy, *SIZES[1][7:]))
    assert all(oracle.error(*pair) <= (0 if native else 1e-6) for pair in zip(*found, strict=True))


@pytest.mark.parametrize("branch", range(3))
def test_a_branch_alone_is_the_static_convolution_bit_for_bit(branch, library):
    size = SIZES[4]
    inputs, gy = sample(*size, choice=np.full(size[0], branch))
    x, weights, bits, clip, _ = inputs
    quantize, convolve = UniformQuantize(learned_step=False, native=True), float_conv2d(*size[7:], native=True)
    probe = Tensor(np.zeros(1, np.float32))

    def static(x, w, clip):
        q = quantize(x.reshape(x.shape[0], 1, -1), Tensor(bits[branch : branch + 1]), clip, probe)
        return convolve(q.reshape(x.shape), w)

    with execution_mode("pynative"):
        found = run(True, inputs, gy, *size[7:])
        given = (Tensor(x), Tensor(weights[branch]), Tensor(clip))
        y = static(*given).asnumpy()
        gradients = ops.grad(lambda *args: (static(*args) * Tensor(gy)).sum(), (0, 1, 2))(*given)
    wanted = [t.asnumpy() for t in gradients]
    assert np.array_equal(found[0], y) and np.array_equal(found[1], wanted[0])
    assert np.array_equal(found[2][branch], wanted[1]) and np.array_equal(found[3], wanted[2])
    assert not np.delete(found[2], branch, 0).any()  # nobody took the others


def test_an_image_does_not_depend_on_its_batch(library):
    size = SIZES[6]
    inputs, _ = sample(*size)
    cell = selected_conv2d(*size[7:], native=True)

    def output(first, last):
        x, w, bits, clip, mask = inputs
        return cell(*map(Tensor, (x[first:last], w, bits, clip, mask[first:last]))).asnumpy()

    with execution_mode("pynative"):
        whole = output(0, 40)
        for count in (1, 7):
            parts = [output(start, min(40, start + count)) for start in range(0, 40, count)]
            assert np.array_equal(np.concatenate(parts), whole)


def test_results_do_not_depend_on_threads(library, threads):
    (inputs, gy), found = sample(*SIZES[6]), []
    for count in (1, 2, 3):
        threads(count)
        with execution_mode("pynative"):
            found.append(run(True, inputs, gy, *SIZES[6][7:]))
    for other in found[1:]:
        assert all(np.array_equal(*pair) for pair in zip(found[0], other, strict=True))


@pytest.mark.parametrize("kind", ["selected", "plain"])
def test_same_inputs_at_other_strides_have_their_own_shape(kind, library):
    """PYNATIVE mode remembers output shapes by function, input shapes and attributes of the operator."""
    (x, w, bits, clip, mask), _ = sample(2, 3, 9, 9, 4, 3, 3, 1, 1)
    cells, found = [], []  # all of them stay alive
    with execution_mode("pynative"):
        for stride, padding in ((2, 1), (1, 1), (1, 0)):
            if kind == "selected":
                cells.append(selected_conv2d(stride, padding, native=True))
                found.append(cells[-1](*map(Tensor, (x, w, bits, clip, mask))).shape)
            else:
                cells.append(float_conv2d(stride, padding, native=True))
                found.append(cells[-1](Tensor(x), Tensor(w[0])).shape)
    assert found == [(2, 4, 5, 5), (2, 4, 9, 9), (2, 4, 7, 7)]
