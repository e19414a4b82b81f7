"""A file with the parameter names of the published MindSpore network is loaded as that network."""

import mindspore as ms
import numpy as np
import pytest

from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError
from common.models.registry import model
from common.quant.dorefa import dorefa
from DynamicQuant import storage
from DynamicQuant.frozen import frozen
from DynamicQuant.published import published_network


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    """Small random weights under the published names."""
    rng, published = np.random.default_rng(0), {}
    for name, value in network_state.state(model("resnet18").build(1000)).items():
        spread = rng.uniform(0.5, 1.5, value.shape) if name.endswith(("gamma", "variance")) else None
        published[name] = rng.normal(0, 0.05, value.shape) if spread is None else spread
        layer = name.removesuffix(".weight")
        if name.startswith("layer") and name != layer:
            published |= {f"{layer}.quan_w.quantize2.scale": np.ones(1), f"{layer}.quan_a.quantize.scale": np.ones(1)}
            if not name.startswith("layer1") and "downsample" not in name:
                published[f"{layer}.bias"] = rng.normal(size=len(value))
    published |= {"fc1.weight": rng.normal(0, 0.1, (64, 4096)), "fc1.bias": rng.normal(size=64)}
    published |= {"fc2.weight": rng.normal(0, 0.1, (3, 64)), "fc2.bias": np.array([-9.0, 0.2, 0.3])}
    return {name: value.astype(np.float32) for name, value in published.items()}


@pytest.fixture(scope="module")
def latent(tensors, tmp_path_factory):
    """The file as a network to train further."""
    path = tmp_path_factory.mktemp("published") / "resnet18_dq.ckpt"
    ms.save_checkpoint([{"name": name, "data": ms.Tensor(value)} for name, value in tensors.items()], str(path))
    return storage.load(path, "resnet18", 1000)


@pytest.fixture(scope="module")
def stored(latent):
    """The same network to evaluate."""
    return frozen(latent)


def test_it_is_a_latent_network_with_the_weights_of_the_file(latent, tensors):
    state = network_state.state(latent.network)
    assert (latent.kind, latent.metadata["method"]) == ("latent", "DynamicQuant")
    for name in ("layer4.0.downsample.0.weight", "layer1.1.conv2.weight", "conv1.weight", "fc.bias"):
        assert np.array_equal(state[name], tensors[name])
    for name in latent.network.dynamic:
        assert state[f"{name}.bits"].tolist() == [3, 4, 5]
        assert state[f"{name}.quantize_weight.scale"].tolist() == [1, 1, 1] and state[f"{name}.clip"].tolist() == [1]


def agrees(quantized: np.ndarray, weight: np.ndarray, bits: int) -> None:
    """The values are those of the equation; one of tanh's last bit between two levels may be on the next one."""
    apart = np.abs(quantized - dorefa(weight, bits))
    assert (apart > 0).sum() <= 2 and apart.max() < 2.01 / (2**bits - 1)


def test_every_layer_has_its_weights_at_every_width(stored, tensors):
    state, dynamic = network_state.state(stored.network), stored.network.dynamic
    assert len(dynamic) == 15 and "layer4.0.downsample.0" in dynamic
    for name in dynamic:
        for bits, weight in zip((3, 4, 5), state[f"{name}.weight"], strict=True):
            agrees(weight, tensors[f"{name}.weight"], bits)
    agrees(state["layer1.1.conv2.weight"], tensors["layer1.1.conv2.weight"], 4)
    for name in ("conv1.weight", "layer3.0.downsample.1.moving_variance", "fc.bias"):
        assert np.array_equal(state[name], tensors[name])


def test_all_layers_follow_the_scores_of_the_linear_controller(stored, tensors):
    x = np.random.default_rng(1).uniform(0, 2, (5, 64, 56, 56)).astype(np.float32)
    pooled = x.reshape(5, 64, 8, 7, 8, 7).mean((3, 5)).reshape(5, -1)
    hidden = pooled @ tensors["fc1.weight"].T + tensors["fc1.bias"]
    expected = hidden @ tensors["fc2.weight"].T + tensors["fc2.bias"]
    scores = stored.network.controller(ms.Tensor(x)).asnumpy()
    assert scores.shape == (5, 15, 3) and np.ptp(scores, axis=1).max() == 0
    assert (scores < 0).any() and np.allclose(scores[:, 0], expected, atol=1e-3)


def test_a_shortcut_computes_the_chosen_width(stored, tensors):
    layer = stored.network.layer2[0].downsample[0]
    x = np.random.default_rng(2).uniform(-0.5, 1.5, (2, 64, 8, 8)).astype(np.float32)
    mask = np.array([[1, 0, 0], [0, 0, 1]], np.float32)
    outputs = layer(ms.Tensor(x), ms.Tensor(mask)).asnumpy()
    for index, bits in enumerate((3, 5)):
        steps = 2**bits - 1
        inputs = np.rint(np.clip(x[index, :, ::2, ::2], 0, 1) * steps) / steps
        weight = dorefa(tensors["layer2.0.downsample.0.weight"], bits)[:, :, 0, 0]
        assert np.allclose(outputs[index], np.einsum("fc,chw->fhw", weight, inputs), atol=1e-3)


def test_images_are_classified_with_one_choice_each(stored, pynative):
    images = np.random.default_rng(3).normal(size=(1, 3, 224, 224)).astype(np.float32)
    logits, masks = stored.network.set_train(False).decide(ms.Tensor(images))
    assert logits.shape == (1, 1000) and np.isfinite(logits.asnumpy()).all()
    assert np.ptp(masks.asnumpy(), axis=1).max() == 0 and masks.asnumpy().sum() == 15


def test_another_controller_is_refused(tensors, tmp_path):
    content = checkpoint.Checkpoint(tmp_path / "a.ckpt", {**tensors, "fc2.bias": np.zeros(36, np.float32)}, {})
    with pytest.raises(CheckpointError, match=r"a\.ckpt: expected fc1 and fc2 of"):
        published_network(content, "resnet18")


def test_other_files_are_float_networks(tmp_path):
    content = checkpoint.Checkpoint(tmp_path / "a.pth", {"fc.bias": np.zeros(7, np.float32)}, {})
    assert published_network(content, "resnet18")[1] == {
        "kind": "float",
        "network": "resnet18",
        "num_classes": 7,
    }
