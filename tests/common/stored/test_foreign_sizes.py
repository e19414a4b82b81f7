"""Metadata under a right seal that ask for more than the file holds, and published files of another architecture."""

import resource
import time

import numpy as np
import pytest
from mindspore.nn.utils import no_init_parameters

import DAMBQ.storage
import LDNQ.storage
from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError
from common.models.registry import MODELS, model, recorded_architecture
from common.stored.float_network import load_float
from common.stored.shipped import ROOT
from common.stored.signature import check_size, fitting, signature

DIGITS = ROOT / "common/zoo/files/resnet20_digits.ckpt"
PACKED = ROOT / "LDNQ/checkpoints/ternary_resnet20_digits.ckpt"


def sealed_anew(source, path, **metadata):
    content = checkpoint.load(source)
    widths = {name: int(name[-1]) for name in content.tensors if name.startswith("codes_")}
    widths |= {"bits": 4, "layout": 4} if widths else {}
    about = {key: value for key, value in content.metadata.items() if key != "class_names"}  # their count is compared
    checkpoint.save(path, content.tensors, {**about, **metadata}, packed=widths)
    return path


@pytest.mark.parametrize("classes", [10**7, 10**9, 2**62, 10**30])
@pytest.mark.parametrize(
    ("source", "load"),
    [(DIGITS, lambda path: load_float(path, "resnet20")), (DIGITS, DAMBQ.storage.load), (PACKED, LDNQ.storage.load)],
    ids=["float", "float of a method", "packed"],
)
def test_a_network_of_238_gib_is_not_built(tmp_path, source, load, classes):
    path = sealed_anew(source, tmp_path / "net.ckpt", num_classes=classes)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(CheckpointError, match=rf"net\.ckpt: expected tensors of a resnet20 of {classes:,} classes"):
        load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB
    assert time.monotonic() - start < 10


def test_networks_of_the_files_that_ship_pass(tmp_path):
    for path in (*ROOT.glob("*/checkpoints/*.ckpt"), *ROOT.glob("common/zoo/files/*.ckpt")):
        content = checkpoint.load(path)
        check_size(content, recorded_architecture(content.metadata), content.metadata["num_classes"])
    few = checkpoint.Checkpoint(tmp_path, {"w": np.zeros(1, np.float32)}, {})
    check_size(few, "resnet20", 10)
    with pytest.raises(CheckpointError, match="found too few"):
        check_size(few, "resnet50", 20_000)


@pytest.mark.parametrize("name", ["resnet20", "vgg_small", "mobilenet_v2_cifar"])
def test_a_signature_is_that_of_the_network(name):
    state = network_state.state(model(name).build(7))
    assert signature(name, 7) == {place: value.shape for place, value in state.items()}


@pytest.mark.slow
def test_every_architecture_is_known_by_its_own_names_and_shapes():
    for name in MODELS:
        shapes = signature(name, 12)
        tensors = {place: np.broadcast_to(np.float32(0), shape) for place, shape in shapes.items()}
        assert name in fitting(tensors)
        assert fitting({**tensors, "other": np.zeros(1)}) == []
    with no_init_parameters():
        assert signature("resnet20", 12) is signature("resnet20", 12)


@pytest.fixture
def published(tmp_path):
    """A file of a resnet20 without metadata, under the names that PyTorch has."""
    from safetensors.numpy import save_file

    leaves = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    arrays = {}
    for name, array in checkpoint.load(DIGITS).tensors.items():
        layer, _, leaf = name.replace("head.fc", "linear").rpartition(".")
        arrays[f"module.{layer}.{leaves.get(leaf, leaf)}"] = np.ascontiguousarray(array)
    save_file(arrays, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    "name", ["preact_resnet20", "resnet20_conv", "resnet56", "vgg16", "adder_resnet20", "resnet18"]
)
def test_the_architecture_that_fits_is_proposed(published, name):
    for load in (load_float, LDNQ.storage.load):
        with pytest.raises(CheckpointError, match=f"expected the weights of {name}, found those of resnet20; choose"):
            load(published, name)


def test_the_right_architecture_is_loaded(published):
    network = load_float(published, "resnet20").network
    expected = checkpoint.load(DIGITS).tensors
    state = network_state.state(network)
    assert all(np.array_equal(state[name], expected[name]) for name in expected)


def test_without_a_fit_the_names_are_listed(tmp_path):
    from safetensors.numpy import save_file

    save_file({"head.fc.weight": np.zeros((10, 64), np.float32)}, tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match=r"not one of this network; \d+ missing"):
        load_float(tmp_path / "net.safetensors", "resnet20")
