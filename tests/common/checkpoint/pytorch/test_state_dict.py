"""State dicts: which tensors of a file are read, and under which names."""

import hashlib
import pickle

import numpy as np
import pytest
from torch_samples import CONTAINERS, integer, mapping, name_of, storage, tensor

from common.checkpoint.pytorch.names import to_mindspore_names
from common.checkpoint.pytorch.state_dict import read_state_file
from common.errors import CheckpointError

VALUES = np.array([0.5, -1.25, 2.0, 3.75, -4.0, 1e-30], np.float32)


@pytest.fixture(params=CONTAINERS)
def write(request, tmp_path):
    def write(body, storages=None, name="net.pth"):
        path = tmp_path / name
        path.write_bytes(CONTAINERS[request.param](body, {"0": VALUES.tobytes()} if storages is None else storages))
        return path

    return write


def test_hash_in_the_name_of_any_length(write):
    path = write(mapping(weight=tensor()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for length in (8, 12, 64):
        path = path.rename(path.with_name(f"net-{digest[:length]}.pth"))
        assert list(read_state_file(path)) == ["weight"]
    wrong = path.rename(path.with_name(f"net-{digest[:-1]}{'1' if digest[-1] == '0' else '0'}.pth"))
    with pytest.raises(CheckpointError, match="sha256"):
        read_state_file(wrong)
    assert read_state_file(wrong.rename(wrong.with_name("net-1234567.pth")))  # too short to be a hash


@pytest.mark.parametrize(
    ("shape", "stride", "offset", "expected"),
    [
        ((2, 3), (3, 1), 0, VALUES.reshape(2, 3)),
        ((3, 2), (1, 3), 0, VALUES.reshape(2, 3).T),
        ((2, 2), (3, 2), 0, VALUES.reshape(2, 3)[:, ::2]),
        ((2,), (1,), 4, VALUES[4:]),
        ((), (), 5, VALUES[5]),
        ((2, 2), (1, 1), 0, np.array([VALUES[:2], VALUES[1:3]])),
        ((1, 6), (2**62, 1), 0, VALUES[None]),
        ((0, 3), (3, 1), 6, np.empty((0, 3), np.float32)),
    ],
)
def test_strides_and_offsets(write, shape, stride, offset, expected):
    array = read_state_file(write(mapping(weight=tensor(shape, stride, offset))))["weight"]
    assert array.shape == expected.shape
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, expected)
    assert not array.flags.writeable


@pytest.mark.parametrize("key", ["state_dict", "net", "model"])
def test_training_scripts_wrap_the_state(write, key):
    wrapped = {key: mapping(weight=tensor()), "epoch": integer(7), "optimizer": mapping(lr=integer(1), w=tensor())}
    state = read_state_file(write(mapping(**wrapped)))
    assert list(state) == ["weight"]
    np.testing.assert_array_equal(state["weight"].ravel(), VALUES)


def test_bare_state_with_a_tensor_named_like_a_wrapper(write):
    assert list(read_state_file(write(mapping(model=tensor(), net=tensor())))) == ["model", "net"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (integer(3), "expected a state dict, found int"),
        (tensor(), "expected a state dict, found StridedTensor"),
        (mapping(net=mapping(w=tensor()), model=mapping(w=tensor())), "found several: net, model"),
        (mapping(state_dict=mapping(w=tensor(), n=integer(1))), "expected a tensor under 'n', found int"),
        (b"}(" + integer(1) + tensor() + b"u", "expected a state dict, .*found 1 .tensor"),
    ],
)
def test_other_objects_than_a_state(write, body, message):
    storages = None if b"storage" in body else {}
    with pytest.raises(CheckpointError, match=f"net.pth: .*{message}"):
        read_state_file(write(body, storages))


def test_empty_state(write):
    with pytest.raises(CheckpointError, match="empty state dict"):
        read_state_file(write(mapping(), {}))


def test_python_2_ordered_dict_and_oldest_tensor_form(write):
    old = name_of("torch._utils", "_rebuild_tensor") + b"(" + storage() + integer(0) + b"(J\2\0\0\0tJ\1\0\0\0\x85tR"
    pairs = b"](](U\1a" + old + b"e](U\1b" + old + b"ee"
    state = read_state_file(write(name_of("collections", "OrderedDict") + pairs + b"\x85R"))
    assert list(state) == ["a", "b"]
    np.testing.assert_array_equal(state["b"], VALUES[:2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "found none"),
        (lambda path: path.mkdir(), "found a folder"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"hello"), "damaged|neither"),
        (lambda path: path.write_bytes(pickle.dumps({"w": 1})), "neither"),
    ],
)
def test_paths_that_are_no_state_file(tmp_path, make, message):
    path = tmp_path / "net.pth"
    make(path)
    with pytest.raises(CheckpointError, match=f"net.pth: .*({message})") as caught:
        read_state_file(path)
    assert "\n" not in str(caught.value)


def names(*keys):
    return {key: np.full(1, i, np.float32) for i, key in enumerate(keys)}


def test_batch_norm_names_only_where_there_are_statistics():
    leaves = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    state = names("conv.weight", "conv.bias", *(f"bn.{leaf}" for leaf in leaves), "ln.weight", "ln.bias")
    result = to_mindspore_names(state)
    expected = {
        "conv.weight": 0,
        "conv.bias": 1,
        "bn.gamma": 2,
        "bn.beta": 3,
        "bn.moving_mean": 4,
        "bn.moving_variance": 5,
        "ln.weight": 7,
        "ln.bias": 8,
    }
    assert {key: int(array[0]) for key, array in result.items()} == expected


def test_batch_norm_as_the_whole_network():
    result = to_mindspore_names(names("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))
    assert list(result) == ["gamma", "beta", "moving_mean", "moving_variance"]


def test_prefix_goes_only_when_common():
    assert list(to_mindspore_names(names("module.a.weight", "module.b.weight"))) == ["a.weight", "b.weight"]
    assert list(to_mindspore_names(names("module.a.weight", "b.weight"))) == ["module.a.weight", "b.weight"]
    assert list(to_mindspore_names(names("module.model.a", "module.model.b.c"))) == ["a", "b.c"]
    assert list(to_mindspore_names(names("module.a", "module.module.b"))) == ["a", "module.b"]


def test_two_tensors_under_one_name():
    with pytest.raises(CheckpointError, match=r"both be named bn\.gamma, the second is bn\.weight"):
        to_mindspore_names(names("bn.gamma", "bn.running_mean", "bn.weight"))
