"""The adder ResNets against the published network's logits."""

from contextlib import nullcontext

import numpy as np
import pytest
from mindspore import Tensor

from AdderQuant import storage
from AdderQuant.network import ARCHITECTURES, adder_layers
from AdderQuant.prepare import save
from common.kernels.custom import without_native
from common.models.registry import model
from common.runtime.context import execution_mode
from common.stored.network import StoredNetwork


@pytest.mark.parametrize(
    ("mode", "native", "images"),
    [("graph", True, 64), ("pynative", True, 64), ("graph", False, 8), ("pynative", False, 8)],
)
def test_logits_are_the_published_networks(published, shared, mode, native, images):
    golden = np.load(shared / "golden" / "addernet_resnet20_logits.npz")
    x = ((golden["images"] / 255 - golden["mean"]) / golden["std"]).astype(np.float32).transpose(0, 3, 1, 2)
    with nullcontext() if native else without_native():
        network = storage.load(published).network
    network.set_train(False)
    with execution_mode(mode):
        logits = network(Tensor(np.ascontiguousarray(x[:images]))).asnumpy()
    expected = golden["logits"]
    assert np.abs(logits - expected[:images]).max() < 1e-3 * np.ptp(expected)


def test_every_convolution_but_the_first_and_last_is_an_adder(float_network):
    layers = adder_layers(float_network)
    assert len(layers) == 20  # 18 of 3 x 3 and two 1 x 1 shortcuts
    assert sum(layer.weight.size for layer in layers.values()) == 269_824


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_saved_float_networks_come_back_equal(tmp_path, network):
    built = model(network).build(7)
    metadata = {"kind": "float", "network": network, "num_classes": 7}
    save(tmp_path / "net.safetensors", StoredNetwork(built, metadata))
    loaded = storage.load(tmp_path / "net.safetensors")
    assert loaded.metadata == {"method": "AdderQuant", **metadata}
    for ours, theirs in zip(built.get_parameters(), loaded.network.get_parameters(), strict=True):
        assert ours.name == theirs.name and np.array_equal(ours.asnumpy(), theirs.asnumpy())
