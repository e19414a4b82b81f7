"""Convolution, BatchNorm and activation in one operator: the bits of one after the other, and their gradients."""

import batch_norm_oracle
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from test_batch_norm import STATE
from test_norm_act import Weighted

from common.kernels import native_available
from common.kernels.batch_norm import NativeBatchNorm2d
from common.models.layers import NativeConv2d
from common.models.norm_act import ConvNormActSequential, apart, conv_norm, conv_norm_act, conv_norm_add_act, joins

# Channels, filters, kernel, stride, padding, groups, side: Winograd's squares, 1 x 1, others, depthwise.
LAYERS = [
    (9, 17, 3, 1, 1, 1, 8),
    (16, 16, 3, 1, 0, 1, 7),
    (5, 20, 1, 1, 0, 1, 7),
    (40, 7, 1, 1, 0, 1, 30),
    (6, 5, 1, 2, 0, 1, 9),
    (3, 8, 3, 2, 1, 1, 9),
    (4, 6, 7, 2, 3, 1, 20),
    (10, 10, 3, 1, 1, 10, 8),
    (3, 6, 3, 2, 1, 3, 17),
]
ACTS = {"none": None, "relu": nn.ReLU, "relu6": nn.ReLU6, "add_relu": nn.ReLU, "sigmoid": nn.Sigmoid}


@pytest.fixture(autouse=True)
def compiled():
    if not native_available():
        pytest.skip("needs a C++ compiler")


class Layer(nn.Cell):
    """The three cells in evaluation, together or one after the other."""

    def __init__(self, kind, layer, together):
        super().__init__()
        self.conv, self.norm = NativeConv2d(*layer[:6]), NativeBatchNorm2d(layer[1])
        self.act = ACTS[kind]() if ACTS[kind] else None
        weight = np.random.default_rng(0).normal(0, 1, self.conv.weight.shape).astype(np.float32)
        self.conv.weight.set_data(Tensor(weight))
        sample = batch_norm_oracle.sample((1, layer[1], 1, 1))
        for name in STATE:
            getattr(self.norm, name).set_data(Tensor(getattr(sample, name)))
        self.adds, self.together = kind == "add_relu", together
        self.set_train(False)

    def construct(self, x, shortcut):
        if self.together:
            if self.act is None:
                return conv_norm(self.conv, self.norm, x)
            if self.adds:
                return conv_norm_add_act(self.conv, self.norm, self.act, x, shortcut)
            return conv_norm_act(self.conv, self.norm, self.act, x)
        y = self.norm(self.conv(x))
        y = y + shortcut if self.adds else y
        return y if self.act is None else self.act(y)


def inputs(layer):
    channels, filters, kernel, stride, padding, _, side = layer
    out, rng = (side + 2 * padding - kernel) // stride + 1, np.random.default_rng(1)
    shapes = (3, channels, side, side), (3, filters, out, out), (3, filters, out, out)
    return [Tensor(rng.normal(0, 2, shape).astype(np.float32)) for shape in shapes]


@pytest.mark.parametrize(
    ("kind", "layer"),
    [*(("add_relu", layer) for layer in LAYERS), *((kind, LAYERS[i]) for kind in ACTS for i in (0, 3, 5, 7))],
    ids=str,
)
def test_the_bits_are_those_of_one_after_the_other(kind, layer, mode):
    x, shortcut, _ = inputs(layer)
    together, apart = (Layer(kind, layer, joined)(x, shortcut).asnumpy() for joined in (True, False))
    assert np.array_equal(together, apart)


@pytest.mark.parametrize("kind", ["none", "relu", "relu6", "add_relu"])
@pytest.mark.parametrize("layer", [LAYERS[0], LAYERS[4], LAYERS[7]], ids=str)
def test_gradients_are_those_of_one_after_the_other(kind, layer, mode):
    results = []
    for together in (True, False):
        cell = Layer(kind, layer, together)
        weights = [cell.conv.weight, cell.norm.gamma, cell.norm.beta]
        gradient = ops.GradOperation(get_all=True, get_by_list=True)(Weighted(cell).set_train(False), weights)
        of_inputs, of_weights = gradient(*inputs(layer))
        results.append([g.asnumpy() for g in (*of_inputs[:2], *of_weights)])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * max(1, np.abs(expected).max()))


def test_bits_do_not_depend_on_threads(threads):
    x, shortcut, _ = inputs(LAYERS[0])
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(Layer("add_relu", LAYERS[0], True)(x, shortcut).asnumpy())
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_what_is_trained_watched_or_of_another_kind_is_called():
    cell = Layer("relu", LAYERS[0], True)
    assert joins(cell.conv, cell.norm)
    handle = cell.conv.register_forward_pre_hook(lambda *_: None)
    assert not joins(cell.conv, cell.norm)
    handle.remove()
    handle = cell.norm.register_forward_pre_hook(lambda *_: None)
    assert not joins(cell.conv, cell.norm)
    handle.remove()
    assert joins(cell.conv, cell.norm)
    with apart(cell):
        assert not joins(cell.conv, cell.norm)
    assert joins(cell.conv, cell.norm)
    cell.conv.apart = True
    assert not joins(cell.conv, cell.norm)
    cell.conv.apart = False
    assert not joins(cell.conv, nn.BatchNorm2d(17)) and not joins(NativeConv2d(9, 17, 3, has_bias=True), cell.norm)
    cell.norm.set_train(True)
    assert not joins(cell.conv, cell.norm)


def test_a_sequence_is_its_cells_one_after_the_other(mode):
    layers = [Layer(kind, (6, 6, 3, 1, 1, 1, 8), True) for kind in ("relu", "relu6", "sigmoid", "none")]
    cells = [cell for layer in layers for cell in (layer.conv, layer.norm, layer.act) if cell is not None]
    x = Tensor(np.random.default_rng(2).normal(0, 1, (2, 6, 8, 8)).astype(np.float32))
    found = ConvNormActSequential(*cells).set_train(False)(x).asnumpy()
    assert np.array_equal(found, nn.SequentialCell(*cells).set_train(False)(x).asnumpy())
