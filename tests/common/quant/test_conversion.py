"""Cells put in the places of others, and which layers see values below 0."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from common.checkpoint import network_state
from common.models.layers import weighted_layers
from common.models.registry import model
from common.quant.conversion import replace_cells
from common.quant.dorefa import DoReFaWeight
from common.quant.layers import QuantConv2d, QuantDense
from common.quant.pact import PACTActivation
from common.quant.quantizable import traced_inputs
from common.runtime.context import execution_mode


class Nested(nn.Cell):
    """Layers as attributes, in sequential cells in each other, and in a list: (N, 3, 8, 8) to (N, 5)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, pad_mode="pad", padding=1, has_bias=True)
        inner = nn.SequentialCell(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 1, pad_mode="valid"))
        self.body = nn.SequentialCell(nn.ReLU(), nn.Conv2d(4, 4, 3, 2, pad_mode="pad", padding=1, group=2), inner)
        self.listed = nn.CellList([nn.Conv2d(6, 6, 3, pad_mode="valid")])
        self.last = nn.Dense(24, 5)

    def construct(self, x):
        x = self.body(self.stem(x))
        return self.last(self.listed[0](x).reshape(x.shape[0], -1))


PLACES = ["stem", "body.1", "body.2.2", "listed.0", "last"]


def images(count=2, size=8):
    return Tensor(np.random.default_rng(0).normal(0, 1, (count, 3, size, size)).astype(np.float32))


def signed_inputs(network, names, size):
    cells = weighted_layers(network)
    seen = traced_inputs(network, {name: cells[name] for name in names}, size)
    return [name for name in names if seen[name].signed]


def quantized(network, names, bits=8):
    """The named layers quantized, in their places."""
    layers, made = weighted_layers(network), {}
    for name in names:
        kind = QuantDense if isinstance(layers[name], nn.Dense) else QuantConv2d
        made[name] = kind(layers[name], None, PACTActivation(bits, 4.0, signed=True))
    return replace_cells(network, made)


def test_cells_are_replaced_wherever_they_are(mode):
    network = Nested()
    before, y = network_state.state(network), network.set_train(False)(images()).asnumpy()  # it has run before
    assert quantized(network, PLACES) is network
    cells = dict(network.cells_and_names())
    assert all(isinstance(cells[name], QuantConv2d | QuantDense) for name in PLACES)
    assert [name for name, cell in cells.items() if isinstance(cell, QuantConv2d | QuantDense)] == PLACES
    assert not weighted_layers(network)
    after = network_state.state(network)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert set(after) - set(before) == {f"{name}.quantize_input.{part}" for name in PLACES for part in ("bits", "clip")}
    found = network(images()).asnumpy()
    assert not np.array_equal(found, y)
    np.testing.assert_allclose(found, y, rtol=0, atol=0.25 * np.abs(y).max())


def test_parameters_are_named_by_their_places():
    network = quantized(Nested(), PLACES[1:3])
    assert [p.name for p in network.get_parameters()] == [name for name, _ in network.parameters_and_names()]
    assert "body.2.2.quantize_input.clip" in {p.name for p in network.trainable_params()}


def test_cells_that_are_not_named_stay():
    network = Nested()
    cells = dict(network.cells_and_names())
    replace_cells(network, {})
    quantized(network, ["body.1"])
    after = dict(network.cells_and_names())
    assert all(after[name] is cells[name] for name in cells if not name.startswith("body.1") and name)


def test_a_replaced_cell_is_the_one_that_runs():
    network = nn.SequentialCell(nn.SequentialCell(nn.ReLU(), nn.ReLU()), nn.ReLU())
    with execution_mode("pynative"):
        replace_cells(network, {"0.1": nn.Sigmoid()})
        assert network(Tensor(np.zeros((1, 1), np.float32))).asnumpy().tolist() == [[0.5]]


def test_a_cell_that_holds_the_one_in_its_place():
    """Its parameters have been renamed by then."""
    network = nn.SequentialCell(nn.SequentialCell(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 1)), nn.ReLU())
    for name, parameter in network.parameters_and_names():
        parameter.name = name
    replace_cells(network, {"0.2": nn.SequentialCell(nn.ReLU(), weighted_layers(network)["0.2"])})
    assert [p.name for p in network.trainable_params()] == ["0.0.gamma", "0.0.beta", "0.2.1.weight"]
    with execution_mode("pynative"):
        assert network.set_train(False)(images()).shape == (2, 2, 8, 8)


def test_an_unknown_place_is_an_error():
    with pytest.raises(KeyError):
        replace_cells(Nested(), {"head.conv": nn.ReLU()})


def test_conversion_in_the_middle_of_graph_runs_takes_effect():
    network = Nested().set_train(False)
    with execution_mode("graph"):
        before = network(images()).asnumpy()
        layer = weighted_layers(network)["body.1"]
        replace_cells(network, {"body.1": QuantConv2d(layer, DoReFaWeight(2), None)})
        assert not np.allclose(network(images()).asnumpy(), before)


def test_signed_inputs_of_a_nested_network():
    network = Nested().set_train(True)
    assert signed_inputs(network, PLACES, 8) == ["stem", "listed.0", "last"]
    assert signed_inputs(network, PLACES[1:3], 8) == []
    assert network.training


def inner(network):
    return list(weighted_layers(network))[1:]


@pytest.mark.parametrize("name", ["preact_resnet20", "vgg16", "densenet40", "resnet18"])
def test_layers_behind_a_relu_are_not_signed(name):
    network = model(name).build(10)
    names = inner(network)
    assert signed_inputs(network, names, 32) == []


def test_the_inputs_of_linear_bottlenecks_are_signed():
    """The first convolution of every block that expands, and the last one of all, behind such a block."""
    network = model("mobilenet_v2_cifar").build(10)
    expected = [f"features.{index}.conv.0.0" for index in range(2, 18)] + ["features.18.0"]
    assert signed_inputs(network, inner(network), 32) == expected
