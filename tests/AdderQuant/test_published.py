"""Files with the parameter names of the published MindSpore network load as its PyTorch ones do."""

import mindspore as ms
import numpy as np
import pytest

from AdderQuant import storage
from AdderQuant.network import adder_layers
from common.checkpoint import network_state
from common.errors import CheckpointError
from common.models.registry import model


@pytest.fixture(scope="module")
def network():
    """A float network of random weights, for 7 classes."""
    built, rng = model("adder_resnet20").build(7), np.random.default_rng(0)
    values = {name: rng.uniform(0.1, 1, value.shape) for name, value in network_state.state(built).items()}
    network_state.restore(built, {name: value.astype(np.float32) for name, value in values.items()})
    return built


def published(network) -> dict[str, np.ndarray]:
    """The network's tensors under the published names, with the state of the quantizers."""
    tensors, layers = {}, adder_layers(network)
    for name, value in network_state.state(network).items():
        layer = name.removesuffix(".weight")
        if layer in layers:
            tensors |= {f"{layer}.scale_para": np.ones(4, np.float32), f"{layer}.adder": value}
            tensors[f"{layer}.adder_new"] = np.zeros_like(value)
        else:
            tensors[name.removeprefix("head.")] = value
    return tensors


def save(path, tensors):
    ms.save_checkpoint([{"name": name, "data": ms.Tensor(value)} for name, value in tensors.items()], str(path))


@pytest.mark.parametrize("quantizers", [True, False])
def test_every_tensor_finds_its_place(network, tmp_path, quantizers):
    tensors = published(network)
    assert {"conv1.weight", "layer2.0.downsample.0.adder", "fc.weight", "bn2.moving_variance"} <= set(tensors)
    if not quantizers:
        tensors = {name: value for name, value in tensors.items() if not name.endswith(("adder_new", "scale_para"))}
    save(tmp_path / "published.ckpt", tensors)
    stored = storage.load(tmp_path / "published.ckpt")
    expected, loaded = network_state.state(network), network_state.state(stored.network)
    assert stored.metadata == {"kind": "float", "network": "adder_resnet20", "num_classes": 7}
    assert expected.keys() == loaded.keys() and all(np.array_equal(expected[name], loaded[name]) for name in expected)


def test_a_missing_weight_is_still_an_error(network, tmp_path):
    tensors = published(network)
    del tensors["layer3.2.conv2.adder"]
    save(tmp_path / "published.ckpt", tensors)
    with pytest.raises(CheckpointError, match=r"missing layer3\.2\.conv2\.weight|missing: layer3\.2\.conv2\.weight"):
        storage.load(tmp_path / "published.ckpt")
