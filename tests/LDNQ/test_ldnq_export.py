"""LDNQ's networks in files of other formats."""

import json

import numpy as np
import pytest

from LDNQ import export, storage
from LDNQ.levels import signed_levels

FEW = ["--num_samples", "6", "--batch_size", "3", "--mode", "pynative"]


pytestmark = pytest.mark.usefixtures("pynative")


def refused(capsys, *words) -> str:
    with pytest.raises(SystemExit) as caught:
        export.main([*map(str, words), *FEW])
    lines = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2 and lines[-1].startswith("error: ")
    return lines[-1]


def test_the_shipped_network_as_mindir(capsys, tmp_path):
    file, record = tmp_path / "ternary.mindir", tmp_path / "out.json"
    export.main(["--output", str(file), "--json", str(record), *FEW])
    result = json.loads(record.read_text())
    assert (result["samples"], result["same_top_1"], result["bytes"]) == (6, 6, file.stat().st_size)
    assert result["largest_difference"] < 1e-4
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"written: {file}, ")


def test_the_shipped_network_as_onnx_holds_its_levels(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file, record = tmp_path / "ternary.onnx", tmp_path / "out.json"
    export.main(["--output", str(file), "--json", str(record), "--format", "onnx", *FEW])
    result = json.loads(record.read_text())
    assert (result["samples"], result["same_top_1"]) == (6, 6) and result["largest_difference"] < 1e-4
    model, stored = onnx.load(file), storage.load(storage.shipped("digits"))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    assert len(stored.layers) == 20
    for name, layer in stored.layers.items():
        levels = onnx.numpy_helper.to_array(constants[f"{name}.quantize_weight.integers"])
        assert constants[f"{name}.quantize_weight.integers"].data_type == onnx.TensorProto.INT4
        assert np.array_equal(levels, signed_levels(3)[layer.weights[0].codes])
    assert not any(tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1 for tensor in constants.values())
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["network"] == "resnet20" and json.loads(properties["preprocessing"])["image_size"] == 32


def test_a_float_network_as_onnx(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file, float_file = tmp_path / "float.onnx", storage.shipped("digits", "float")
    export.main(["--checkpoint_path", str(float_file), "--output", str(file), "--format", "onnx", *FEW])
    assert file.stat().st_size > 1_000_000


def test_a_file_that_is_no_checkpoint_is_one_clear_line(capsys, tmp_path):
    wrong = tmp_path / "wrong.ckpt"
    wrong.write_bytes(b"no checkpoint")
    assert "wrong.ckpt" in refused(capsys, "--checkpoint_path", wrong, "--output", tmp_path / "x.mindir")
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.ckpt"]


def test_a_folder_that_does_not_exist_is_one_clear_line(capsys, tmp_path):
    line = refused(capsys, "--output", tmp_path / "missing" / "x.mindir")
    assert "expected a file in a folder that exists" in line
    assert not list(tmp_path.iterdir())
