"""Checkpoints that something else wrote."""

import numpy as np
import pytest
from checkpoint_samples import SUFFIXES, assert_same_tensors, foreign_tensors, save_with_mindspore

from common.checkpoint import load, save
from common.errors import CheckpointError


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    return tmp_path / f"net{request.param}"


def test_foreign_mindspore_files(path):
    save_with_mindspore(path)
    checkpoint = load(path)
    assert checkpoint.metadata == {}
    assert_same_tensors(checkpoint.tensors, foreign_tensors())


def test_foreign_file_with_texts_and_numbers(tmp_path):
    path = tmp_path / "net.ckpt"
    save_with_mindspore(path, append_dict={"lr": 0.5, "epoch": 3, "note": "text"})
    tensors = load(path).tensors
    assert tensors.pop("lr") == np.float32(0.5)
    assert tensors.pop("epoch") == 3
    assert_same_tensors(tensors, foreign_tensors())


def test_foreign_file_with_crc(tmp_path):
    path = tmp_path / "net.ckpt"
    save_with_mindspore(path, crc_check=True)
    assert_same_tensors(load(path).tensors, foreign_tensors())
    content = bytearray(path.read_bytes())
    content[content.index(foreign_tensors()["w"].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="CRC"):
        load(path)


def test_foreign_safetensors_file(tmp_path):
    from safetensors.numpy import save_file

    save_file(foreign_tensors(), tmp_path / "net.safetensors", metadata={"author": "someone"})
    checkpoint = load(tmp_path / "net.safetensors")
    assert checkpoint.metadata == {}
    assert_same_tensors(checkpoint.tensors, foreign_tensors())


def test_bfloat16_is_widened(path):
    import mindspore

    values = np.array([[1.0, -2.5], [3e38, 0.0]], np.float32)
    data = mindspore.Tensor(values, mindspore.bfloat16)
    expected = data.astype(mindspore.float32).asnumpy()
    if path.suffix == ".ckpt":
        mindspore.save_checkpoint([{"name": "x", "data": data}], str(path))
    else:
        torch = pytest.importorskip("torch")
        from safetensors.torch import save_file

        save_file({"x": torch.tensor(values).bfloat16()}, path)
    np.testing.assert_array_equal(load(path).tensors["x"], expected, strict=True)


def ckpt_message(*entries):
    from mindspore.train.checkpoint_pb2 import Checkpoint as Message

    message = Message()
    for name, kind, shape, content in entries:
        value = message.value.add(tag=name)
        value.tensor.dims.extend(shape)
        value.tensor.tensor_type = kind
        value.tensor.tensor_content = content
    return message.SerializeToString()


def test_sliced_tensor(tmp_path):
    path, array = tmp_path / "net.ckpt", np.arange(6, dtype=np.int16)
    slices = [("x", "Int16", [2, 3], part.tobytes()) for part in np.array_split(array, 3)]
    path.write_bytes(ckpt_message(("a", "Bool", [1], b"\1"), *slices))
    np.testing.assert_array_equal(load(path).tensors["x"], array.reshape(2, 3), strict=True)


@pytest.mark.parametrize(
    "entries",
    [
        [("x", "Float32", [2], bytes(7))],
        [("x", "Float32", [3], bytes(8))],
        [("x", "Float32", [-1, -2], bytes(8))],
        [("x", "Float32", [2**40, 2**40], bytes(8))],
        [("x", "Float32", [], b"")],
        [("x", "Bool", [2], b"\1\2")],
        [("x", "Complex64", [1], bytes(8))],
        [("", "Float32", [2], bytes(8))],
        [("x", "Int8", [1], b"a"), ("y", "Int8", [1], b"a"), ("x", "Int8", [1], b"a")],
        [("x", "str", [0], bytes(4))],
        [("x", "str", [0], b"\xff" * 4), ("y", "Int8", [1], b"a")],
        [("x", "Int8", [1] * 40, b"a")],
    ],
)
def test_ckpt_entries_that_contradict_themselves(tmp_path, entries):
    path = tmp_path / "net.ckpt"
    path.write_bytes(ckpt_message(*entries))
    with pytest.raises(CheckpointError, match=r"net\.ckpt: "):
        load(path)


def test_torch_files_get_mindspore_names(tmp_path):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    for suffix in (".pth", ".th"):
        torch.save(network.state_dict(), tmp_path / f"net{suffix}")
        checkpoint = load(tmp_path / f"net{suffix}")
        assert checkpoint.metadata == {}
        leaves = ["gamma", "beta", "moving_mean", "moving_variance"]
        assert list(checkpoint.tensors) == ["0.weight", "0.bias", *(f"1.{leaf}" for leaf in leaves)]


def test_real_torch_file(shared):
    checkpoint = load(shared / "checkpoints" / "resnet20-12fca82f.th")
    assert checkpoint.tensors["linear.weight"].shape == (10, 64)
    assert checkpoint.tensors["layer3.2.bn2.moving_variance"].shape == (64,)


@pytest.mark.parametrize("name", ["net.ckpt", "net.safetensors", "net.pth", "net.th"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "found none"),
        (lambda path: path.mkdir(), "found a folder"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"\0" * 100), "damaged|neither"),
        (lambda path: path.write_bytes(b"version https://git-lfs"), "damaged|neither"),
        (lambda path: path.symlink_to(path.with_name("absent")), "found none"),
    ],
)
def test_paths_that_are_no_checkpoint(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(CheckpointError, match=f"{name}: .*({message})") as caught:
        load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_files_without_tensors(tmp_path):
    from safetensors.numpy import save_file

    save_file({}, tmp_path / "net.safetensors")
    (tmp_path / "net.ckpt").write_bytes(ckpt_message(("x", "str", [0], "a".encode("utf-32-le"))))
    for suffix in SUFFIXES:
        with pytest.raises(CheckpointError, match="expected tensors, found none"):
            load(tmp_path / f"net{suffix}")


def test_other_suffixes(tmp_path):
    path = tmp_path / "net.onnx"
    with pytest.raises(CheckpointError, match=r"ending in \.ckpt or \.safetensors, found '\.onnx'"):
        save(path, {"x": np.ones(1)}, {})
    assert not path.exists()
    path.write_bytes(b"1")
    with pytest.raises(CheckpointError, match=r"net\.onnx: expected a checkpoint \(.*\), found neither of them"):
        load(path)
