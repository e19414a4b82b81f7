"""DAMBQ's networks in files of other formats."""

import json

import pytest

from DAMBQ import export

pytestmark = pytest.mark.usefixtures("quickly")
FEW = ["--num_samples", "6", "--batch_size", "3", "--mode", "pynative"]


def test_the_shipped_network_as_mindir(tmp_path):
    file, record = tmp_path / "w2a2.mindir", tmp_path / "out.json"
    export.main(["--output", str(file), "--json", str(record), *FEW])
    result = json.loads(record.read_text())
    assert (result["samples"], result["same_top_1"], result["bytes"]) == (6, 6, file.stat().st_size)
    assert result["median_difference"] < 1e-4


def test_onnx_is_refused_with_the_reason(capsys, tmp_path):
    with pytest.raises(SystemExit) as caught:
        export.main(["--output", str(tmp_path / "w2a2.onnx"), "--format", "onnx", *FEW])
    line = capsys.readouterr().err.splitlines()[-1]
    assert caught.value.code == 2
    assert line.startswith("error: cannot be expressed exactly in ONNX: every channel has bits of its own")
    assert not list(tmp_path.iterdir())
