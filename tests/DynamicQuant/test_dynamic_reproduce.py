"""The recorded results: one command that goes on, and its table."""

import csv

import pytest
from script_runs import run

from common.report.results import Results
from DynamicQuant import reproduce


@pytest.fixture
def short(monkeypatch, tmp_path, data):
    """A command whose runs are of the small network and take an epoch of 32 images."""
    monkeypatch.setattr(reproduce, "RESULTS", Results(tmp_path / "results.csv", reproduce.KEYS))
    options = {"batch_size": 16, "schedule": "cosine", "warmup_epochs": 0, "dataset": "cifar10"}
    monkeypatch.setattr(reproduce, "COMMON", {**options, "mode": "pynative"})
    folder = data[data.index("--dataset_path") + 1]
    words = ["--dataset_path", folder, "--output_dir", tmp_path / "out", "--epochs", 1]
    return [*words, "--arch", "TinyDynamic", "--seeds", 4, 5, "--also_eval", f"other={folder}", "--train_samples", 32]


@pytest.fixture
def start(runs):
    return ["--pretrained", runs["float"][0] / "float.ckpt"]


def rows(tmp_path) -> list[dict]:
    with (tmp_path / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.training
def test_all_runs_are_recorded_and_made_only_once(short, start, tmp_path, monkeypatch):
    run(reproduce, *start, *short)
    recorded = rows(tmp_path)
    kinds = [(row["stage"], row["quantizer"], row["seed"]) for row in recorded if row["data"] == "official"]
    quantized = [(s, q, n) for n in "45" for q in ("dorefa", "pact") for s in ("static", "dynamic")]
    assert kinds == [("float", "", "0"), *quantized] and len(recorded) == 2 * len(kinds)
    for row in recorded:
        dynamic = row["stage"] == "dynamic"
        assert row["samples"] == "16" and bool(row["of_static"]) == bool(row["entropy"]) == dynamic
        assert not dynamic or abs(float(row["of_static"]) - 1) < 0.2
    assert {path.name for path in tmp_path.glob("*.png")} >= {"bits_dorefa3.png", "examples_pact3.png"}
    monkeypatch.setattr(reproduce.training, "main", lambda *_: pytest.fail("trained again"))
    run(reproduce, *start, *short)
    assert rows(tmp_path) == recorded


@pytest.mark.training
def test_two_passes_are_recorded_beside_the_network_of_their_operations(short, start, tmp_path, monkeypatch):
    words = [*short, "--stages", "passes", "--quantizers", "pact", "--validation", 10, "--seeds", 4]
    run(reproduce, *start, *words)
    recorded = rows(tmp_path)
    kinds = [(row["stage"], row["bits"], row["images"]) for row in recorded if row["data"] == "official"]
    assert kinds == [("float", "32", "all"), ("static", "3", "32 but 10"), ("passes", "3", "32 but 10")]
    static, both = recorded[2], recorded[4]
    assert 4 / 9 <= float(both["of_static"]) <= 20 / 9 and not static["of_static"]
    assert int(both["file_bytes"]) > int(static["file_bytes"])  # both networks'
    monkeypatch.setattr(reproduce.training, "main", lambda *_: pytest.fail("trained again"))
    run(reproduce, *start, *words)
    assert rows(tmp_path) == recorded


def test_a_table_shows_means_and_deviations_over_seeds():
    base = dict.fromkeys(reproduce.COLUMNS, "")
    same = {"network": "resnet20", "bits": "3", "epochs": "10", "images": "all", "data": "jpeg", "samples": "10"}
    scores = [("static", 90.0, ""), ("static", 91.0, ""), ("dynamic", 90.6, "0.99"), ("dynamic", 91.0, "0.98")]
    table = reproduce.table(
        [
            {**base, **same, "stage": stage, "quantizer": "pact", "seed": str(i), "top1": str(top1), "of_static": share}
            for i, (stage, top1, share) in enumerate(scores)
        ]
    )
    assert "90.50 ± 0.71" in table and "90.80 ± 0.28" in table and "0.985" in table
    assert len(table.splitlines()) == 4 and reproduce.table([]) == ""
