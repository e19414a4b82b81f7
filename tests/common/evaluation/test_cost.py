"""Costs of networks against numbers computed by hand."""

import numpy as np
import pytest
from mindspore import nn

from common.evaluation import cost
from common.models.resnet_cifar import ResNetCifar


class Small(nn.Cell):
    """Conv 3 -> 4 at 8 x 8, depthwise 4 at 4 x 4, another by name, linear 4 -> 5."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, 1, pad_mode="pad", padding=1, has_bias=True)
        self.depthwise = nn.Conv2d(4, 4, 3, 2, pad_mode="pad", padding=1, group=4)
        self.last = nn.Dense(4, 5)
        self.adder = nn.Conv2d(4, 4, 1)

    def construct(self, x):
        x = self.adder(self.depthwise(self.first(x)))
        return self.last(x.mean((2, 3)))


BITS = {"depthwise": (4, 8), "adder": (3, 5)}


def test_layers_of_a_small_network(mode):
    layers = cost.trace(Small(), (3, 8, 8), adders=["adder"], bits=BITS)
    assert [(layer.name, layer.kind, layer.weights, layer.macs) for layer in layers] == [
        ("first", "mac", 4 * 3 * 9, 4 * 3 * 9 * 64),
        ("depthwise", "mac", 4 * 9, 4 * 9 * 16),
        ("adder", "adder", 16, 16 * 16),
        ("last", "mac", 20, 20),
    ]
    assert [(layer.weight_bits, layer.activation_bits) for layer in layers] == [(32, 32), (4, 8), (3, 5), (32, 32)]
    operations = [6912 * 1024, 576 * 32, 2 * 5 * 256, 20 * 1024]
    assert [layer.bit_operations for layer in layers] == operations
    assert [layer.activations for layer in layers] == [3 * 64, 4 * 64, 4 * 16, 4]


def test_summary_of_a_small_network():
    summary = cost.summary(cost.trace(Small(), (3, 8, 8), ["adder"], BITS), model_bytes=1234)
    weights, macs = 108 + 36 + 16 + 20, 6912 + 576 + 256 + 20
    assert summary == {
        "average_weight_bits": pytest.approx((128 * 32 + 36 * 4 + 16 * 3) / weights),
        "average_activation_bits": pytest.approx((6932 * 32 + 576 * 8 + 256 * 5) / macs),
        "quantized_weight_bits": pytest.approx((36 * 4 + 16 * 3) / 52),
        "model_bytes": 1234,
        "float_bytes": 4 * weights,
        "macs": 6912 + 576 + 20,
        "additions": 512,
        "bit_operations": 6912 * 1024 + 576 * 32 + 2560 + 20 * 1024,
        "bit_operations_formula": cost.BIT_OPERATIONS,
        "bits_of_layers": {"first": [32, 32], "depthwise": [4, 8], "adder": [3, 5], "last": [32, 32]},
    }


def test_float_network_has_32_bits():
    costs = cost.summary(cost.trace(Small(), (3, 8, 8)), 0)
    assert costs["average_weight_bits"] == costs["average_activation_bits"] == costs["quantized_weight_bits"] == 32
    assert costs["additions"] == 0 and costs["macs"] == 6912 + 576 + 256 + 20


def test_tracing_leaves_the_network_as_it_was(mode):
    network = Small()
    first = cost.trace(network, (3, 8, 8))
    assert cost.trace(network, (3, 8, 8)) == first and len(first) == 4


def resnet_macs(depth):
    """(all, without first and last layer), from He et al.'s table: a 3x3 convolution keeps 16 * 16 * 9 * 32 * 32."""
    blocks, same = (depth - 2) // 6, 16 * 16 * 9 * 32 * 32
    stages = 2 * blocks * same + 2 * (same // 2 + (2 * blocks - 1) * same)
    shortcuts = 2 * 16 * 32 * 16 * 16
    return 3 * 16 * 9 * 32 * 32 + stages + shortcuts + 640, stages + shortcuts


# Published: 40.81 MMAC of ResNet-20; 0.646, 1.099 and 2.005 G bit operations at 4 bits without first and last layer.
@pytest.mark.parametrize(("depth", "giga"), [(20, 0.646), (32, 1.099), (56, 2.005)])
def test_resnets(depth, giga):
    network = ResNetCifar(depth, shortcut="conv")
    names = [name for name, cell in network.cells_and_names() if isinstance(cell, nn.Conv2d) and name != "conv1"]
    layers = cost.trace(network, (3, 32, 32), bits=dict.fromkeys(names, (4, 4)))
    summary = cost.summary(layers, 0)
    total, inner = resnet_macs(depth)
    assert summary["macs"] == total
    assert summary["bit_operations"] == 16 * inner + 1024 * (total - inner)
    assert 16 * inner / 1e9 == pytest.approx(giga, abs=5e-4)
    assert len(layers) == depth + 2
    if depth == 20:
        assert total / 1e6 == pytest.approx(40.81, abs=5e-3)
        assert summary["float_bytes"] == 4 * (432 + 13_824 + 50_688 + 202_752 + 2_560 + 640)


def test_pad_shortcuts_cost_nothing():
    macs = cost.summary(cost.trace(ResNetCifar(20), (3, 32, 32)), 0)["macs"]
    assert macs == resnet_macs(20)[0] - 2 * 16 * 32 * 16 * 16


@pytest.mark.parametrize(("bits", "size"), [(1, 2), (2, 3), (3, 5), (4, 6), (5, 7), (8, 11)])
def test_stored_bytes(bits, size):
    """11 codes of b bits fill ceil(11 b / 8) bytes, the rest keeps its type's width."""
    tensors = {
        "codes": np.zeros(11, np.uint8),
        "scale": np.zeros((3, 2), np.float32),
        "half": np.zeros(5, np.float16),
        "group": np.zeros(7, np.uint8),
    }
    assert cost.stored_bytes(tensors, {"codes": bits}) == size + 24 + 10 + 7
    assert cost.stored_bytes(tensors, {}) == 11 + 24 + 10 + 7
