"""What the files of every method promise: they come back as they were, and every damage is refused."""

import itertools

import numpy as np
import pytest
from formats import FORMATS
from mindspore import Tensor

from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError
from common.models.registry import model
from common.stored.network import StoredNetwork

EACH_FORMAT = pytest.mark.parametrize("case", FORMATS, ids=lambda case: case.name)
LATENT = pytest.mark.parametrize("case", [case for case in FORMATS if case.settings], ids=lambda case: case.name)
pytestmark = pytest.mark.usefixtures("pynative")


def content(path) -> tuple[dict, dict, dict]:
    """Tensors, metadata and widths of packed tensors of a file."""
    loaded = checkpoint.load(path)
    widths = {name: int(name[-1]) for name in loaded.tensors if name.startswith("codes_")}
    return dict(loaded.tensors), dict(loaded.metadata), {**widths, "bits": 4, "layout": 4}


def refused(case, path, reason: str, **options) -> None:
    with pytest.raises(CheckpointError, match=reason) as caught:
        case.format.load(path, **options)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


@EACH_FORMAT
def test_a_packed_file_that_is_read_and_written_stays_the_same(case, tmp_path):
    stored = case.format.load(case.packed)
    case.format.save_packed(tmp_path / "again.ckpt", stored)
    assert (tmp_path / "again.ckpt").read_bytes() == case.packed.read_bytes()


@EACH_FORMAT
def test_the_two_containers_hold_the_same(case, tmp_path):
    stored = case.format.load(case.packed)
    case.format.save_packed(tmp_path / "again.safetensors", stored)
    again = case.format.load(tmp_path / "again.safetensors")
    assert again.metadata == stored.metadata and list(again.layers) == list(stored.layers)
    before, after = network_state.state(stored.network), network_state.state(again.network)
    assert all(np.array_equal(before[name], after[name]) for name in before) and before.keys() == after.keys()


@EACH_FORMAT
def test_integers_are_the_weights_of_the_network_and_all_that_the_file_keeps_of_them(case):
    stored, state = case.format.load(case.packed), None
    state, tensors = network_state.state(stored.network), content(case.packed)[0]
    for name, layer in stored.layers.items():
        weights = [weight.dequantize() for weight in layer.weights]
        if f"{name}.weight" in state:  # an adder layer keeps its codes
            np.testing.assert_array_equal(state[f"{name}.weight"].reshape(-1), np.stack(weights).reshape(-1))
    quantized = sum(weight.codes.size for layer in stored.layers.values() for weight in layer.weights)
    codes = [value for name, value in tensors.items() if name.startswith("codes_")]
    assert sum(value.size for value in codes) <= quantized + 100  # biases too; rows of 0 bits have none
    assert not [name for name in tensors if name.endswith("weight")]


@EACH_FORMAT
def test_metadata_say_what_the_network_is(case):
    metadata = case.format.load(case.packed).metadata
    wanted = {"method", "kind", "network", "num_classes", "dataset", "settings", "preprocessing", "packing"}
    assert wanted | {"accuracy", "samples", "class_names"} <= set(metadata) and metadata["kind"] == "packed"
    assert len(metadata["class_names"]) == metadata["num_classes"] and 0 < metadata["accuracy"] <= 1


@EACH_FORMAT
def test_tensors_that_do_not_fit_are_refused(case, tmp_path):
    """Each of a file's tensors is changed in one of four ways, which take turns: a file takes a third of a second."""
    tensors, metadata, widths = content(case.packed)
    others = [{**tensors, "surplus": np.ones(1, np.float32)}]
    for (name, value), change in zip(tensors.items(), itertools.cycle(["short", "long", "missing", "type"])):
        rest = {other: values for other, values in tensors.items() if other != name}
        changed = {
            "short": {name: value[:-1]},
            "long": {name: np.append(value, value[:1])},
            "missing": {},
            "type": {name: value.astype(np.float64)},
        }[change]
        others.append(rest | changed)
    for other in others:
        packed = {name: width for name, width in widths.items() if name in other and other[name].dtype == np.uint8}
        checkpoint.save(tmp_path / "net.ckpt", other, metadata, packed)
        refused(case, tmp_path / "net.ckpt", "expected the packed tensors|1 unexpected")


@EACH_FORMAT
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"packing": None}, "of version 0.1; make it again"),
        ({"kind": "quantized"}, "of version 0.1; make it again"),
        ({"kind": "other"}, "expected a float, latent, packed network"),
        ({"kind": None, "run": {}}, "the state of a training run"),
        ({"method": "Other"}, "expected method"),
        ({"network": "resnet19"}, "expected a registered architecture"),
        ({"num_classes": 0}, "num_classes of at least 1"),
        ({"num_classes": 11}, "expected class_names of 11"),
        ({"settings": None}, "expected settings of a"),
        ({"settings": {"nonsense": 1}}, "expected settings of a"),
        ({"packing": {"levels": ["none"], "parameters": ""}}, "expected the packed tensors"),
        ({"packing": {}}, "expected the packed tensors"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(case, changes, reason, tmp_path):
    tensors, metadata, widths = content(case.packed)
    metadata = {key: value for key, value in {**metadata, **changes}.items() if value is not None}
    checkpoint.save(tmp_path / "net.ckpt", tensors, metadata, widths)
    refused(case, tmp_path / "net.ckpt", reason)


@EACH_FORMAT
def test_another_number_of_classes_is_refused(case):
    refused(case, case.packed, "expected num_classes 7, found 10", num_classes=7)


@EACH_FORMAT
def test_floats_of_another_network_are_refused(case, tmp_path):
    tensors, metadata, widths = content(case.packed)
    metadata["packing"] = {**metadata["packing"], "parameters": "0" * 16}
    checkpoint.save(tmp_path / "net.ckpt", tensors, metadata, widths)
    refused(case, tmp_path / "net.ckpt", "other names or shapes")


def latent(case) -> StoredNetwork:
    """A network of random weights with the quantizers of a method, to train."""
    architecture = case.format.load(case.packed).metadata["network"]
    network, settings = model(architecture).build(10), case.settings()
    network = case.format.quantize(network, settings, False) or network
    about = {"method": case.name, "kind": "latent", "network": architecture, "num_classes": 10, "settings": settings}
    return StoredNetwork(network.set_train(False), about)


@LATENT
def test_packing_a_latent_network_keeps_its_function(case, tmp_path):
    stored = latent(case)
    images = Tensor(np.random.default_rng(0).normal(0, 1, (2, 3, 32, 32)).astype(np.float32))
    case.format.save_packed(tmp_path / "packed.ckpt", stored)
    packed = case.format.load(tmp_path / "packed.ckpt")
    assert packed.kind == "packed" and packed.layers
    np.testing.assert_array_equal(packed.network.set_train(False)(images).asnumpy(), stored.network(images).asnumpy())


@LATENT
def test_a_latent_network_comes_back_to_be_trained(case, tmp_path):
    stored, path = latent(case), tmp_path / "final.ckpt"
    checkpoint.save(path, network_state.state(stored.network), stored.metadata)
    again = case.format.load_latent(path, stored.metadata["network"])
    before, after = network_state.state(stored.network), network_state.state(again.network)
    assert again.kind == "latent" and before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    with pytest.raises(CheckpointError, match="expected resnet32, found"):
        case.format.load_latent(path, "resnet32")


@LATENT
def test_a_packed_file_cannot_be_trained_further(case):
    with pytest.raises(CheckpointError, match="a quantized one to train, found a packed one"):
        case.format.load_latent(case.packed, "resnet20")
