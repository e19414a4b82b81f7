"""Parity with a ResNet written in plain torch layers, under torchvision's names, from random weights."""

import mindspore as ms
import numpy as np
import pytest

from common import checkpoint
from common.checkpoint import network_state
from common.checkpoint.pytorch.names import to_mindspore_names
from common.errors import CheckpointError, ConfigError
from common.models.layers import Layers
from common.models.resnet_imagenet import ResNetImageNet

PARAMETERS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032}  # torchvision's own counts


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_logits_are_those_of_torch(depth, tmp_path):
    torch = pytest.importorskip("torch")
    from torch_resnet import torch_resnet

    reference = torch_resnet(depth, 20)
    torch.save(reference.state_dict(), tmp_path / "resnet.pth")
    network = ResNetImageNet(depth, 20).set_train(False)
    network_state.restore(network, checkpoint.load(tmp_path / "resnet.pth").tensors, "resnet.pth")
    images = np.random.default_rng(0).normal(size=(2, 3, 70, 64)).astype(np.float32)
    with torch.no_grad():
        expected = reference(torch.tensor(images)).numpy()
    logits = network(ms.Tensor(images)).asnumpy()
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_parameter_count_is_torchvisions(depth):
    network = ResNetImageNet(depth)
    assert sum(p.size for p in network.trainable_params()) == PARAMETERS[depth]


def test_a_state_of_another_depth_is_refused():
    pytest.importorskip("torch")
    from torch_resnet import torch_resnet

    state = {name: tensor.numpy() for name, tensor in torch_resnet(18, 10).state_dict().items()}
    with pytest.raises(CheckpointError, match="missing"):
        network_state.restore(ResNetImageNet(34, 10), to_mindspore_names(state))


def test_layers_are_exchangeable():
    made = []

    def conv(*shape):
        made.append(shape)
        return Layers().conv(*shape)

    ResNetImageNet(50, 10, Layers(conv=conv))
    assert len(made) == 52 and (64, 256, 1, 1, 0) in made and (128, 128, 3, 2, 1) in made


def test_other_depths_are_refused():
    with pytest.raises(ConfigError, match="18, 34, 50, found 20"):
        ResNetImageNet(20)
