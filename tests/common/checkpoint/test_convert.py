import hashlib
import pickle
import re
import shutil

import numpy as np
import pytest
from torch_samples import CONTAINERS, integer, mapping, name_of, storage, tensor

from common.checkpoint.pytorch.state_dict import read_state_file, to_mindspore_names
from common.errors import CheckpointError

VALUES = np.array([0.5, -1.25, 2.0, 3.75, -4.0, 1e-30], np.float32)
REAL = {
    "resnet20-12fca82f.th": (97, 271098, ("module.conv1.weight", (16, 3, 3, 3)), ("module.linear.weight", (10, 64))),
    "resnet32-d509ac18.th": (157, 466426, ("module.conv1.weight", (16, 3, 3, 3)), ("module.linear.weight", (10, 64))),
    "resnet20-addernet.pth": (
        132,
        274094,
        ("module.layer1.0.conv1.adder", (16, 16, 3, 3)),
        ("module.fc.weight", (10, 64, 1, 1)),
    ),
}


@pytest.fixture(params=CONTAINERS)
def write(request, tmp_path):
    def write(body, storages=None, name="net.pth"):
        path = tmp_path / name
        path.write_bytes(CONTAINERS[request.param](body, {"0": VALUES.tobytes()} if storages is None else storages))
        return path

    return write


@pytest.mark.parametrize("name", REAL)
def test_real_files(shared, name):
    count, elements, *samples = REAL[name]
    state = read_state_file(shared / "checkpoints" / name)
    assert len(state) == count
    assert sum(array.size for array in state.values()) == elements
    for tensor_name, shape in samples:
        assert state[tensor_name].shape == shape
        assert state[tensor_name].dtype == np.float32
    assert all(np.isfinite(array).all() for array in state.values())
    assert all((array > 0).all() for key, array in state.items() if key.endswith("running_var"))


@pytest.mark.parametrize("name", REAL)
def test_real_files_equal_what_pytorch_reads(shared, name):
    torch = pytest.importorskip("torch")
    file = torch.load(shared / "checkpoints" / name, map_location="cpu", weights_only=True)
    expected = file.get("state_dict", file)
    state = read_state_file(shared / "checkpoints" / name)
    assert list(state) == list(expected)
    for key, value in expected.items():
        assert state[key].dtype == value.numpy().dtype
        np.testing.assert_array_equal(state[key], value.numpy())


def test_real_file_under_mindspore_names(shared):
    state = to_mindspore_names(read_state_file(shared / "checkpoints" / "resnet20-addernet.pth"))
    assert len(state) == 132 - 22
    assert state["layer2.0.downsample.1.gamma"].shape == (32,)
    assert state["fc.weight"].shape == (10, 64, 1, 1)
    assert not [key for key in state if re.search("module|running|tracked", key)]


def test_hash_in_the_name_finds_a_damaged_download(shared, tmp_path):
    path = tmp_path / "resnet20-12fca82f.th"
    shutil.copy(shared / "checkpoints" / path.name, path)
    assert len(read_state_file(path)) == 97
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"expected sha256 12fca82f\.\.\. .*fetch it again"):
        read_state_file(path)
    assert len(read_state_file(path.rename(tmp_path / "resnet20.th"))) == 97


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
        (b"}(" + integer(1) + tensor() + b"u", "expected a tensor under 1"),
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


def torch_states(torch):
    torch.manual_seed(0)
    kinds = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool"
    values = torch.tensor([[0, 1, 2], [3, 100, 0]])
    states = {kind: {kind: values.to(getattr(torch, kind))} for kind in kinds.split()}
    base = torch.randn(4, 5, 3)
    states["views"] = {"t": base.permute(2, 0, 1), "s": base[1:, ::2], "i": base[2], "base": base}
    states["shapes"] = {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "one": torch.ones(1, 1)}
    states["parameter"] = {"p": torch.nn.Parameter(torch.randn(3))}
    states["network"] = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict()
    return states


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_pytorch_files(tmp_path, as_zip, wrapped):
    torch = pytest.importorskip("torch")
    for case, state in torch_states(torch).items():
        path = tmp_path / f"{case}.pth"
        file = {"epoch": 3, "best_prec1": 91.5, "arch": "r", "state_dict": state} if wrapped else state
        torch.save(file, path, _use_new_zipfile_serialization=as_zip)
        result = read_state_file(path)
        assert list(result) == list(state), case
        for name, value in state.items():
            value = value.detach()
            expected = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
            assert result[name].dtype == expected.dtype, (case, name)
            np.testing.assert_array_equal(result[name], expected, err_msg=f"{case} {name}", strict=True)


@pytest.mark.parametrize("as_zip", [True, False])
def test_pytorch_checkpoint_with_optimizer(tmp_path, as_zip):
    torch = pytest.importorskip("torch")
    network = torch.nn.Linear(3, 2)
    group = {"lr": 0.1, "betas": (0.9, 0.999), "nesterov": False, "foreach": None, "params": [0, 1]}
    moments = {0: {"step": torch.tensor(1.0), "exp_avg": torch.ones(2, 3)}}  # as torch.optim.Adam.state_dict() has it
    optimizer = {"state": moments, "param_groups": [group]}
    file = {"model": network.state_dict(), "optimizer": optimizer, "scores": [(1, 0.5), None], "big": 2**80}
    torch.save(file, tmp_path / "run.pth", _use_new_zipfile_serialization=as_zip)
    state = read_state_file(tmp_path / "run.pth")
    assert list(state) == ["weight", "bias"]
    np.testing.assert_array_equal(state["weight"], network.weight.detach().numpy(), strict=True)


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
    assert list(to_mindspore_names(names("module.module.a"))) == ["module.a"]


def test_two_tensors_under_one_name():
    with pytest.raises(CheckpointError, match=r"both be named bn\.gamma, the second is bn\.weight"):
        to_mindspore_names(names("bn.gamma", "bn.running_mean", "bn.weight"))
