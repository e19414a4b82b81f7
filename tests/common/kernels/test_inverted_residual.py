"""An inverted residual block in one operator: float64 NumPy, the bits of one layer after the other, gradients."""

import batch_norm_oracle
import conv_oracle as oracle
import numpy as np
import pytest
from adder_oracle import call
from kernel_variants import each_variant
from mindspore import Tensor, nn, ops
from test_batch_norm import STATE
from test_norm_act import Weighted

from common.kernels import native_available
from common.kernels.batch_norm import NativeBatchNorm2d
from common.models.inverted_residual import block_joins, block_kernel, joined_block
from common.models.layers import NativeConv2d
from common.models.norm_act import ConvNormActSequential, apart

# Images, channels, side; channels between, kernel, stride and padding of the first convolution; kernel, stride and
# padding of the depthwise one; filters. Blocks of channels: whole, half and short ones; strips of one row and of all.
BLOCKS = [
    (2, 16, 14, 96, 1, 1, 0, 3, 1, 1, 16),
    (3, 24, 9, 40, 1, 1, 0, 3, 2, 1, 24),
    (1, 5, 7, 7, 1, 1, 0, 3, 1, 1, 5),
    (2, 3, 17, 33, 3, 2, 1, 3, 1, 1, 9),
    (17, 4, 2, 24, 1, 1, 0, 3, 2, 1, 4),
    (2, 6, 5, 18, 1, 1, 0, 5, 1, 2, 50),
    (1, 3, 11, 20, 5, 1, 0, 2, 3, 0, 8),
    (1, 2, 1, 3, 1, 1, 0, 3, 1, 1, 2),
    (2, 3, 6, 17, 1, 1, 0, 3, 1, 3, 17),
    (1, 12, 112, 144, 1, 1, 0, 3, 1, 1, 12),
]
each_block = pytest.mark.parametrize("block", BLOCKS, ids=str)


@pytest.fixture(autouse=True)
def compiled():
    if not native_available():
        pytest.skip("needs a C++ compiler")


def normed(*conv):
    """A convolution and its norm, with weights and statistics."""
    layer, norm = NativeConv2d(*conv), NativeBatchNorm2d(conv[1])
    weight = np.random.default_rng(conv[1]).normal(0, 0.5, layer.weight.shape).astype(np.float32)
    layer.weight.set_data(Tensor(weight))
    sample = batch_norm_oracle.sample((1, conv[1], 1, 1))
    for name in STATE:
        getattr(norm, name).set_data(Tensor(getattr(sample, name)))
    return layer, norm


class Block(nn.Cell):
    """The three layers in evaluation, together or one after the other."""

    def __init__(self, block, together, adds=False):
        super().__init__()
        _, channels, _, hidden, k1, s1, p1, k2, s2, p2, filters = block
        self.first = ConvNormActSequential(*normed(channels, hidden, k1, s1, p1), nn.ReLU6())
        self.depthwise = ConvNormActSequential(*normed(hidden, hidden, k2, s2, p2, hidden), nn.ReLU())
        self.project, self.norm = normed(hidden, filters, 1)
        self.kernel, self.adds, self.together = block_kernel(self.first, self.depthwise, adds), adds, together
        self.set_train(False)

    def cells_of_block(self):
        return self.first, self.depthwise, self.project, self.norm

    def joins(self):
        return block_joins(self.kernel, *self.cells_of_block())

    def construct(self, x, _):
        if self.together:
            return joined_block(self.kernel, x, self.first, self.depthwise, self.project, self.norm)
        y = self.norm(self.project(self.depthwise(self.first(x))))
        return y + x if self.adds else y


def images(block):
    n, channels, side = block[:3]
    return np.random.default_rng(1).normal(0, 1, (n, channels, side, side)).astype(np.float32)


def adds_options(block):
    _, channels, _, _, _, s1, _, k2, s2, p2, filters = block
    return [False, True] if channels == filters and s1 == s2 == 1 and k2 == 2 * p2 + 1 else [False]


def in_float64(cell, x, block):
    """The block in float64 NumPy."""

    def layer(conv, norm, y, stride, padding, groups, limit):
        w = conv.weight.asnumpy()
        parts = zip(np.split(y, groups, 1), np.split(w, groups), strict=True)
        z = np.concatenate([oracle.forward(*part, stride, padding) for part in parts], 1)
        gamma, beta, mean, variance = (s.asnumpy().astype(np.float64).reshape(1, -1, 1, 1) for s in norm.statistics())
        return np.clip((z - mean) / np.sqrt(variance + norm.eps) * gamma + beta, *limit)

    _, _, _, hidden, _, s1, p1, _, s2, p2, _ = block
    y = layer(*cell.first.cell_list[:2], x, s1, p1, 1, (0, 6))
    y = layer(*cell.depthwise.cell_list[:2], y, s2, p2, hidden, (0, np.inf))
    return layer(cell.project, cell.norm, y, 1, 0, 1, (-np.inf, np.inf))


@each_block
def test_block_is_that_of_float64_and_of_one_layer_after_the_other(block, mode):
    x = images(block)
    for adds in adds_options(block):
        together, alone = Block(block, True, adds), Block(block, False, adds)
        assert together.joins()
        found = together(Tensor(x), Tensor(x)).asnumpy()
        assert oracle.error(found, in_float64(together, x, block) + (x if adds else 0)) < 1e-5
        expected = alone(Tensor(x), Tensor(x)).asnumpy()
        # Of planes of less than 4 rows the depthwise operator's tile is one that compilers may round twice.
        assert np.array_equal(found, expected) if found.shape[2] >= 4 else oracle.error(found, expected) < 1e-6


def test_bits_do_not_depend_on_threads(threads):
    block, results = BLOCKS[-1], []
    for count in (1, 2, 3, 16):
        threads(count)
        results.append(Block(block, True)(Tensor(images(block)), None).asnumpy())
    assert all(np.array_equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("block", [BLOCKS[0], BLOCKS[3]], ids=str)
def test_gradients_are_those_of_one_layer_after_the_other(block, mode):
    x, results = Tensor(images(block)), []
    for together in (True, False):
        cell = Block(block, together, adds_options(block)[-1])
        gy = Tensor(np.random.default_rng(2).normal(0, 1, cell(x, x).shape).astype(np.float32))
        weights = [p for p in cell.get_parameters() if not p.name.split(".")[-1].startswith("moving")]
        gradient = ops.GradOperation(get_all=True, get_by_list=True)(Weighted(cell).set_train(False), weights)
        of_inputs, of_weights = gradient(x, x, gy)
        results.append([g.asnumpy() for g in (of_inputs[0], *of_weights)])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5 * max(1, np.abs(expected).max()))


def test_what_is_trained_watched_or_exchanged_is_called():
    cell = Block(BLOCKS[0], True)
    assert cell.joins()
    for part in (*cell.first.cell_list, cell.depthwise, *cell.depthwise.cell_list, cell.project, cell.norm):
        handle = part.register_forward_hook(lambda *_: None)
        assert not cell.joins()
        handle.remove()
    with apart(cell):
        assert not cell.joins()
    assert cell.joins()
    cell.depthwise[1].set_train(True)
    assert not cell.joins()
    cell.set_train(False)
    cell.project = NativeConv2d(96, 16, 1, 2)
    assert not cell.joins()
    cell.project, cell.first[0] = NativeConv2d(96, 16, 1), NativeConv2d(16, 96, 1, 2)
    assert not cell.joins()
    cell.first[0] = nn.Conv2d(16, 96, 1)
    assert not cell.joins()
    assert block_kernel(ConvNormActSequential(nn.Conv2d(3, 4, 1)), cell.depthwise) is None


@each_variant
@each_block
def test_other_instructions(block, variant):
    x, cell = images(block), Block(block, True)
    kinds = [layer for pair in ((*cell.first.cell_list[:2],), (*cell.depthwise.cell_list[:2],)) for layer in pair]
    layers = [*kinds, cell.project, cell.norm]
    inputs = [x]
    for conv, norm, limit in zip(layers[::2], layers[1::2], (6, 3e38, 3e38), strict=True):
        statistics = [s.asnumpy() for s in norm.statistics()]
        inputs += [conv.weight.asnumpy(), *statistics, np.array([norm.eps, limit], np.float32)]
    inputs.append(np.array([*block[5:7], *block[8:10], 0], np.int32))
    expected = in_float64(cell, x, block)
    found = call(variant, "InvertedResidualForward", inputs, np.full(expected.shape, np.nan, np.float32))
    assert oracle.error(found, expected) < 1e-5
