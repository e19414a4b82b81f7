"""Published state files, and what PyTorch itself writes where it is installed."""

import re
import shutil

import numpy as np
import pytest

from common.checkpoint.pytorch.names import to_mindspore_names
from common.checkpoint.pytorch.state_dict import read_state_file
from common.errors import CheckpointError

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
