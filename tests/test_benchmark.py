"""The benchmark script: candidates in processes, rows, packages that are missing, limits of instructions."""

import argparse
import json
import os
import sys
from pathlib import Path

import benchmark
import benchmark_stubs as stubs
import pytest
from benchmarks import data as pipelines
from benchmarks import isa, peers, processor, side_by_side
from benchmarks import profile as by_operator
from benchmarks.harness import Candidate, take_turns
from benchmarks.side_by_side import KINDS, WORKS, Kind, Work
from PIL import Image

from common.errors import ConfigError, UserError

ROOT = Path(__file__).resolve().parents[1]

KEYS = ["work", "candidate", "batch", "threads", "isa", "ms", "images_per_s", "mac_per_cycle", "peak_mib"]
INSTALLED = {"torch": "2.13.0", "onnxruntime": "1.32.0", "openvino": "2026.4.1", "onnx": "1.17.0"}
ARGS = argparse.Namespace(
    **dict.fromkeys(("peers", "peers_environment", "work", "before", "candidates")),
    **{"isa": "native", "threads": 1, "rounds": 1, "batch_size": 4, "benchmark": "float"},
)


@pytest.fixture
def class_folder(tmp_path):
    """Three images of one class."""
    folder = tmp_path / "images" / "n01"
    folder.mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (300, 260 + i), (40 * i, 90, 120)).save(folder / f"{i}.jpg")
    return folder.parent


@pytest.fixture
def stubbed(monkeypatch):
    """Every candidate is a pause, every package is installed, the frequency is known."""
    for name, kind in KINDS.items():
        monkeypatch.setitem(KINDS, name, Kind(stubs.idle, kind.packages, kind.arguments, kind.patience))
    monkeypatch.setattr(peers, "versions", lambda python: INSTALLED)
    monkeypatch.setattr(processor, "frequency", lambda: 1e9)


def test_a_round_gives_a_row_per_candidate(stubbed, tmp_path, capsys):
    benchmark.main(["float", "--rounds", "1", "--batch_size", "4", "--json", str(tmp_path / "rows.json")])
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["candidate"] for row in rows] == list(WORKS["float"][0].candidates)
    assert all(list(row) == [*KEYS, "processor", "ghz"] and row["work"] == "ResNet-20 forward" for row in rows)
    assert all((row["batch"], row["threads"], row["isa"]) == (4, 2, "native") for row in rows)
    captured = capsys.readouterr()
    assert "openvino: 2026.4.1" in captured.err and captured.out.startswith("work")


def test_rows_of_a_methods_benchmark_are_in_an_object():
    assert list(benchmark.record("adder", [])) == ["benchmark", "machine", "rows"]
    assert benchmark.record("profile", []) == []


@pytest.mark.parametrize("work", [work for works in WORKS.values() for work in works], ids=lambda work: work.name)
def test_multiply_adds_are_those_of_the_network(work):
    from common.evaluation.cost import trace
    from common.models.registry import model

    network = model(work.network).build(1000 if work.side == 224 else 10)
    from common.models.adder import Adder2d

    adders = [name for name, cell in network.cells_and_names() if isinstance(cell, Adder2d)]
    assert sum(layer.macs for layer in trace(network, (3, work.side, work.side), adders)) == work.macs


def test_training_counts_three_passes(monkeypatch):
    monkeypatch.setattr(processor, "frequency", lambda: 1e9)
    candidate = Candidate("ours", stubs.idle, {"batch_size": 2, "threads": 2}, seconds=[0.5, 1.0, 9.0])
    rows = [
        side_by_side.row(Work(f"network {kind}", "network", 8, 32, 10**9, ("ours",)), candidate, "native")
        for kind in ("forward", "training")
    ]
    assert [row["mac_per_cycle"] for row in rows] == [1.0, 3.0] and rows[0]["ms"] == 1000


def test_missing_packages_are_one_line_each(capsys):
    made = side_by_side.make_candidates(WORKS["float"][0], ARGS, {"torch": "2.13.0"})
    assert [candidate.name for candidate in made] == ["ours", *side_by_side.PYTORCH]
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2 and "pip install onnxruntime==1.32.0 onnx (extra [benchmark])" in lines[0]
    assert "pip install openvino==2026.4.1 onnx" in lines[1]


def test_packages_of_another_interpreter_are_asked_for():
    assert set(peers.versions(sys.executable)) <= set(peers.PINNED)
    with pytest.raises(ConfigError, match="expected a Python interpreter"):
        peers.versions("/no/such/python")


def test_peers_run_in_their_interpreter_and_environment():
    args = argparse.Namespace(**{**vars(ARGS), "peers": "python", "peers_environment": {"A": "b"}})
    ours, *others = side_by_side.make_candidates(WORKS["float"][0], args, INSTALLED)
    assert ours.python is None and ours.environment is None
    assert all((other.python, other.environment) == ("python", {"A": "b"}) for other in others)


@pytest.fixture
def tree(tmp_path):
    """Another checkout of the project, as far as it is looked at."""
    package = tmp_path / "before" / "common"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    return package.parent


def test_another_checkout_takes_turns_with_this_one(stubbed, tree, tmp_path, capsys):
    words = ["--work", "AdderNet training", "--before", str(tree), "--json", str(tmp_path / "rows.json")]
    benchmark.main(["training", "--rounds", "1", *words])
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["work"], row["candidate"]) for row in rows] == [
        ("AdderNet training", "ours"),
        ("AdderNet training", "ours before"),
    ]
    assert all(list(row) == [*KEYS, "processor", "ghz"] for row in rows)


def test_another_checkout_has_its_own_packages(tree):
    mine, theirs = Candidate("ours", stubs.of_tree, {"folder": str(ROOT)}), {"folder": str(tree)}
    take_turns([mine, Candidate("ours before", stubs.of_tree, theirs, tree=tree)], 1)
    with pytest.raises(UserError, match="ours: its process ended"):
        take_turns([Candidate("ours", stubs.of_tree, theirs)], 1)


def test_only_our_own_candidates_have_one_before(tree):
    args = argparse.Namespace(**{**vars(ARGS), "before": tree})
    made = side_by_side.make_candidates(WORKS["training"][0], args, INSTALLED)
    ours = ["ours", *side_by_side.QUANTIZED]
    pairs = [pair for name in ours for pair in ((name, None), (name + " before", tree))]
    assert [(c.name, c.tree) for c in made] == pairs + [(name, None) for name in side_by_side.PYTORCH]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--work", "AdderNet forward"], "--work: expected one of ResNet-20 training, AdderNet training, found"),
        (["--candidates", "theirs"], "--candidates: expected some of ours, ours W2A2, ours ProQHA W4A4, ours Dynamic"),
        (["--before", "/no/such/folder"], "--before: expected a checkout of the project, found no common"),
    ],
    ids=["work", "candidate", "checkout"],
)
def test_a_work_or_checkout_that_is_not_there(stubbed, words, line, capsys):
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["training", *words])
    assert ended.value.code == 2 and line in capsys.readouterr().err


def test_a_candidates_process_has_its_variables(capfd):
    arguments = {"name": "WHO", "expected": "me"}
    candidate = Candidate("one", stubs.variable, arguments, environment={**os.environ, "WHO": "me"})
    take_turns([candidate], 2)
    assert len(candidate.seconds) == 2 and candidate.peak_mib > 0
    captured = capfd.readouterr()
    assert captured.out == "" and "no answer" in captured.err


def test_a_candidate_that_fails_is_named(capfd):
    with pytest.raises(UserError, match="one: its process ended with status 1"):
        take_turns([Candidate("one", stubs.broken, {})], 1)
    assert "no such network" in capfd.readouterr().err


def test_a_candidate_that_compiles_too_long_is_left_out(capsys):
    first, second = Candidate("one", stubs.slow, {}, patience=0.1), Candidate("two", stubs.idle, {})
    take_turns([first, second], 1)
    assert (len(first.seconds), len(second.seconds)) == (0, 1)
    assert capsys.readouterr().err.strip() == "one: not ready after 0 s, left out"


def test_avx2_limits_ours_and_theirs(monkeypatch, capsys):
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"], "CXX": "c++ -O2"})
    theirs = isa.limit("avx2")
    assert os.environ["CXX"].endswith("c++ -O2 -mno-avx512f") and theirs["CXX"] == "c++ -O2"
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == theirs["DNNL_MAX_CPU_ISA"] == "AVX2"
    assert theirs["ATEN_CPU_CAPABILITY"] == "avx2"
    assert "onnxruntime cannot be limited" in capsys.readouterr().err
    assert [isa.of("avx2", package) for package in ("", "torch", "onnxruntime")] == ["avx2", "avx2", "native"]


def test_nothing_is_limited_unless_asked():
    before = dict(os.environ)
    assert isa.limit("native") == before == dict(os.environ)


def test_the_processors_loops_count(monkeypatch):
    monkeypatch.setattr(processor, "_RUNS", 1)
    assert 1e8 < processor.frequency.__wrapped__() < 1e11
    peak = processor.multiply_adds(1)
    assert peak is None or peak > 1e8


def test_without_a_compiler_the_system_tells_the_frequency(monkeypatch):
    monkeypatch.setattr(processor, "_loops", lambda: None)
    monkeypatch.setattr(processor, "cpuinfo", lambda key: "2500.5")
    assert processor.frequency.__wrapped__() == 2500.5e6 and processor.multiply_adds(2) is None


def test_the_operators_are_those_of_the_step():
    from benchmarks.resnet20_operators import CONVOLUTIONS, MAPS

    macs = sum(calls * f * c * 9 * (side // stride) ** 2 for c, f, side, stride, calls in CONVOLUTIONS)
    assert macs + 640 == side_by_side.RESNET20_MACS
    assert sum(plain + joined for _, _, plain, joined, _ in MAPS) == 19


def test_operators_are_rated_by_the_peak():
    row = by_operator._rated(by_operator._row("convolution", 3, 0.002, 10**6), 1e9)
    assert (row["ms_per_step"], row["gmac_per_s"], row["share_of_peak"]) == (6.0, 0.5, 0.5)
    assert by_operator._rated(by_operator._row("add", 3, 0.002, 0), 1e9)["share_of_peak"] is None


@pytest.mark.slow
def test_data_pipelines_are_timed_over_a_folder(class_folder, monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "versions", lambda python: {})
    monkeypatch.setattr(pipelines, "LEAST", 8)
    monkeypatch.setattr(pipelines.our_steps, "step", stubs.idle)
    file = tmp_path / "rows.json"
    options = ["--rounds", "1", "--batch_size", "4", "--threads", "1", "--json", str(file)]
    benchmark.main(["data", "--images", str(class_folder), *options])
    rows = json.loads(file.read_text())
    works = [*pipelines.WORKS, pipelines.CIFAR10, pipelines.STEP]
    assert [(row["work"], row["candidate"]) for row in rows] == [(work, "ours") for work in works]
    assert all(row["images_per_s"] > 0 and (row["batch"], row["threads"]) == (4, 1) for row in rows)


def test_data_need_a_folder(capsys):
    with pytest.raises(SystemExit) as stopped:
        benchmark.main(["data", "--peers", sys.executable])
    assert stopped.value.code == 2
    assert "error: data: expected --images with a folder of class folders" in capsys.readouterr().err


def test_a_pass_takes_whole_repetitions_and_whole_batches():
    assert pipelines.passed(42) == 546 and pipelines.passed(512) == 512 and pipelines.passed(513) == 513
    assert pipelines.whole_batches(546, 64) == 512
