"""Networks through the door: loaded, evaluated, quantized and saved."""

import numpy as np
import pytest
from mindspore import Tensor, nn

import lowbitzoo
from common import checkpoint, zoo
from common.data import DIGITS, open_dataset
from common.errors import CheckpointError, ConfigError
from common.models.registry import model
from lowbitzoo import methods

pytestmark = pytest.mark.usefixtures("pynative")
IMAGES = Tensor(np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32))


class MyNetwork(nn.Cell):
    """A network that is not in the zoo."""

    def __init__(self):
        super().__init__()
        first, second = (nn.Conv2d(channels, 8, 3, 2, "pad", 1) for channels in (3, 8))
        self.layers = nn.SequentialCell(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Dense(512, 10))

    def construct(self, x):
        return self.layers(x)


@pytest.mark.parametrize("method", methods.METHODS)
def test_shipped_networks_load_by_name(method):
    name = lowbitzoo.list_checkpoints(method, "digits")[0]
    stored = lowbitzoo.load(name)
    assert stored.metadata["method"] == method and stored.network(IMAGES).shape == (2, 10)


def test_an_evaluation_counts_the_images_that_it_is_given():
    stored = lowbitzoo.load("resnet20-digits")
    metrics = lowbitzoo.evaluate(stored, num_samples=20, batch_size=10)
    twenty = open_dataset("digits", None, "test").spread(20)
    again = lowbitzoo.evaluate(stored.network, images=twenty, batch_size=20, preprocessing=DIGITS)
    assert metrics.samples == again.samples == 20 and metrics.correct == again.correct >= 19


def test_images_of_unknown_preprocessing_are_refused():
    with pytest.raises(ConfigError, match="preprocessing: expected that of the images"):
        lowbitzoo.evaluate(MyNetwork(), images=open_dataset("digits", None, "test"))


@pytest.mark.parametrize("method", ["DAMBQ", "DynamicQuant", "ProQHA"])
def test_a_quantized_network_is_saved_packed_and_loaded(method, tmp_path):
    stored = lowbitzoo.quantize(lowbitzoo.load("resnet20-digits"), method)
    file = lowbitzoo.save(stored, tmp_path / "packed.ckpt")
    again = lowbitzoo.load(file)
    assert again.metadata["method"] == method and again.metadata["kind"] == "packed"
    assert file.stat().st_size < zoo.find("resnet20-digits").size
    assert lowbitzoo.save(again, tmp_path / "again.ckpt").read_bytes() == file.read_bytes()


def test_ones_own_network_is_saved_packed_and_loaded_into_another(tmp_path):
    stored = lowbitzoo.quantize(MyNetwork(), "DAMBQ", bits=3)
    file = lowbitzoo.save(stored, tmp_path / "mine.ckpt")
    again = lowbitzoo.load(file, network=MyNetwork())
    np.testing.assert_allclose(again.network(IMAGES).asnumpy(), stored.network(IMAGES).asnumpy(), rtol=1e-4, atol=1e-5)
    with pytest.raises(CheckpointError, match="network="):
        lowbitzoo.load(file)


def test_a_float_network_is_saved_as_it_is(tmp_path):
    stored = lowbitzoo.load("resnet20-digits")
    file = lowbitzoo.save(stored, tmp_path / "float.ckpt")
    tensors = checkpoint.load(zoo.locate("resnet20-digits")).tensors
    assert all(np.array_equal(value, tensors[name]) for name, value in checkpoint.load(file).tensors.items())


def test_metadata_say_what_was_quantized():
    stored = lowbitzoo.quantize(MyNetwork(), "DAMBQ", bits=3)
    assert stored.metadata["network"] == "MyNetwork" and stored.metadata["num_classes"] == 10
    assert stored.metadata["settings"]["bits"] == 3 and stored.network(IMAGES).shape == (2, 10)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: lowbitzoo.load("resnet20-digit"), ConfigError),
        (lambda: lowbitzoo.load("nothing.ckpt"), CheckpointError),
        (lambda: lowbitzoo.quantize(model("ResNet20").build(10), "LDNQ"), ConfigError),
        (lambda: lowbitzoo.quantize(model("ResNet20").build(10), "DAMBQ", bit=3), ConfigError),
    ],
)
def test_a_mistake_is_an_error_of_the_project(call, error):
    with pytest.raises(error, match=r"expected .+ found"):
        call()
