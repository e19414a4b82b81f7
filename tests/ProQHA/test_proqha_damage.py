"""Files that do not fit are refused in one line."""

import numpy as np
import pytest
from proqha_tiny import stored

from common import checkpoint
from common.errors import CheckpointError
from ProQHA import packing, storage

pytestmark = pytest.mark.usefixtures("tiny_model")
PACKED = ["codes_2", "codes_3", "codes_7", "bits", "gains", "clips"]


def changed(path, tensors=None, metadata=None, packed=None) -> None:
    """Write a packed file with some tensors and metadata replaced; None drops them."""
    found, layout = packing.pack((own := stored()).network)
    found = {name: value for name, value in {**found, **(tensors or {})}.items() if value is not None}
    about = {**own.metadata, "kind": "packed", **(metadata or {})}
    about = {name: value for name, value in about.items() if value is not None}
    layout = {name: bits for name, bits in {**layout, **(packed or {})}.items() if name in found and bits}
    checkpoint.save(path, found, about, layout)


def refused(path, expected: str, read=storage.load, **options) -> None:
    with pytest.raises(CheckpointError, match=expected) as caught:
        read(path, "Tiny", **options)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


def packed_tensor(name: str) -> np.ndarray:
    return packing.pack(stored().network)[0][name]


def with_first(name: str, value) -> np.ndarray:
    found = packed_tensor(name).copy()
    found[0] = value
    return found


def test_an_unchanged_file_is_taken(tmp_path):
    changed(tmp_path / "net.ckpt")
    assert storage.load(tmp_path / "net.ckpt", "Tiny").kind == "packed"


@pytest.mark.parametrize("name", [*PACKED, "stem.weight", "norm.moving_variance", "hidden.bias"])
def test_a_missing_tensor_is_refused(tmp_path, name):
    changed(tmp_path / "net.ckpt", {name: None})
    refused(tmp_path / "net.ckpt", "packed tensors|1 missing")


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("length", [-1, 1], ids=["short", "long"])
def test_too_few_and_too_many_values_are_refused(tmp_path, name, length):
    value = packed_tensor(name)
    changed(tmp_path / "net.ckpt", {name: value[:-1] if length < 0 else np.concatenate((value, value[:1]))})
    refused(tmp_path / "net.ckpt", "expected the packed tensors")


@pytest.mark.parametrize(
    ("tensors", "packed"),
    [
        (lambda: {"other": np.ones(3, np.float32)}, {}),
        (lambda: {"codes_5": np.ones(3, np.uint8)}, {"codes_5": 5}),
        (lambda: {"codes_2": packed_tensor("codes_2").astype(np.float32)}, {"codes_2": 0}),
        (lambda: {"codes_2": with_first("codes_2", 5)}, {"codes_2": 3}),
        (lambda: {"bits": with_first("bits", (9, 8))}, {}),
        (lambda: {"bits": with_first("bits", (3, 1))}, {}),
        (lambda: {"bits": with_first("bits", (2, 8))}, {}),
        (lambda: {"bits": packed_tensor("bits").ravel()}, {}),
        (lambda: {"bits": packed_tensor("bits").astype(np.float32)}, {"bits": 0}),
        (lambda: {"gains": with_first("gains", np.nan)}, {}),
        (lambda: {"clips": with_first("clips", np.inf)}, {}),
        (lambda: {"last.bias": np.zeros(6, np.float32)}, {}),
    ],
)
def test_tensors_that_make_no_sense_are_refused(tmp_path, tensors, packed):
    changed(tmp_path / "net.ckpt", tensors(), packed=packed)
    refused(tmp_path / "net.ckpt", "expected the packed tensors|not one of this network")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"network": "preact_resnet20"}, "signed: expected names of quantized layers"),
        ({"network": "ResNet99"}, "expected a float, quantized, packed network"),
        ({"network": None}, "expected a float, quantized, packed network"),
        ({"network": ["Tiny"]}, "expected a float, quantized, packed network"),
        ({"kind": "odd"}, "expected a float, quantized, packed network"),
        ({"kind": "float"}, "not one of this network"),
        ({"kind": "quantized"}, "not one of this network"),
        ({"method": "DAMBQ"}, "expected method ProQHA"),
        ({"num_classes": 6}, "not one of this network"),
        ({"num_classes": None}, "num_classes"),
        ({"settings": None}, "settings"),
        ({"settings": {"bits": 9, "signed": []}}, "settings"),
        ({"settings": {"clip": "wide", "signed": []}}, "settings"),
        ({"settings": {"bits": 8}}, "settings"),
        ({"settings": {"signed": None}}, "settings"),
        ({"settings": {"signed": ["stem"]}}, "settings .*stem"),
        ({"settings": {"signed": [], "colour": 1}}, "settings"),
        ({"settings": [4]}, "settings"),
    ],
    ids=str,
)
def test_metadata_of_something_else_is_refused(tmp_path, metadata, expected):
    changed(tmp_path / "net.ckpt", metadata=metadata)
    refused(tmp_path / "net.ckpt", expected)


def test_training_goes_on_from_both_networks_of_a_run(tmp_path):
    changed(tmp_path / "packed.ckpt")
    advice = "found a packed one; give best.ckpt or search.ckpt of the run that made it"
    refused(tmp_path / "packed.ckpt", advice, storage.load_quantized)
