"""Checkpoints of our own: what is saved comes back, in any process, and others can read it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoint_samples import SUFFIXES, assert_same_tensors

from common.checkpoint import Checkpoint, load, require_metadata, save
from common.errors import CheckpointError

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


def test_required_metadata():
    checkpoint = Checkpoint(Path("net.ckpt"), {}, {"method": "LDNQ", "bits": [4, 8], "network": None})
    require_metadata(checkpoint)
    require_metadata(checkpoint, method="LDNQ", bits=(4, 8), network=None)
    message = r"net\.ckpt: expected method AdderQuant, found LDNQ; expected classes 10, found none recorded"
    with pytest.raises(CheckpointError, match=message):
        require_metadata(checkpoint, method="AdderQuant", classes=10, bits=[4, 8])
    with pytest.raises(CheckpointError, match="expected absent None, found none recorded"):
        require_metadata(checkpoint, absent=None)
