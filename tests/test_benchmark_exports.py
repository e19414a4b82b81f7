"""The benchmark of exported files: candidates, rows, reasons, and the README's table."""

import json

import benchmark
import benchmark_stubs as stubs
import numpy as np
import pytest
import update_tables
from benchmarks import exports, exports_files, exports_steps, peers, processor

FILES = [
    *("ProQHA W4A4 exact", "ProQHA W4A4 fast", "LDNQ ternary exact", "LDNQ ternary fast", "LDNQ ternary A8 exact"),
    *("LDNQ ternary A8 fast", "DynamicQuant static 4 exact", "DynamicQuant static 4 fast", "DAMBQ int8 W2A2 fast"),
]


@pytest.fixture
def stubbed(monkeypatch):
    """Every candidate is a pause and every package is installed."""
    monkeypatch.setattr(exports_steps, "step", stubs.idle)
    monkeypatch.setattr(exports_files, "content", lambda name: bytes(1000 * len(name)))
    monkeypatch.setattr(peers, "versions", lambda python: dict.fromkeys(peers.PINNED, "1"))
    monkeypatch.setattr(processor, "frequency", lambda: 1e9)


def test_rows_are_runtimes_sizes_and_files(stubbed, tmp_path, capsys):
    words = ["--rounds", "1", "--json", str(tmp_path / "rows.json"), "--candidates", FILES[1], "float"]
    benchmark.main(["exports", *words])
    rows = json.loads((tmp_path / "rows.json").read_text())
    found = [(row["work"], row["candidate"], row["batch"], row["threads"], row["kb"]) for row in rows]
    candidates, runs = (("float", 5), (FILES[1], 16)), (("onnxruntime", 128, 2), ("onnxruntime", 1, 1))
    runs += (("OpenVINO", 128, 2), ("OpenVINO", 1, 1))
    assert found == [
        (f"ResNet-20, {runtime}", name, batch, threads, kb)
        for runtime, batch, threads in runs
        for name, kb in candidates
    ]
    assert all(row["ms"] > 0 and row["processor"] for row in rows)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": no file in the fast form: ")[0] for line in lines[-3:]] == list(exports_files.WITHOUT)


def test_the_candidates_are_both_forms_of_the_methods():
    assert list(exports.CANDIDATES) == ["float", "int8, onnxruntime's tool", *FILES]


@pytest.mark.parametrize("words", [["--work", "TensorRT"], ["--candidates", "AdderQuant fast"]])
def test_unknown_names_are_refused(stubbed, words, capsys):
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["exports", *words])
    assert ended.value.code == 2 and f"found '{words[1]}'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["float", FILES[2], FILES[7]])
def test_files_run_in_onnxruntime(name, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file = tmp_path / "file.onnx"
    file.write_bytes(exports_files.content(name))
    exports_steps.step("onnxruntime", str(file), 2, 32, 1, 1)()
    from common.export import onnx_model

    logits = onnx_model.decode(file.read_bytes(), 1)(np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype("f4"))
    assert logits.shape == (2, 10) and np.isfinite(logits).all() and logits.std() > 0


def test_the_table_compares_with_the_float_file_of_the_same_runtime_and_size():
    rows = [
        {"work": f"ResNet-20, {runtime}", "candidate": name, "batch": batch, "ms": ms, "kb": 7}
        for runtime, factor in (("onnxruntime", 1), ("OpenVINO", 2))
        for batch, scale in ((128, 1), (1, 0.01))
        for name, ms in (("float", 50.0 * scale), ("fast", 25.0 * factor * scale))
    ]
    table = update_tables.of_exports(rows).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (table[0], table[-1])]
    assert dict(zip(*cells)) == {
        **{"ResNet-20": "fast", "kB": "7", "ms, onnxruntime, batch": "25.0", "x float, onnxruntime, batch": "2.00"},
        **{"ms, onnxruntime, 1 image": "0.25", "x float, onnxruntime, 1 image": "2.00"},
        **{"ms, OpenVINO, batch": "50.0", "x float, OpenVINO, batch": "1.00"},
        **{"ms, OpenVINO, 1 image": "0.50", "x float, OpenVINO, 1 image": "1.00"},
    }


def test_measured_fast_forms_keep_what_the_readme_says():
    """None slower than the float file, but for a hundredth of what is the same network, ProQHA's 1.3 times as fast."""
    rows = update_tables.measured(update_tables.EXPORTS)
    floats = {(row["work"], row["batch"]): row["ms"] for row in rows if row["candidate"] == "float"}
    speeds = {
        (row["candidate"], row["work"], row["batch"]): floats[row["work"], row["batch"]] / row["ms"]
        for row in rows
        if row["candidate"].endswith(" fast")
    }
    assert len(speeds) == 20 and min(speeds.values()) > 0.98
    assert all(speed >= 1.3 for (name, *_), speed in speeds.items() if name == "ProQHA W4A4 fast")
