"""MobileNetV2: torchvision's size and names, PyTorch's layers from a state file, grouped convolutions, gradients."""

import numpy as np
import pytest
from mindspore import Tensor, nn
from network_checks import (
    check_both_modes,
    check_gradients,
    check_logits,
    images,
    randomise_norms,
    run,
    size,
    take_parameters,
)

from common.data import IMAGENET, imagenet
from common.models.layers import Layers, conv2d, weighted_layers
from common.models.mobilenet_v2 import InvertedResidual, MobileNetV2
from common.models.norm_act import apart
from common.models.registry import model
from common.stored.float_network import load_float

# The paper's table 2: expansion t, filters c, blocks n, stride s of the first.
TABLE = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def test_parameter_counts():
    assert size(model("mobilenet_v2").build(1000)) == 3_504_872  # torchvision's
    assert size(model("mobilenet_v2_cifar").build(10)) == 3_504_872 - 990 * 1281


def torch_mobilenet(torch, classes, small=False):
    """The network in plain torch layers, under torchvision's names."""

    def activated(channels, filters, kernel, stride=1, groups=1):
        conv = torch.nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
        return torch.nn.Sequential(conv, torch.nn.BatchNorm2d(filters), torch.nn.ReLU6())

    class Block(torch.nn.Module):
        def __init__(self, channels, filters, stride, expansion):
            super().__init__()
            hidden, self.residual = channels * expansion, stride == 1 and channels == filters
            cells = [activated(channels, hidden, 1)] if expansion > 1 else []
            cells += [activated(hidden, hidden, 3, stride, hidden), torch.nn.Conv2d(hidden, filters, 1, bias=False)]
            self.conv = torch.nn.Sequential(*cells, torch.nn.BatchNorm2d(filters))

        def forward(self, x):
            return x + self.conv(x) if self.residual else self.conv(x)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            cells, channels = [activated(3, 32, 3, 1 if small else 2)], 32
            for expansion, filters, count, stride in TABLE:
                stride = 1 if small and filters == 24 else stride
                for index in range(count):
                    cells.append(Block(channels, filters, 1 if index else stride, expansion))
                    channels = filters
            self.features = torch.nn.Sequential(*cells, activated(320, 1280, 1))
            self.classifier = torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Linear(1280, classes))

        def forward(self, x):
            return self.classifier(self.features(x).mean((2, 3)))

    return randomise_norms(torch, Network())


def test_state_file_of_torchvisions_names_gives_its_logits(tmp_path):
    torch = pytest.importorskip("torch")
    reference = torch_mobilenet(torch, 20)
    torch.save(reference.state_dict(), tmp_path / "mobilenet_v2.pth")
    stored = load_float(tmp_path / "mobilenet_v2.pth", "mobilenet_v2")
    assert stored.metadata == {"kind": "float", "network": "mobilenet_v2", "num_classes": 20}
    check_logits(torch, stored.network, reference, images(2, 3, 64, 96))


@pytest.mark.slow
def test_torchvisions_weights_give_pytorchs_logits_of_real_images(shared):
    torch = pytest.importorskip("torch")
    file = shared / "checkpoints" / "mobilenet_v2-b0353104.pth"
    source = imagenet.load(shared / "data" / "imagenet_val", "test")
    reference = torch_mobilenet(torch, 1000)
    reference.load_state_dict(torch.load(file, weights_only=True))
    x = source.eval_batch(np.array([0, 300, 649]), IMAGENET)
    check_logits(torch, load_float(file, "mobilenet_v2").network, reference, x)


def test_logits_for_small_images_are_those_of_pytorch_layers():
    torch = pytest.importorskip("torch")
    network, reference = MobileNetV2(7, small_images=True), torch_mobilenet(torch, 7, small=True)
    take_parameters(network, reference)
    check_logits(torch, network, reference, images(2, 3, 32, 32))


def test_names_are_torchvisions():
    names = {parameter.name for parameter in MobileNetV2(10).get_parameters()}
    assert len(names) == 52 * 5 + 2  # a weight and four parameters of its norm for each convolution, the linear layer
    assert names >= {
        "features.0.0.weight",
        "features.0.1.gamma",
        "features.1.conv.0.0.weight",
        "features.1.conv.1.weight",
        "features.1.conv.2.moving_mean",
        "features.2.conv.1.0.weight",
        "features.17.conv.2.weight",
        "features.17.conv.3.beta",
        "features.18.0.weight",
        "classifier.1.weight",
        "classifier.1.bias",
    }


@pytest.mark.parametrize(("small", "image"), [(True, 32), (False, 64)])
def test_last_feature_map(small, image):
    network = MobileNetV2(10, small_images=small)
    y, side = run(network.features, images(1, 3, image, image)), 4 if small else image // 32
    assert y.shape == (1, 1280, side, side)
    assert y.min() >= 0 and y.max() <= 6


@pytest.mark.parametrize(("filters", "stride", "expansion"), [(4, 1, 3), (4, 2, 3), (6, 1, 1)])
def test_block_in_both_modes(filters, stride, expansion):
    block, x = InvertedResidual(4, filters, stride, expansion, Layers()), images(2, 4, 8, 8)
    y = check_both_modes(block, x)
    assert y.shape == (2, filters, 8 // stride, 8 // stride)
    alone = check_both_modes(block.conv, x)
    assert np.allclose(y, x + alone if (filters, stride) == (4, 1) else alone, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("small", [True, False])
def test_blocks_in_one_operator_have_the_bits_of_their_layers(small, mode):
    side = 32 if small else 128
    x = Tensor(images(3, 3, side, side))
    together, alone = (MobileNetV2(10, small_images=small).set_train(False) for _ in range(2))
    rng = np.random.default_rng(0)
    for one, other in zip(together.get_parameters(), alone.get_parameters(), strict=True):
        if one.name.endswith(("moving_mean", "beta")):
            one.set_data(Tensor(rng.normal(0, 0.3, one.shape).astype(np.float32)))
        other.set_data(one)
    with apart(alone):
        assert np.array_equal(together(x).asnumpy(), alone(x).asnumpy())


def test_every_parameter_gets_a_gradient():
    check_gradients(MobileNetV2(10, small_images=True), 32, 10)


def test_layers_are_pluggable():
    """Only depthwise convolutions are asked for with groups, and activations are those of ``act6``."""
    plain, depthwise, stems, acts = [], [], [], []

    def conv(channels, filters, *shape, **options):
        (depthwise if options else plain).append((channels, filters, *shape, *options.items()))
        return conv2d(channels, filters, *shape, **options)

    def stem(*shape):
        stems.append(shape)
        return conv2d(*shape)

    def unused():
        raise AssertionError("act is not this network's")

    layers = Layers(conv, stem, act=unused, act6=lambda: (acts.append(1), nn.ReLU6())[1])
    network = MobileNetV2(10, layers)
    assert stems == [(3, 32, 3, 2, 1)] and len(plain) == 34 and len(acts) == 35
    assert all(shape[2:] == (1, 1, 0) for shape in plain)
    assert len(depthwise) == 17 and depthwise[:2] == [
        (32, 32, 3, 1, 1, ("groups", 32)),
        (96, 96, 3, 2, 1, ("groups", 96)),
    ]
    assert list(weighted_layers(network))[-1] == "classifier.1"


def test_grouped_convolution_is_he_initialised():
    layer = conv2d(256, 512, 3, 1, 1, groups=32)
    assert isinstance(layer, nn.Conv2d) and layer.group == 32 and layer.weight.shape == (512, 8, 3, 3)
    assert layer.weight.asnumpy().std() == pytest.approx((2 / (512 / 32 * 9)) ** 0.5, rel=0.03)


def test_dropout_is_inactive_in_evaluation():
    network, x = MobileNetV2(10, small_images=True), images(1, 3, 32, 32)
    assert network.classifier[0].p == 0.2
    assert np.array_equal(run(network, x), run(network, x))
