"""Networks by name and from files, VGG-small against PyTorch, and the gradient of the parameter-free shortcut."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from common import checkpoint
from common.checkpoint import network_state
from common.data import CIFAR10, CIFAR10_IMAGENET_STATS, DIGITS, IMAGENET, Preprocessing
from common.errors import CheckpointError, ConfigError
from common.models.layers import Layers, conv2d
from common.models.registry import MODELS, model, preprocessing_of
from common.models.resnet_cifar import PadShortcut
from common.models.vgg_small import VGGSmall
from common.stored.float_network import load_float, of_classes
from common.stored.signature import class_count

DIGITS_FILE = Path(__file__).resolve().parents[3] / "common" / "zoo" / "files" / "resnet20_digits.ckpt"
PUBLISHED = "resnet20-12fca82f.th"


def one_line(caught):
    return "\n" not in str(caught.value)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_built_with_its_number_of_classes(name):
    assert class_count(network_state.state(model(name).build(7))) == 7


@pytest.mark.parametrize("name", ["ResNet20", "VGG", "", "resnet44"])
def test_unknown_name(name):
    with pytest.raises(ConfigError, match=f"arch: expected one of resnet20, .*found {name!r}") as caught:
        model(name)
    assert one_line(caught) and all(known in str(caught.value) for known in MODELS)


@pytest.mark.parametrize(
    ("name", "dataset", "takes"),
    [
        ("resnet20", "imagenet", "digits or cifar10 or cifar100"),
        ("vgg_small", "imagenet", "digits or cifar10 or cifar100"),
        ("resnet18", "cifar10", "imagenet"),
        ("resnet50", "svhn", "imagenet"),
    ],
)
def test_data_set_of_other_images(name, dataset, takes):
    with pytest.raises(ConfigError, match=f"{name} takes {takes}, found dataset {dataset}") as caught:
        model(name, dataset)
    assert one_line(caught)


def test_data_set_that_fits():
    for name in MODELS:
        for dataset in MODELS[name].datasets:
            assert model(name, dataset) is model(name) is MODELS[name]


def test_preprocessing_is_the_recorded_one_else_that_of_the_data_set():
    recorded = Preprocessing(image_size=40, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), crop_padding=1, flip=True)
    assert preprocessing_of("digits", {"preprocessing": recorded.to_dict()}) == recorded
    assert preprocessing_of("digits", {}) == DIGITS and preprocessing_of("imagenet", {}) == IMAGENET
    assert preprocessing_of("cifar10", {"network": "resnet20"}) == CIFAR10_IMAGENET_STATS
    assert preprocessing_of("cifar10", {"network": "adder_resnet20"}) == CIFAR10
    assert preprocessing_of("cifar10", {"network": "resnet20", "method": "AdderQuant"}) == CIFAR10


def torch_vgg(torch, classes, seed=0):
    """VGG-small in plain torch layers with random weights and statistics."""
    torch.manual_seed(seed)
    cells, channels = [], 3
    for width, pool in ((128, False), (128, True), (256, False), (256, True), (512, False), (512, True)):
        cells.append(torch.nn.Conv2d(channels, width, 3, padding=1, bias=False))
        cells += [torch.nn.MaxPool2d(2)] if pool else []
        norm = torch.nn.BatchNorm2d(width)
        for values, low, high in ((norm.running_mean, -0.2, 0.2), (norm.running_var, 0.1, 0.5), (norm.bias, -0.2, 0.2)):
            torch.nn.init.uniform_(values, low, high)
        torch.nn.init.uniform_(norm.weight, -0.9, 0.9)  # below 0 too, where pooling before and after differ
        cells += [norm, torch.nn.ReLU()]
        channels = width

    class VGG(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.fc = torch.nn.Sequential(*cells), torch.nn.Linear(512 * 4 * 4, classes)

        def forward(self, x):
            return self.fc(self.features(x).flatten(1))

    return VGG().eval()


def test_vgg_small_is_that_of_pytorch(tmp_path, mode):
    torch = pytest.importorskip("torch")
    reference = torch_vgg(torch, 7)
    torch.save(reference.state_dict(), tmp_path / "vgg.pth")
    stored = load_float(tmp_path / "vgg.pth", "vgg_small")
    assert stored.metadata == {"kind": "float", "network": "vgg_small", "num_classes": 7}
    x = np.random.default_rng(1).normal(0, 1, (3, 3, 32, 32)).astype(np.float32)
    with torch.no_grad():
        expected = reference(torch.from_numpy(x)).numpy()
    logits = stored.network.set_train(False)(Tensor(x)).asnumpy()
    assert logits.shape == (3, 7)
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()


def test_vgg_small_has_the_parameters_of_its_description():
    """Without a bias but in the linear layer: 9 C F for each convolution, 2 F for each norm."""
    widths = (3, 128, 128, 256, 256, 512, 512)
    expected = sum(9 * c * f + 2 * f for c, f in pairwise(widths)) + 512 * 4 * 4 * 10 + 10
    assert sum(p.size for p in VGGSmall().trainable_params()) == expected == 4_660_106


def test_vgg_small_is_made_of_the_given_layers():
    calls = []

    def noting(name, factory):
        return lambda *args: (calls.append((name, *args)), factory(*args))[1]

    layers = Layers(
        noting("conv", conv2d), noting("stem", conv2d), noting("norm", nn.BatchNorm2d), noting("act", nn.ReLU6)
    )
    network = VGGSmall(10, layers)
    assert [call for call in calls if call[0] in ("conv", "stem")] == [
        ("stem", 3, 128, 3, 1, 1),
        ("conv", 128, 128, 3, 1, 1),
        ("conv", 128, 256, 3, 1, 1),
        ("conv", 256, 256, 3, 1, 1),
        ("conv", 256, 512, 3, 1, 1),
        ("conv", 512, 512, 3, 1, 1),
    ]
    kinds = [type(cell).__name__.removeprefix("Native") for cell in network.features.cells()]
    once, pooled = ["Conv2d", "BatchNorm2d", "ReLU6"], ["Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU6"]
    assert kinds == 3 * (once + pooled)


def test_float_network_of_this_project():
    stored, expected = load_float(DIGITS_FILE, "resnet20"), checkpoint.load(DIGITS_FILE)
    assert stored.metadata == {**expected.metadata, "network": "resnet20"}  # the file keeps the name of its version
    state = network_state.state(stored.network)
    assert all(np.array_equal(state[name], value) for name, value in expected.tensors.items())


def test_the_classes_of_a_file_are_those_of_the_data():
    stored = load_float(DIGITS_FILE, "resnet20")
    assert of_classes(DIGITS_FILE, stored, 10) is stored.network
    with pytest.raises(CheckpointError, match="expected a network of the data's 7 classes, found one of 10"):
        of_classes(DIGITS_FILE, stored, 7)


def test_published_network(shared):
    stored = load_float(shared / "checkpoints" / PUBLISHED, "resnet20")
    about = {"kind": "float", "network": "resnet20", "num_classes": 10, "dataset": "cifar10"}
    assert stored.metadata == {**about, "preprocessing": CIFAR10_IMAGENET_STATS.to_dict()}
    golden = np.load(shared / "golden" / "cifar_resnet_logits.npz")
    images = ((golden["images"] / np.float32(255) - golden["mean"]) / golden["std"]).transpose(0, 3, 1, 2)
    logits = stored.network.set_train(False)(Tensor(np.ascontiguousarray(images, np.float32))).asnumpy()
    assert np.abs(logits - golden["logits_resnet20"]).max() < 1e-3


def check_refused(path, name, *parts):
    with pytest.raises(CheckpointError) as caught:
        load_float(path, name)
    assert one_line(caught)
    assert all(part in str(caught.value) for part in (path.name, *parts)), caught.value


@pytest.mark.parametrize("name", ["resnet32", "vgg_small"])
def test_another_model_is_refused(shared, name):
    check_refused(DIGITS_FILE, name, f"expected {name}, found resnet20")
    check_refused(shared / "checkpoints" / PUBLISHED, name, f"expected the weights of {name}, found those of resnet20")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"kind": "quantized", "network": "resnet20", "num_classes": 10}, "found a quantized one"),
        ({"network": "resnet20", "num_classes": 10}, "found a different one"),
        ({"run": {"network": "resnet20"}, "history": []}, "found the state of a training run"),
        ({"kind": "float", "num_classes": 10}, "expected resnet20, found None"),
        ({"kind": "float", "network": "resnet20", "num_classes": 10}, "missing"),
    ],
    ids=["quantized", "no kind", "run", "no network", "no parameters"],
)
def test_file_that_is_not_the_float_network_is_refused(tmp_path, metadata, message):
    path = tmp_path / "network.ckpt"
    checkpoint.save(path, {"head.fc.bias": np.zeros(10, np.float32)}, metadata)
    check_refused(path, "resnet20", message)


@pytest.mark.parametrize("classes", [{}, {"num_classes": "ten"}, {"num_classes": -1}], ids=str)
def test_file_without_a_number_of_classes_is_refused(tmp_path, classes):
    shipped = checkpoint.load(DIGITS_FILE)
    checkpoint.save(tmp_path / "network.ckpt", shipped.tensors, {"kind": "float", "network": "resnet20", **classes})
    check_refused(tmp_path / "network.ckpt", "resnet20")


def test_file_that_is_absent_or_damaged_is_refused(tmp_path):
    check_refused(tmp_path / "absent.ckpt", "resnet20")
    content = DIGITS_FILE.read_bytes()
    (tmp_path / "damaged.ckpt").write_bytes(content[:-300] + bytes([content[-300] ^ 1]) + content[-299:])
    check_refused(tmp_path / "damaged.ckpt", "resnet20")


@pytest.mark.parametrize("size", [(2, 3, 8, 8), (1, 4, 5, 7), (2, 1, 1, 2)], ids=str)
@pytest.mark.parametrize(("new_channels", "stride"), [(4, 2), (3, 2), (5, 3), (2, 1)])
def test_gradient_of_the_pad_shortcut_is_that_of_slicing_and_padding(size, new_channels, stride, mode):
    torch = pytest.importorskip("torch")
    rng, before = np.random.default_rng(0), new_channels // 2
    x = torch.tensor(rng.normal(0, 1, size).astype(np.float32), requires_grad=True)
    y = torch.nn.functional.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, before, new_channels - before))
    gy = rng.normal(0, 1, y.shape).astype(np.float32)
    y.backward(torch.from_numpy(gy))
    shortcut, inputs = PadShortcut(new_channels, stride), Tensor(x.detach().numpy())
    assert np.array_equal(shortcut(inputs).asnumpy(), y.detach().numpy())
    gradient = ops.GradOperation(sens_param=True)(shortcut)(inputs, Tensor(gy)).asnumpy()
    assert np.array_equal(gradient, x.grad.numpy())


@pytest.mark.parametrize(
    ("name", "side", "count"), [("resnet20", 32, 9), ("resnet20_conv", 32, 9), ("resnet18", 64, 8)]
)
def test_blocks_lead_to_the_logits(mode, name, side, count):
    network = model(name).build(10).set_train(False)
    images = Tensor(np.random.default_rng(0).normal(size=(2, 3, side, side)).astype(np.float32))
    blocks, logits = network.blocks_and_logits(images)
    assert len(blocks) == count and all(block.shape[0] == 2 and block.ndim == 4 for block in blocks)
    np.testing.assert_array_equal(logits.asnumpy(), network(images).asnumpy())
