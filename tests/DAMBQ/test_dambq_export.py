"""DAMBQ's networks in files of other formats."""

import json

import pytest

from DAMBQ import export

pytestmark = pytest.mark.usefixtures("quickly")
FEW = ["--num_samples", "6", "--batch_size", "3", "--mode", "pynative"]


@pytest.mark.slow
def test_the_shipped_network_as_mindir(tmp_path):
    file, record = tmp_path / "w2a2.mindir", tmp_path / "out.json"
    export.main(["--output", str(file), "--json", str(record), *FEW])
    result = json.loads(record.read_text())
    assert (result["samples"], result["same_top_1"], result["bytes"]) == (6, 6, file.stat().st_size)
    assert result["median_difference"] < 1e-4


@pytest.mark.parametrize(
    "words, reason",
    [
        ([], "cannot be expressed exactly in ONNX: every channel has bits of its own"),
        (["--form", "fast"], "has no fast form in ONNX: levels of the table v2 are no 8-bit integers"),
        (["--table", "int8"], "cannot be expressed exactly in ONNX: every channel has bits of its own"),
    ],
)
def test_onnx_is_refused_with_the_reason(words, reason, capsys, tmp_path):
    with pytest.raises(SystemExit) as caught:
        export.main(["--output", str(tmp_path / "w2a2.onnx"), "--format", "onnx", *words, *FEW])
    line = capsys.readouterr().err.splitlines()[-1]
    assert caught.value.code == 2
    assert line.startswith(f"error: {reason}")
    assert not list(tmp_path.iterdir())


def test_levels_of_8_bits_have_the_fast_form(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file, record = tmp_path / "w2a2.onnx", tmp_path / "out.json"
    words = ["--output", str(file), "--json", str(record), "--format", "onnx", "--form", "fast", "--table", "int8"]
    export.main([*words, *FEW])
    result = json.loads(record.read_text())
    assert (result["samples"], result["same_top_1"], result["bytes"]) == (6, 6, file.stat().st_size)
    assert 1e-3 < result["median_difference"] < 0.1 * result["largest_logit"]
