"""Networks of a method in files: the three kinds, and files that are none of them."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from common import checkpoint
from common.errors import CheckpointError, ConfigError
from common.models.registry import MODELS, Model
from common.quant.integer_weight import IntegerLayer, IntegerWeight, one
from common.quant.level_table import UNSIGNED
from common.quant.packed_layers import LayerShape
from common.stored.format import Format


class Small(nn.Cell):
    def __init__(self, classes=3):
        super().__init__()
        self.fc = nn.Dense(4, classes)

    def construct(self, x):
        return self.fc(x)


class Wrapped(nn.Cell):
    """Stands in the place of a network."""

    def __init__(self, network, bits):
        super().__init__()
        self.inner, self.bits = network, Parameter(Tensor(np.array([bits], np.int32)), requires_grad=False)

    def construct(self, x):
        return self.inner(x)


def quantize(network, settings, frozen):
    """In place, or by another cell, as the settings say."""
    bits = settings["bits"]
    if bits > 8:
        raise ConfigError(f"expected at most 8 bits, found {bits}")
    if settings.get("wrapped"):
        return Wrapped(network, int(bits))
    if not frozen:
        network.insert_param_to_cell("bits", Parameter(Tensor(np.array([int(bits)], np.int32)), "bits", False))
    return None


def layers(network):
    """The toy's weights are what they are: codes that count up, times a half."""
    return {"fc": IntegerLayer((WEIGHT,))}


def shapes(network):
    return {"fc": LayerShape(network.fc.weight.shape)}


def fill(network, integers):
    return {"fc.weight": integers["fc"].weights[0].dequantize()}


CODES = np.arange(12, dtype=np.uint8).reshape(3, 4)
WEIGHT = IntegerWeight(CODES, one(4, np.uint8), one(0.5, np.float32), UNSIGNED)
FORMAT = Format("Toy", quantize, layers, shapes, fill, lambda name: name == "bits")
ABOUT = {"method": "Toy", "network": "Small", "num_classes": 3, "settings": {"bits": 4}}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(MODELS, "Small", Model(Small, lambda name: name.replace("linear", "fc"), ("digits",)))


def tensors(**more):
    rng = np.random.default_rng(0)
    values = {"fc.weight": rng.normal(0, 1, (3, 4)), "fc.bias": rng.normal(0, 1, 3)}
    return {**{name: value.astype(np.float32) for name, value in values.items()}, **more}


def latent(path, **metadata):
    checkpoint.save(path, tensors(bits=np.array([5], np.int32)), {**ABOUT, "kind": "latent", **metadata})
    return path


def packed(path, **metadata):
    stored = FORMAT.load(latent(path.with_name("latent.ckpt")))
    FORMAT.save_packed(path, stored)
    if metadata:
        content = checkpoint.load(path)
        widths = {"codes_4": 4, "bits": 4, "layout": 4}
        checkpoint.save(path, content.tensors, {**content.metadata, **metadata}, widths)
    return path


def floating(path, **metadata):
    checkpoint.save(path, tensors(), {**ABOUT, "method": "Other", "kind": "float", "dataset": "other", **metadata})
    return path


def refused(path, expected, read=None):
    with pytest.raises(CheckpointError, match=expected) as caught:
        (read or FORMAT.load)(path, "Small")
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_float_networks_of_any_method(tmp_path):
    stored = FORMAT.load(floating(tmp_path / "net.ckpt"), "Small", 3)
    assert stored.kind == "float" and stored.metadata["dataset"] == "other"
    np.testing.assert_array_equal(stored.network.fc.weight.asnumpy(), tensors()["fc.weight"])


def test_published_files_without_metadata(tmp_path):
    state = [{"name": name.replace("fc", "linear"), "data": Tensor(value)} for name, value in tensors().items()]
    ms.save_checkpoint(state, str(tmp_path / "net.ckpt"))
    stored = FORMAT.load(tmp_path / "net.ckpt", "Small")
    assert stored.metadata == {"kind": "float", "network": "Small", "num_classes": 3}
    np.testing.assert_array_equal(stored.network.fc.bias.asnumpy(), tensors()["fc.bias"])


def test_latent_networks(tmp_path):
    path = latent(tmp_path / "net.ckpt")
    for stored in (FORMAT.load(path, "ignored", 3), FORMAT.load_latent(path, "Small")):
        assert stored.kind == "latent" and stored.network.bits.asnumpy().tolist() == [5]
        np.testing.assert_array_equal(stored.network.fc.weight.asnumpy(), tensors()["fc.weight"])


def test_packed_networks(tmp_path):
    stored = FORMAT.load(packed(tmp_path / "net.ckpt"), "ignored")
    assert stored.kind == "packed" and not hasattr(stored.network, "bits")
    np.testing.assert_array_equal(stored.network.fc.weight.asnumpy(), CODES * np.float32(0.5))
    np.testing.assert_array_equal(stored.layers["fc"].weights[0].codes, CODES)


def test_another_cell_in_the_place_of_the_network(tmp_path):
    wrapped = {f"inner.{name}": value for name, value in tensors().items()} | {"bits": np.array([5], np.int32)}
    settings = {"bits": 4, "wrapped": True}
    checkpoint.save(tmp_path / "net.ckpt", wrapped, {**ABOUT, "kind": "latent", "settings": settings})
    network = FORMAT.load(tmp_path / "net.ckpt", "Small").network
    assert isinstance(network, Wrapped) and network.bits.asnumpy().tolist() == [5]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "odd"}, "expected a float, latent, packed network, found something else; give final.ckpt of a run"),
        ({"kind": ["packed"]}, "found something else"),
        ({"network": "resnet99"}, "expected a registered architecture, found 'resnet99'"),
        ({"network": ["Small"]}, "expected a registered architecture"),
        ({"network": 7}, "expected a registered architecture"),
        ({"num_classes": 0}, "expected num_classes of at least 1 in the metadata, found 0"),
        ({"num_classes": "3"}, "found '3'"),
        ({"num_classes": 4}, "not one of this network"),
        ({"method": "Other"}, "expected method Toy, found Other"),
        ({"settings": {}}, "expected settings of a Toy network, found none that fit .*bits"),
        ({"settings": {"bits": 9}}, "at most 8 bits, found 9"),
        ({"settings": {"bits": None}}, "settings of a Toy network"),
        ({"settings": {"bits": "four"}}, "settings of a Toy network"),
        ({"settings": [4]}, "settings of a Toy network"),
        ({"settings": None}, "settings of a Toy network"),
    ],
    ids=str,
)
@pytest.mark.parametrize("write", [latent, packed])
def test_metadata_that_do_not_fit(tmp_path, write, change, expected):
    if write is packed and change == {"num_classes": 4}:
        expected = "packed tensors"
    refused(write(tmp_path / "net.ckpt", **change), expected)


def test_float_networks_need_no_method_and_no_settings(tmp_path):
    about = {"kind": "float", "network": "Small", "num_classes": 3}
    checkpoint.save(tmp_path / "net.ckpt", tensors(), about)
    assert FORMAT.load(tmp_path / "net.ckpt", "Small").metadata == about


@pytest.mark.parametrize("changed", [None, {"fc.bias": np.float32([7, 8, 9])}], ids=["same", "changed"])
def test_a_packed_file_gives_the_network_back(tmp_path, changed):
    stored = FORMAT.load(latent(tmp_path / "net.ckpt", start="0f", dataset="digits"), "Small")
    FORMAT.save_packed(tmp_path / "packed.ckpt", stored, changed)
    again = FORMAT.load(tmp_path / "packed.ckpt", "Small")
    assert set(again.metadata) == {*ABOUT, "kind", "dataset", "packing"}  # what tells runs apart is left out
    np.testing.assert_array_equal(again.network.fc.weight.asnumpy(), 0.5 * CODES)
    bias = tensors()["fc.bias"] if changed is None else changed["fc.bias"]
    np.testing.assert_array_equal(again.network.fc.bias.asnumpy(), bias)


def test_a_network_of_ones_own_is_saved_and_loaded(tmp_path, monkeypatch):
    path = packed(tmp_path / "net.ckpt")
    monkeypatch.delitem(MODELS, "Small")
    refused(path, r"expected a registered architecture, found 'Small'; one's own network is loaded by lowbitzoo.load")
    stored = FORMAT.load(path, network=Small())
    np.testing.assert_array_equal(stored.network.fc.weight.asnumpy(), 0.5 * CODES)
    with pytest.raises(CheckpointError, match="expected the packed tensors of this network"):
        FORMAT.load(path, network=Small(4))


def test_the_count_of_classes_asked_for(tmp_path):
    with pytest.raises(CheckpointError, match="expected num_classes 5, found 3"):
        FORMAT.load(latent(tmp_path / "net.ckpt"), "Small", 5)


def test_training_goes_on_from_latent_networks_of_the_same_architecture(tmp_path):
    other = Format("Toy", quantize, layers, shapes, fill, trainable="final.ckpt or state.ckpt")
    advice = "a quantized one to train, found a packed one; give final.ckpt of the run that made it"
    refused(packed(tmp_path / "packed.ckpt"), advice, FORMAT.load_latent)
    refused(tmp_path / "packed.ckpt", "give final.ckpt or state.ckpt of the run", other.load_latent)
    refused(floating(tmp_path / "float.ckpt"), "found a float one; give it as --pretrained", FORMAT.load_latent)
    with pytest.raises(CheckpointError, match="expected resnet20, found Small; change --arch"):
        FORMAT.load_latent(latent(tmp_path / "net.ckpt"), "resnet20")
    state = {f"network/{name}": value for name, value in tensors().items()}
    checkpoint.save(tmp_path / "last.ckpt", state, {"run": {}, "history": []})
    refused(tmp_path / "last.ckpt", "found the state of a training run; give final.ckpt of a run")
