"""The scripts that record results and time networks run from end to end, on two batches."""

import csv
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import train_from_scratch
from readme_tiny import TINY, cifar10_network

from common.report.results import Results

ROOT = Path(__file__).resolve().parents[1]
ADDER = ROOT / "AdderQuant" / "checkpoints" / "adder_resnet20_digits.ckpt"
SHORT = {name: value for name, value in TINY.items() if name != "epochs"}
FLOAT = ROOT / "common" / "zoo" / "files" / "resnet20_digits.ckpt"
# Options of each method's reproduce.py, the scripts that it calls, and the rows that it leaves.
CASES = {
    "AdderQuant": (["--pretrained", ADDER], ["eval"], 56),
    "DAMBQ": (["--pretrained", FLOAT, "--epochs", 4, "--arch", "resnet20"], ["train", "eval"], 12),
    "LDNQ": (["--pretrained", FLOAT, "--levels", 3, 5, "--num_images", 4], ["main", "eval"], 6),
    "ProQHA": (
        ["--pretrained", FLOAT, "--arch", "postresnet20", "--epochs", 1, "--seeds", 1, "--bits", 5],
        ["train", "search", "eval"],
        6,
    ),
}


def shorten(monkeypatch, script) -> None:
    """Let a script see few images, in the mode that compiles nothing, for the epochs that it is told."""
    main, known = script.main, script.make_parser().settable()
    words = [str(word) for name, value in SHORT.items() if name in known for word in (f"--{name}", value)]
    monkeypatch.setattr(script, "main", lambda argv: main([*argv, *words, "--mode", "pynative"]))


@pytest.mark.training
@pytest.mark.parametrize("method", CASES)
def test_results_are_recorded(method, tmp_path, monkeypatch, small_cifar):
    options, scripts, count = CASES[method]
    script = importlib.import_module(f"{method}.reproduce")
    for name in scripts:
        shorten(monkeypatch, importlib.import_module(f"{method}.{name}"))
    monkeypatch.setattr(script, "RESULTS", Results(tmp_path / "results.csv", script.RESULTS.keys))
    start, given, *rest = options
    network = cifar10_network(tmp_path / given.name, given)  # whose classes are those of the images
    words = [start, network, *rest, "--dataset_path", small_cifar, "--output_dir", tmp_path / "out"]
    words += ["--also_eval", f"other={small_cifar}"]
    script.main([str(word) for word in words])
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count and {row["samples"] for row in rows} == {"16"}
    assert all(0 <= float(row["top1"]) <= 100 for row in rows)
    assert len({row["data"] for row in rows}) == 2
    assert "\n| --- |" in script.table(rows)


@pytest.mark.training
def test_networks_from_scratch_are_recorded(tmp_path, monkeypatch, small_cifar):
    for script in ("LDNQ.train", "LDNQ.eval", "AdderQuant.train", "AdderQuant.eval"):
        shorten(monkeypatch, importlib.import_module(script))
    monkeypatch.setattr(train_from_scratch, "RESULTS", Results(tmp_path / "results.csv", train_from_scratch.COLUMNS))
    words = ["--dataset_path", small_cifar, "--epochs", 1, "--output_dir", tmp_path / "out"]
    train_from_scratch.main([str(word) for word in words])
    rows = train_from_scratch.RESULTS.rows()
    assert [row["network"] for row in rows] == ["resnet20", "adder_resnet20"]
    assert all(row["samples"] == "16" and 0 <= float(row["top1"]) <= 100 for row in rows)
    assert len(train_from_scratch.table(rows).splitlines()) == 4
    before = train_from_scratch.RESULTS.path.stat().st_mtime_ns
    train_from_scratch.main([str(word) for word in words])  # they are there: nothing is trained
    assert train_from_scratch.RESULTS.path.stat().st_mtime_ns == before


@pytest.mark.training
@pytest.mark.parametrize("name", ["adder", "dambq", "dynamic", "ldnq", "proqha", "training", "float", "profile"])
def test_benchmarks_run(name):
    line = [sys.executable, "scripts/benchmark.py", name, "--rounds", "1", "--batch_size", "8"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-4000:]
    title, *rows = done.stdout.strip().splitlines()
    assert len(rows) >= 2 and "ms" in title
