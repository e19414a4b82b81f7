import ast
import csv
import importlib.metadata
import json
import platform
from pathlib import Path

import numpy as np
import pytest

from common import report
from common.errors import ConfigError, DataError, UserError
from common.files.atomic_file import write_text


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(folder):
    return sorted(item.name for item in folder.iterdir())


def test_result_line_is_the_agreed_one():
    metrics = {"acc": 0.9126, "top_5_acc": np.float32(0.997), "loss": np.float64(0.311), "samples": np.int64(10000)}
    line = report.result_line(metrics, Path("path"))
    assert line == "result: {'acc': 0.9126, 'top_5_acc': 0.9970, 'loss': 0.3110, 'samples': 10000} ckpt= path"


def test_result_line_reads_back():
    line = report.result_line({"samples": 7, "acc": 1 / 3, "note": "it's"}, "a b.ckpt")
    body, checkpoint = line.removeprefix("result: ").split(" ckpt= ")
    assert ast.literal_eval(body) == {"samples": 7, "acc": 0.3333, "note": "it's"} and checkpoint == "a b.ckpt"
    assert list(ast.literal_eval(body)) == ["samples", "acc", "note"]


def test_versions_are_the_installed_ones():
    versions = report.versions()
    assert versions["python"] == platform.python_version() and versions["numpy"] == np.__version__
    assert versions["mindspore"] == importlib.metadata.version("mindspore")
    assert list(versions) == ["python", "mindspore", "numpy", "lowbitzoo"] and all(versions.values())


def test_json_keeps_order_and_converts(tmp_path):
    record = {
        "method": "AdderQuant",
        "acc": np.float64(0.5),
        "samples": np.int32(4),
        "ok": np.bool_(True),
        "levels": np.arange(3, dtype=np.int8),
        "cost": {8: (1, 2.5)},
        "path": Path("a/b"),
        "none": None,
    }
    file = report.write_json(tmp_path / "new" / "out.json", record)
    content = json.loads(file.read_text())
    assert content == {
        "method": "AdderQuant",
        "acc": 0.5,
        "samples": 4,
        "ok": True,
        "levels": [0, 1, 2],
        "cost": {"8": [1, 2.5]},
        "path": "a/b",
        "none": None,
    }
    assert list(content) == list(record) and type(content["samples"]) is int
    assert files(tmp_path / "new") == ["out.json"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.float32("nan"), np.array([0.0, np.inf])])
def test_json_refuses_what_is_not_finite(tmp_path, bad):
    with pytest.raises(UserError, match=r"cost\.loss"):
        report.write_json(tmp_path / "out.json", {"acc": 1.0, "cost": {"bits": 4, "loss": bad}})
    assert files(tmp_path) == []


def test_json_refuses_unknown_kinds(tmp_path):
    with pytest.raises(TypeError, match="object"):
        report.write_json(tmp_path / "out.json", {"a": [object()]})
    assert files(tmp_path) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = report.write_json(tmp_path / "out.json", {"old": 1})

    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(ConfigError, match="No space left"):
        report.write_json(file, {"new": 1})
    assert json.loads(file.read_text()) == {"old": 1} and files(tmp_path) == ["out.json"]


@pytest.mark.parametrize("name", [".", "file/x.json", "x" * 300, "loop"])
def test_a_place_that_takes_no_file(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match="cannot write"):
        report.write_json(tmp_path / name, {})
    assert files(tmp_path) == ["file", "loop"]


def test_devices_are_left_alone():
    with pytest.raises(ConfigError, match="device"):
        write_text("/dev/null", "text")
    assert Path("/dev/null").is_char_device()


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "text"


def append(file, row):
    report.write_rows(file, [*report.read_rows(file), row])


def test_rows_append_and_columns_grow(tmp_path):
    file = tmp_path / "results.csv"
    append(file, {"method": 'A, "b"\nc', "bits": 8})
    append(file, {"method": "D", "bits": np.int64(4), "acc": 0.1 + 0.2})
    append(file, {"acc": None, "bits": 5})
    assert read_csv(file) == [
        {"method": 'A, "b"\nc', "bits": "8", "acc": ""},
        {"method": "D", "bits": "4", "acc": repr(0.1 + 0.2)},
        {"method": "", "bits": "5", "acc": ""},
    ]
    assert files(tmp_path) == ["results.csv"]


def test_rows_of_another_program_survive(tmp_path):
    file = tmp_path / "results.csv"
    file.write_bytes(b"\xef\xbb\xbfmethod,bits\r\nA,8\r\n\r\nB")  # as a spreadsheet saves it, cut at the end
    append(file, {"method": "C"})
    assert read_csv(file) == [{"method": m, "bits": b} for m, b in (("A", "8"), ("B", ""), ("C", ""))]


def test_rows_are_replaced_by_key(tmp_path):
    file = tmp_path / "results.csv"
    rows = [("A", 8, 0.1), ("A", 4, 0.2), ("B", 8, 0.3)]
    for method, bits, acc in rows:
        report.replace_row(file, ["method", "bits"], {"method": method, "bits": bits, "acc": acc, "date": "old"})
    append(file, {"method": "A", "bits": 4, "acc": 9})
    report.replace_row(file, ["method", "bits"], {"method": "A", "bits": 4, "acc": 0.5, "speed": 7})
    written = [(row["method"], row["bits"], row["acc"], row["date"], row["speed"]) for row in read_csv(file)]
    assert written == [("A", "8", "0.1", "old", ""), ("A", "4", "0.5", "", "7"), ("B", "8", "0.3", "old", "")]


@pytest.mark.parametrize("content", [b"a,b\n1,2,3\n", b"a,a\n1,2\n", b'a,b\n"1,2\n', b"a,b\n\xff,2\n"])
def test_a_damaged_results_file_stays_as_it_is(tmp_path, content):
    file = tmp_path / "results.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"results\.csv"):
        append(file, {"a": 1})
    assert file.read_bytes() == content and files(tmp_path) == ["results.csv"]


def test_a_results_file_that_is_a_folder(tmp_path):
    with pytest.raises(ConfigError):
        append(tmp_path, {"a": 1})


ROWS = [{"name": "adder", "acc": 0.5, "bytes": 1234567}, {"name": "a|b\nc", "acc": None, "bytes": 8}]


def test_markdown_table():
    table = report.markdown_table(ROWS, {"name": "network", "acc": "top-1"}, {"acc": ".1%"})
    assert table.split("\n") == [
        "| network | top-1 |",
        "| --- | ---: |",
        "| adder | 50.0% |",
        "| a\\|b c | - |",
    ]


def test_text_table():
    table = report.text_table(ROWS, ["name", "bytes", "none"], {"bytes": ",", "acc": ".1f"})
    assert table.split("\n") == [
        "name       bytes  none",
        "-----  ---------  ----",
        "adder  1,234,567     -",
        "a|b c          8     -",
    ]


@pytest.mark.parametrize("table", [report.text_table, report.markdown_table])
def test_a_table_without_rows_is_its_header(table):
    assert len(table([], ["a", "b"]).splitlines()) == 2


def test_rows_are_written_anew(tmp_path):
    path = tmp_path / "log.csv"
    report.write_rows(path, [{"a": 1, "b": None}, {"a": 2, "c": "x,y"}])
    report.write_rows(path, [{"a": np.float32(0.5), "c": "x,y"}])
    assert path.read_text(encoding="utf-8") == 'a,c\n0.5,"x,y"\n'
    assert report.read_rows(path) == [{"a": "0.5", "c": "x,y"}]
