"""Networks of a method in files: the three kinds, and files that are none of them."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from common import checkpoint
from common.errors import CheckpointError, ConfigError
from common.models.registry import MODELS, Model
from common.stored.network import Format


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


def pack(network):
    found = {"codes": CODES, "fc.bias": network.fc.bias.asnumpy()}
    return found, {"codes": 4}


def unpack(network, tensors, metadata):
    codes = tensors.pop("codes")
    return {**tensors, "fc.weight": codes.astype(np.float32).reshape(network.fc.weight.shape) * metadata["step"]}


FORMAT = Format("Toy", quantize, pack, unpack)
ABOUT = {"method": "Toy", "network": "Small", "num_classes": 3, "settings": {"bits": 4}, "note": [1, "a"]}
CODES = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(MODELS, "Small", Model(Small, lambda name: name.replace("linear", "fc"), ("digits",)))


def tensors(**more):
    rng = np.random.default_rng(0)
    found = {"fc.weight": rng.normal(0, 1, (3, 4)), "fc.bias": rng.normal(0, 1, 3)}
    return {**{name: value.astype(np.float32) for name, value in found.items()}, **more}


def quantized(path, **metadata):
    checkpoint.save(path, tensors(bits=np.array([5], np.int32)), {**ABOUT, "kind": "quantized", **metadata})
    return path


def packed(path, values=None, **metadata):
    own = {"codes": CODES, "fc.bias": tensors()["fc.bias"]} if values is None else values
    layout = {"codes": 4} if "codes" in own and own["codes"].dtype == np.uint8 else {}
    checkpoint.save(path, own, {**ABOUT, "kind": "packed", "step": 0.5, **metadata}, layout)
    return path


def floating(path, **metadata):
    checkpoint.save(path, tensors(), {**ABOUT, "method": "Other", "kind": "float", **metadata})
    return path


def refused(path, expected, read=None):
    with pytest.raises(CheckpointError, match=expected) as caught:
        (read or FORMAT.load)(path, "Small")
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_float_networks_of_any_method(tmp_path):
    found = FORMAT.load(floating(tmp_path / "net.ckpt"), "Small", 3)
    assert found.kind == "float" and found.metadata["note"] == [1, "a"]
    np.testing.assert_array_equal(found.network.fc.weight.asnumpy(), tensors()["fc.weight"])


def test_published_files_without_metadata(tmp_path):
    state = [{"name": name.replace("fc", "linear"), "data": Tensor(value)} for name, value in tensors().items()]
    ms.save_checkpoint(state, str(tmp_path / "net.ckpt"))
    found = FORMAT.load(tmp_path / "net.ckpt", "Small")
    assert found.metadata == {"kind": "float", "network": "Small", "num_classes": 3}
    np.testing.assert_array_equal(found.network.fc.bias.asnumpy(), tensors()["fc.bias"])


def test_quantized_networks(tmp_path):
    path = quantized(tmp_path / "net.ckpt")
    for found in (FORMAT.load(path, "ignored", 3), FORMAT.load_quantized(path, "Small")):
        assert found.kind == "quantized" and found.network.bits.asnumpy().tolist() == [5]
        np.testing.assert_array_equal(found.network.fc.weight.asnumpy(), tensors()["fc.weight"])


def test_packed_networks(tmp_path):
    found = FORMAT.load(packed(tmp_path / "net.ckpt"), "ignored")
    assert found.kind == "packed" and not hasattr(found.network, "bits")
    np.testing.assert_array_equal(found.network.fc.weight.asnumpy(), CODES * np.float32(0.5))


def test_another_cell_in_the_place_of_the_network(tmp_path):
    own = {f"inner.{name}": value for name, value in tensors().items()} | {"bits": np.array([5], np.int32)}
    settings = {"bits": 4, "wrapped": True}
    checkpoint.save(tmp_path / "net.ckpt", own, {**ABOUT, "kind": "quantized", "settings": settings})
    found = FORMAT.load(tmp_path / "net.ckpt", "Small").network
    assert isinstance(found, Wrapped) and found.bits.asnumpy().tolist() == [5]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "odd"}, "expected a float, quantized, packed network, found something else; give best.ckpt of a run"),
        ({"kind": ["packed"]}, "found something else"),
        ({"network": "ResNet99"}, "found something else"),
        ({"network": ["Small"]}, "found something else"),
        ({"network": 7}, "found something else"),
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
@pytest.mark.parametrize("write", [quantized, packed])
def test_metadata_that_do_not_fit(tmp_path, write, change, expected):
    if write is packed and change == {"num_classes": 4}:
        expected = "packed tensors"
    refused(write(tmp_path / "net.ckpt", **change), expected)


def test_float_networks_need_no_method_and_no_settings(tmp_path):
    about = {"kind": "float", "network": "Small", "num_classes": 3}
    checkpoint.save(tmp_path / "net.ckpt", tensors(), about)
    assert FORMAT.load(tmp_path / "net.ckpt", "Small").metadata == about


@pytest.mark.parametrize(
    "values",
    [
        {"fc.bias": tensors()["fc.bias"]},
        {"codes": CODES.ravel()[:11], "fc.bias": tensors()["fc.bias"]},
    ],
    ids=["missing", "short"],
)
def test_packed_tensors_that_do_not_fit(tmp_path, values):
    refused(packed(tmp_path / "net.ckpt", values), "expected the packed tensors of this network, found others")
    refused(packed(tmp_path / "other.ckpt", step=None), "packed tensors|settings|not one of")


@pytest.mark.parametrize("values", [{**tensors(), "codes": CODES, "extra": np.ones(1)}, {"codes": CODES}], ids=len)
def test_tensors_left_over_and_missing(tmp_path, values):
    refused(packed(tmp_path / "net.ckpt", values), "not one of this network; 1 (unexpected: extra|missing: fc.bias)")


@pytest.mark.parametrize("changed", [None, {"fc.bias": np.float32([7, 8, 9])}], ids=["own", "changed"])
def test_a_packed_file_gives_the_network_back(tmp_path, changed):
    stored = FORMAT.load(quantized(tmp_path / "net.ckpt"), "Small")
    stored.metadata["step"] = 0.5
    FORMAT.save_packed(tmp_path / "packed.ckpt", stored, changed)
    found = FORMAT.load(tmp_path / "packed.ckpt", "Small")
    assert found.metadata == {**stored.metadata, "kind": "packed"}
    np.testing.assert_array_equal(found.network.fc.weight.asnumpy(), 0.5 * CODES)
    bias = tensors()["fc.bias"] if changed is None else changed["fc.bias"]
    np.testing.assert_array_equal(found.network.fc.bias.asnumpy(), bias)
    assert checkpoint.load(tmp_path / "packed.ckpt").metadata["kind"] == "packed"


def test_the_count_of_classes_asked_for(tmp_path):
    with pytest.raises(CheckpointError, match="expected num_classes 5, found 3"):
        FORMAT.load(quantized(tmp_path / "net.ckpt"), "Small", 5)


def test_training_goes_on_from_quantized_networks_of_the_same_model(tmp_path):
    own = Format("Toy", quantize, pack, unpack, trainable="best.ckpt or state.ckpt")
    advice = "resume expects a quantized network to train, found a packed one; give best.ckpt of the run that made it"
    refused(packed(tmp_path / "packed.ckpt"), advice, FORMAT.load_quantized)
    refused(tmp_path / "packed.ckpt", "give best.ckpt or state.ckpt of the run", own.load_quantized)
    refused(floating(tmp_path / "float.ckpt"), "found a float one; give it as --pretrained", FORMAT.load_quantized)
    with pytest.raises(CheckpointError, match="expected resnet20, found Small; change --arch"):
        FORMAT.load_quantized(quantized(tmp_path / "net.ckpt"), "resnet20")
    state = {f"network/{name}": value for name, value in tensors().items()}
    checkpoint.save(tmp_path / "last.ckpt", state, {"run": {}, "history": []})
    refused(tmp_path / "last.ckpt", "found the state of a training run; give best.ckpt of a run")
