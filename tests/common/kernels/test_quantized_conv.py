"""The convolution of training that quantizes its inputs: against float64 NumPy."""

import conv_oracle as oracle
import numpy as np
import pytest
import selected_conv_oracle as selected
from mindspore import Tensor, ops
from selected_conv_oracle import BITS, CLIP, SIZES

from common.kernels.quantized_conv import NativeQuantizedConv
from common.runtime.context import execution_mode

TOLERANCE = 1e-5  # float32 sums of at most a few thousand terms, by the largest value
WIDTH = 1  # number of the branch that all images take


def sample(size):
    """Inputs x and W, an output gradient, and the expected output and gradients for x, W and clip."""
    x, weights, mask, gy = selected.sample(*size, choice=np.full(size[0], WIDTH))
    y, of_x, of_w, of_clip, _ = selected.expected(x, weights, mask, gy, *size[7:])
    return x, weights[WIDTH], gy, (y, of_x, of_w[WIDTH], of_clip)


def run(size, x, w, gy, forks=False, clip=CLIP, least=1e-3):
    """Output and gradients for x, W and clip; where it forks, the input's own sum is added to the loss."""
    cell, bits = NativeQuantizedConv(*size[7:], least, forks), Tensor(BITS[WIDTH : WIDTH + 1])

    def loss(x, w, clip):
        out = cell(x, w, bits, clip)
        y = out[0] if forks else out
        return (y * Tensor(gy)).sum() + (out[1].sum() if forks else 0), y

    (_, y), gradients = ops.value_and_grad(loss, (0, 1, 2), has_aux=True)(Tensor(x), Tensor(w), Tensor(clip))
    return [t.asnumpy() for t in (y, *gradients)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_output_and_gradients_are_those_of_the_equations(size, library):
    x, w, gy, wanted = sample(size)
    with execution_mode("pynative"):
        for own, right in zip(run(size, x, w, gy), wanted, strict=True):
            assert oracle.error(own, right) < TOLERANCE


@pytest.mark.parametrize("forks", [False, True], ids=["alone", "forks"])
def test_in_both_modes(forks, library, mode):
    x, w, gy, (y, of_x, of_w, of_clip) = sample(SIZES[4])
    found = run(SIZES[4], x, w, gy, forks)
    for own, right in zip(found, (y, of_x + forks, of_w, of_clip), strict=True):
        assert oracle.error(own, right) < TOLERANCE


def test_a_clip_below_the_least_counts_as_that_and_gets_no_gradient(library, pynative):
    x, w, gy, wanted = sample(SIZES[1])
    found = run(SIZES[1], x, w, gy, clip=CLIP / 2, least=CLIP[0])
    for own, right in zip(found[:3], wanted[:3], strict=True):
        assert oracle.error(own, right) < TOLERANCE
    assert found[3] == 0


def test_results_do_not_depend_on_threads(library, threads, pynative):
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append(run(SIZES[8], *sample(SIZES[8])[:3]))
    for other in found[1:]:
        assert all(np.array_equal(*pair) for pair in zip(found[0], other, strict=True))
