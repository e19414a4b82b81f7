import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common import checkpoint as module
from common.checkpoint import Checkpoint, load, require_metadata, save
from common.errors import CheckpointError, QuantizationError

SUFFIXES = (".ckpt", ".safetensors")
INTEGERS = [f"{sign}int{width}" for sign in ("", "u") for width in (8, 16, 32, 64)]
DTYPES = ["bool", "float16", "float32", "float64", *INTEGERS]
METADATA = {"method": "LDNQ", "bits": [4, 8], "nested": {"a": None, "b": True, "c": 0.1}, "text": "Größe ✓"}


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    return tmp_path / f"net{request.param}"


def sample():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((4, 3, 2)).astype(np.float32)
    return {
        "conv.weight": weights,
        "transposed": weights.T,
        "every.second": weights[:, ::2],
        "scalar": np.array(3, np.int64),
        "one": np.ones((1, 1, 1), np.float64),
        "codes": rng.integers(0, 8, (5, 3, 3)).astype(np.uint8),
        "big.endian": weights.astype(">f4"),
    }


def assert_same_tensors(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype.name == array.dtype.name, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].shape == array.shape, name


def test_round_trip(path):
    tensors = sample()
    save(path, tensors, METADATA, packed={"codes": 3})
    checkpoint = load(str(path))
    assert checkpoint.path == path
    assert checkpoint.metadata == METADATA
    assert_same_tensors(checkpoint.tensors, tensors)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_keeps_its_bits(path, dtype):
    raw = np.random.default_rng(1).integers(0, 256, 32, dtype=np.uint8)
    array = (raw % 2).astype(bool) if dtype == "bool" else raw.view(dtype)
    save(path, {"x": array.reshape(2, -1)}, {})
    found = load(path).tensors["x"]
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


def test_special_floats_are_kept(path):
    array = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32)
    save(path, {"x": array}, {})
    assert load(path).tensors["x"].tobytes() == array.tobytes()


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5, 1, 3)])
def test_packed_codes(path, bits, shape):
    codes = np.asarray(np.random.default_rng(bits).integers(0, 2**bits, shape), np.uint8)
    save(path, {"codes": codes, "plain": codes}, {}, packed={"codes": bits})
    assert_same_tensors(load(path).tensors, {"codes": codes, "plain": codes})


def resnet20_like():
    """20 layers with 270 thousand weights, BatchNorm included, as a ResNet-20 for CIFAR-10 has them."""
    rng = np.random.default_rng(0)
    widths = [(3, 16)] + [(16, 16)] * 6 + [(16, 32)] + [(32, 32)] * 5 + [(32, 64)] + [(64, 64)] * 5
    codes, others = {}, {}
    for i, (inputs, outputs) in enumerate(widths):
        codes[f"layer{i}.conv.weight_codes"] = rng.integers(0, 16, (outputs, inputs, 3, 3)).astype(np.uint8)
        for leaf in ("bn.gamma", "bn.beta", "bn.moving_mean", "bn.moving_variance", "conv.scale"):
            others[f"layer{i}.{leaf}"] = rng.standard_normal(outputs).astype(np.float32)
    return codes, others


def test_packed_checkpoint_is_small(path):
    codes, others = resnet20_like()
    as_float = {name: array.astype(np.float32) for name, array in codes.items()} | others
    save(path, codes | others, METADATA, packed=dict.fromkeys(codes, 4))
    packed_bytes = path.stat().st_size
    save(path, as_float, METADATA)
    assert packed_bytes < path.stat().st_size / 6
    payload = sum(array.size for array in codes.values()) // 2 + sum(array.nbytes for array in others.values())
    assert packed_bytes - payload < 300 * (len(codes) + len(others))


def test_same_input_gives_the_same_bytes(path):
    tensors = sample()
    save(path, tensors, METADATA, packed={"codes": 3})
    first = path.read_bytes()
    save(path, dict(reversed(tensors.items())), dict(reversed(METADATA.items())), packed={"codes": 3})
    assert path.read_bytes() == first


def test_same_bytes_in_another_process(tmp_path):
    code = (
        "import sys, numpy as np; from common.checkpoint import save;"
        "save(sys.argv[1], {f't{i}': np.arange(i + 1.) for i in range(20)}, {f'k{i}': i for i in range(20)})"
    )
    contents = set()
    for seed in "12":
        target = tmp_path / f"{seed}.safetensors"
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        subprocess.run([sys.executable, "-c", code, str(target)], check=True, env=environment)
        contents.add(target.read_bytes())
    assert len(contents) == 1


def test_import_is_light():
    code = "import sys, common.checkpoint; sys.exit(bool({'mindspore', 'torch', 'safetensors'} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_mindspore_reads_ours(path):
    import mindspore

    tensors = sample()
    save(path, tensors, METADATA, packed={"codes": 3})
    loaded = mindspore.load_checkpoint(str(path), format=path.suffix[1:])
    arrays = {name: value.asnumpy() for name, value in loaded.items() if not isinstance(value, str)}
    expected = {name: array.astype(array.dtype.newbyteorder("=")) for name, array in tensors.items()}
    expected["codes"] = arrays["codes"]
    assert_same_tensors(arrays, expected)
    bits = np.unpackbits(arrays["codes"], bitorder="little")[: 45 * 3].reshape(45, 3)
    np.testing.assert_array_equal(bits @ [1, 2, 4], tensors["codes"].ravel())
    if path.suffix == ".ckpt":
        text = next(value for value in loaded.values() if isinstance(value, str) and value.startswith("{"))
        assert json.loads(text)["metadata"] == METADATA


def test_safetensors_reads_ours(tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    path = tmp_path / "net.safetensors"
    tensors = sample()
    save(path, tensors, METADATA)
    assert_same_tensors(load_file(path), tensors)
    with safe_open(path, framework="np") as file:
        texts = [json.loads(text) for text in file.metadata().values() if text.startswith("{")]
    assert texts[0]["metadata"] == METADATA


def foreign_tensors():
    rng = np.random.default_rng(2)
    return {
        "w": rng.standard_normal((3, 4)).astype(np.float32),
        "h": rng.standard_normal(5).astype(np.float16),
        "n": np.arange(6, dtype=np.int32).reshape(2, 3),
        "b": np.array([True, False]),
        "s": np.array(2.5, np.float32),
    }


def save_with_mindspore(path, **options):
    import mindspore

    parameters = [{"name": name, "data": mindspore.Tensor(array)} for name, array in foreign_tensors().items()]
    mindspore.save_checkpoint(parameters, str(path), format=path.suffix[1:], **options)
    path.chmod(0o600)


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
    with pytest.raises(CheckpointError, match=r"\.safetensors, \.pth, \.th\), found the suffix '\.onnx'"):
        load(path)


SMALL = {"a": np.array([1.5, -2], np.float32), "c": np.array([1, 2, 3], np.uint8), "s": np.array(7, np.int32)}


def save_small(path):
    save(path, SMALL, {"m": 1}, packed={"c": 2})
    return path.read_bytes()


def write_byte(path, position, value):
    """Change a file in place, much faster than writing all of it."""
    with path.open("r+b") as file:
        file.seek(position)
        file.write(bytes([value]))


def test_every_flipped_bit_is_found(path, capfd):
    content = save_small(path)
    refused = 0
    for bit in range(8 * len(content)):
        write_byte(path, bit // 8, content[bit // 8] ^ 1 << bit % 8)
        try:
            checkpoint = load(path)
        except CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert checkpoint.metadata == {"m": 1}
            assert_same_tensors(checkpoint.tensors, SMALL)
        write_byte(path, bit // 8, content[bit // 8])
    assert path.read_bytes() == content
    assert refused > 0.95 * 8 * len(content)
    assert capfd.readouterr() == ("", "")


def test_every_truncation_and_trailing_byte_is_found(path):
    content = save_small(path)
    for damaged in [content[:length] for length in range(len(content))] + [content + b"\0", content + b"\n"]:
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load(path)


def test_random_damage_raises_nothing_else(path):
    content = save_small(path)
    save_with_mindspore(path)
    rng = np.random.default_rng(3)
    for original in (content, path.read_bytes()):
        for _ in range(300):
            damaged = bytearray(original)
            start = int(rng.integers(len(damaged)))
            for position in rng.integers(0, len(damaged), rng.integers(1, 6)):
                damaged[position] = rng.integers(256)
            if rng.integers(3) == 0:
                del damaged[start : start + int(rng.integers(40))]
            path.write_bytes(damaged)
            try:
                load(path)
            except CheckpointError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("part", [b"lowbitzoo.metadata", b"lowbitzoo.sha256"])
def test_a_lost_seal_is_not_a_foreign_file(path, part):
    content = save_small(path)
    path.write_bytes(content.replace(part, b"x" * len(part)))
    with pytest.raises(CheckpointError, match="lost a part of its metadata"):
        load(path)


def test_exchanged_tensors_are_found(path):
    """Bytes that move between two tensors of one size leave every length intact."""
    first, second = np.arange(4, dtype=np.float32), np.arange(4, 8, dtype=np.float32)
    save(path, {"a": first, "b": second}, {})
    content = path.read_bytes().replace(first.tobytes(), b"#" * 16).replace(second.tobytes(), first.tobytes())
    path.write_bytes(content.replace(b"#" * 16, second.tobytes()))
    with pytest.raises(CheckpointError, match="sha256"):
        load(path)


def test_exchanged_type_is_found(path):
    """Another type of the same width leaves every length intact."""
    save(path, {"x": np.array([0, 1, 1], np.int8)}, {})
    old, new = (b"Int8", b"Bool") if path.suffix == ".ckpt" else (b'"I8"', b'"U8"')
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    with pytest.raises(CheckpointError, match="sha256"):
        load(path)


def test_newer_format(path, monkeypatch):
    monkeypatch.setattr(module, "FORMAT_VERSION", 2)
    save_small(path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="expected checkpoint format 1, found 2; update"):
        load(path)


@pytest.mark.parametrize("old", [None, b"old content"])
def test_crash_before_the_replacement(path, monkeypatch, old):
    if old is not None:
        path.write_bytes(old)

    def crash(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(CheckpointError, match=r"net\..*cannot be written \(Input/output error\)"):
        save(path, SMALL, {})
    assert [entry.name for entry in path.parent.iterdir()] == ([] if old is None else [path.name])
    assert old is None or path.read_bytes() == old


def test_absent_folder(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be written"):
        save(tmp_path / "absent" / "net.safetensors", SMALL, {})


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "at least one tensor"),
        ({"x": np.zeros((2, 0), np.float32)}, "tensor x: expected at least one element"),
        ({"x": np.array(["a"])}, "tensor x: .*found <U1"),
        ({"x": np.array([None])}, "tensor x: .*found object"),
        ({"x": np.ones(1, np.complex64)}, "tensor x: .*found complex64"),
        ({"x": [1.0]}, "tensor x: .*found list"),
        ({"": np.ones(1)}, "'' cannot be the name"),
        ({3: np.ones(1)}, "3 cannot be the name"),
        ({"a\nb": np.ones(1)}, "cannot be the name"),
        ({"\ud800": np.ones(1)}, "cannot be the name"),
        ({"__metadata__": np.ones(1)}, "cannot be the name"),
        ({"lowbitzoo.sha256": np.ones(1)}, "reserved"),
    ],
)
def test_tensors_that_cannot_be_saved(path, tensors, message):
    with pytest.raises(CheckpointError, match=message):
        save(path, tensors, {})
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize(
    "metadata", [{"a": np.float32(1)}, {"a": float("nan")}, {"a": {1: 2}}, {"a": [{None: 1}]}, {"a": {1, 2}}]
)
def test_metadata_that_cannot_be_saved(path, metadata):
    with pytest.raises(CheckpointError, match="metadata"):
        save(path, SMALL, metadata)
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize(
    ("packed", "error", "message"),
    [
        ({"c": 1}, QuantizationError, r"tensor c: expected codes in 0\.\.1 for 1 bits, found 3"),
        ({"c": 9}, QuantizationError, "tensor c: .*1 to 8 bits, found 9"),
        ({"a": 4}, QuantizationError, "tensor a: expected uint8 codes, found float32"),
        ({"absent": 4}, CheckpointError, "found absent"),
    ],
)
def test_codes_that_cannot_be_packed(path, packed, error, message):
    with pytest.raises(error, match=message):
        save(path, SMALL, {}, packed=packed)
    assert not list(path.parent.iterdir())


def test_saving_changes_no_input(path):
    tensors, metadata, packed = dict(SMALL), {"m": (1, 2)}, {"c": 2}
    save(path, tensors, metadata, packed)
    assert tensors.keys() == SMALL.keys()
    assert all(tensors[name] is SMALL[name] for name in SMALL)
    assert (metadata, packed) == ({"m": (1, 2)}, {"c": 2})
    assert load(path).metadata == {"m": [1, 2]}


def test_required_metadata():
    checkpoint = Checkpoint(Path("net.ckpt"), {}, {"method": "LDNQ", "bits": [4, 8], "network": None})
    require_metadata(checkpoint)
    require_metadata(checkpoint, method="LDNQ", bits=(4, 8), network=None)
    message = r"net\.ckpt: expected method AdderQuant, found LDNQ; expected classes 10, found none recorded"
    with pytest.raises(CheckpointError, match=message):
        require_metadata(checkpoint, method="AdderQuant", classes=10, bits=[4, 8])
    with pytest.raises(CheckpointError, match="expected absent None, found none recorded"):
        require_metadata(checkpoint, absent=None)
