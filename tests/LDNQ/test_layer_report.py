"""Table, CSV and picture of the layers, with and without the test after each."""

import pytest
from matplotlib.image import imread

from common.report import figure, read_rows
from LDNQ import layer_report

RECORDS = [
    {"layer": f"conv{i}", "weights": 9 * i, "error": 0.1 / i, "sqnr_db": 10.0 * i, "seconds": 1.5} for i in (1, 2, 3)
]


@pytest.fixture
def drawn(monkeypatch):
    """The pictures that are saved."""
    pictures, save = [], figure.save
    monkeypatch.setattr(figure, "save", lambda picture, path: (pictures.append(picture), save(picture, path)))
    return pictures


def test_what_was_not_measured_is_said_and_the_rest_is_there(tmp_path, drawn):
    layer_report.write(tmp_path, RECORDS)
    lines = layer_report.table(RECORDS).splitlines()
    assert lines[-1] == layer_report.NOT_TESTED and "--test_layers" in lines[-1]
    assert len(lines) == 6 and "test %" not in lines[0] and "10.00%" in lines[2]
    assert [row["layer"] for row in read_rows(tmp_path / "layers.csv")] == ["conv1", "conv2", "conv3"]
    error, sqnr = drawn[0].axes
    assert error.get_title() == layer_report.NOT_TESTED and not sqnr.lines
    assert imread(tmp_path / "layers.png")[..., :3].std() > 0.01


def test_the_test_after_each_layer_is_a_column_and_a_curve(tmp_path, drawn):
    """A run that went on with --test_layers has it for its last layers alone."""
    records = [RECORDS[0], *({**record, "test_acc": 0.5 + 0.1 * i} for i, record in enumerate(RECORDS[1:]))]
    layer_report.write(tmp_path, records)
    text = layer_report.table(records)
    assert "test %" in text and "50.00%" in text and "not measured" not in text
    assert [row["test_acc"] for row in read_rows(tmp_path / "layers.csv")] == ["", "0.5", "0.6"]
    error, _, tests = drawn[0].axes
    assert not error.get_title() and tests.lines[0].get_xydata().tolist() == [[1, 50], [2, 60]]
