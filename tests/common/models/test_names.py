"""Names of networks: ours, those that older files record, and those of the tensors of published files."""

import numpy as np
import pytest
from mindspore import Tensor

from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError
from common.models.registry import MODELS, architecture, model, recorded_architecture
from common.stored.float_network import load_float
from common.zoo import known

OTHER = {
    "ResNet20": "resnet20",
    "ResNet110": "resnet110",
    "PreActResNet32": "preact_resnet32",
    "ResNet18-ImageNet": "resnet18",
    "ResNet50-ImageNet": "resnet50",
    "VGG-small": "vgg_small",
    "VGG-16": "vgg16",
    "MobileNetV2": "mobilenet_v2_cifar",
    "MobileNetV2-ImageNet": "mobilenet_v2",
    "DenseNet100": "densenet100",
}


def test_all_names_are_lower_case():
    assert all(name == name.lower() and "-" not in name for name in MODELS)


@pytest.mark.parametrize("name", OTHER)
def test_what_older_files_record(name):
    assert architecture(name) == recorded_architecture({"network": name}) == OTHER[name]
    assert OTHER[name] in MODELS


def test_todays_names_stay():
    for name in MODELS:
        assert architecture(name) == recorded_architecture({"network": name, "method": "AdderQuant"}) == name or (
            name in ("resnet20", "resnet32")
        )
    assert recorded_architecture({"network": "Other"}) == "Other" and recorded_architecture({}) == "None"


def test_the_adder_networks_of_version_0_1():
    assert recorded_architecture({"network": "resnet20", "method": "AdderQuant"}) == "adder_resnet20"
    assert recorded_architecture({"network": "resnet32", "method": "AdderQuant"}) == "adder_resnet32"
    assert recorded_architecture({"network": "resnet20", "method": "LDNQ"}) == "resnet20"


def test_files_of_version_0_1_load_under_todays_name(tmp_path):
    state = network_state.state(model("resnet20").build(3))
    checkpoint.save(tmp_path / "net.ckpt", state, {"kind": "float", "network": "ResNet20", "num_classes": 3})
    assert load_float(tmp_path / "net.ckpt", "resnet20").metadata["network"] == "resnet20"
    with pytest.raises(CheckpointError, match="expected resnet32, found resnet20"):
        load_float(tmp_path / "net.ckpt", "resnet32")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("resnet20-12fca82f.th", "resnet20"),
        ("resnet20-apot-float.pth.tar", "resnet20_conv"),
        ("resnet20-addernet.pth", "adder_resnet20"),
    ],
)
def test_published_files(shared, pynative, file, name):
    stored = load_float(shared / "checkpoints" / file, name)
    about = {"kind": "float", "network": name, "num_classes": 10}
    assert stored.metadata == {**known.recorded(shared / "checkpoints" / file), **about}
    images = np.random.default_rng(0).normal(0, 1, (2, 3, 32, 32)).astype(np.float32)
    logits = stored.network.set_train(False)(Tensor(images)).asnumpy()
    assert logits.shape == (2, 10) and np.isfinite(logits).all() and logits.std() > 0.1


def test_a_published_file_of_other_shortcuts_does_not_fit(shared):
    with pytest.raises(CheckpointError, match="those of resnet20_conv"):
        load_float(shared / "checkpoints" / "resnet20-apot-float.pth.tar", "resnet20")


def test_tensors_that_a_network_does_not_have_are_dropped():
    tensors = {"layer1.0.conv1.adder": 1, "layer1.0.conv1.adder_new": 2, "layer1.0.conv1.scale_para": 3, "fc.weight": 4}
    assert model("adder_resnet20").from_published(tensors) == {"layer1.0.conv1.weight": 1, "head.fc.weight": 4}
