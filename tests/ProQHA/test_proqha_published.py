"""Published weights of another network: the line names the ``--arch`` that fits, in every script."""

import pytest
from safetensors.numpy import save_file
from script_runs import refused

from common.checkpoint import network_state
from common.models.registry import model
from ProQHA import correlation, export, measure, search, storage, train
from ProQHA import eval as evaluation

START = {"--pretrained": [train, search, correlation], "--checkpoint_path": [evaluation, export, measure]}
PAIRS = [
    ("resnet20", "resnet20", "postresnet20"),
    ("resnet20", "preact_resnet20", "postresnet20"),
    ("preact_resnet20", "postresnet20", "preact_resnet20"),
    ("preact_resnet32", "resnet20", "preact_resnet32"),
    ("densenet40", "vgg16", "densenet40"),
]


@pytest.fixture
def published(tmp_path):
    """Write new weights without metadata."""

    def write(name):
        file = tmp_path / f"{name}.safetensors"
        save_file(network_state.state(model(name).build(10)), file)
        return file

    return write


@pytest.mark.parametrize(("option", "script"), [(option, script) for option in START for script in START[option]])
def test_every_script_proposes_the_name_that_fits(capsys, small_cifar, published, tmp_path, option, script):
    words = ["--dataset", "cifar10", "--dataset_path", small_cifar, "--output_dir", tmp_path]
    line = refused(capsys, script, *words, option, published("resnet20"), "--arch", "resnet20")
    assert line.endswith("expected the weights of preact_resnet20, found those of resnet20; give --arch postresnet20")


@pytest.mark.parametrize(("held", "asked", "proposed"), PAIRS)
def test_the_proposed_name_loads_the_file(capsys, small_cifar, published, tmp_path, held, asked, proposed):
    file = published(held)
    words = ["--dataset", "cifar10", "--dataset_path", small_cifar, "--checkpoint_path", file]
    assert refused(capsys, evaluation, *words, "--arch", asked).endswith(
        f"found those of {held}; give --arch {proposed}"
    )
    assert storage.load(file, held).metadata["network"] == held


def test_weights_of_no_network_of_the_method_are_named_by_the_registry(capsys, small_cifar, published):
    words = ["--dataset", "cifar10", "--dataset_path", small_cifar, "--checkpoint_path", published("vgg_small")]
    assert "found those of vgg_small" in refused(capsys, evaluation, *words, "--arch", "resnet20")
