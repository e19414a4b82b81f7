"""The comparison of all methods: commands that the scripts accept, rows, table and pictures."""

import importlib
import json
import os
import signal
import threading
import time
from pathlib import Path

import compare
import pytest
from comparison import jobs, pictures, recorded
from comparison.entries import METHODS, Command, entries
from comparison.table import table
from PIL import Image

from common.cli import config
from common.errors import ConfigError
from common.report.results import Results
from DAMBQ.budget import Budget

ROOT = Path(__file__).resolve().parents[1]


def settled(*words):
    args = config.parse(compare.make_parser(), list(map(str, words)))
    compare.settle(args)
    return args


def test_every_command_is_one_that_its_script_takes(tmp_path):
    args = settled("--output_dir", tmp_path, "--bits", 4, 3)
    made = list(entries(args))
    assert [entry.method for entry in made[:2]] == ["float", "uniform"] and {e.method for e in made} == set(METHODS)
    assert [(e.method, e.bits) for e in made if e.method == "AdderQuant"] == [("AdderQuant", b) for b in (32, 4, 3)]
    for entry in made:
        for command in (*entry.make, entry.evaluation):
            module = importlib.import_module(command.script.removesuffix(".py").replace("/", "."))
            config.parse(module.make_parser(), command.words())


def test_trainings_are_equally_long(tmp_path):
    """Epochs of all commands of a network; a search trains nothing."""
    args = settled("--output_dir", tmp_path, "--epochs", 7, "--methods", "uniform", "ProQHA", "DAMBQ", "DynamicQuant")
    for entry in entries(args):
        lengths = [c.options.get("epochs", c.options.get("train_epochs", 0)) for c in entry.make]
        assert all(c.options.get("search_epochs", 0) == 0 for c in entry.make)
        assert sum(lengths) == 7, entry


@pytest.mark.parametrize("epochs", range(2, 9))
def test_budgets_of_dambq_are_reached_in_their_epochs(tmp_path, epochs):
    methods = ["--methods", "DAMBQ", "--bits", 2, 3, 4]
    for entry in entries(settled("--output_dir", tmp_path, "--epochs", epochs, *methods)):
        options = entry.make[-1].options
        shares, duration = options.get("shares", (0.01, 0.3)), options.get("duration", (0, 150))
        budget = Budget(entry.bits, entry.bits, "channel", tuple(shares), tuple(duration))
        assert budget.pace(0, options["epochs"], 600) >= 4 - entry.bits, entry


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--dataset_path", "images"], "pretrained: expected a float ResNet-20 for cifar10, found none"),
        (["--dataset_path", "images", "--pretrained", "a.th"], "adder_pretrained: expected a float AdderNet"),
        (["--bits", 2], "bits: DynamicQuant has targets from 3 up, found 2"),
        (["--dataset", "imagenet"], "dataset: expected digits or cifar10, found imagenet"),
        (["--bits", 5], "bits: expected 2 to 4"),
        (["--epochs", 1], "epochs: expected a whole number from 2 up"),
    ],
)
def test_what_cannot_be_compared_is_said(words, expected):
    with pytest.raises(ConfigError, match=expected):
        settled(*words)


@pytest.fixture
def pretend(monkeypatch):
    """Scripts that only leave what would be measured; the commands that were run."""
    calls = []

    def run(scripts, label, command, *words):
        calls.append(command)
        if "--json" not in words:
            return
        file = Path(command.options["checkpoint_path"])
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes(1000))
        network = "adder_resnet20" if "Adder" in command.script else "resnet20"
        cost = {"average_weight_bits": 4.5, "average_activation_bits": 32, "bit_operations": 2e9}
        cost["bits_of_layers"] = {"first": [32, 32], "a": [4, 4], "b": [3, 4], "last": [32, 32]}
        record = {"acc": 0.9 if file.stem.startswith("resnet20") else 0.875, "samples": 360, "images_per_second": 123.4}
        Path(words[words.index("--json") + 1]).write_text(json.dumps({**record, "network": network, "cost": cost}))

    monkeypatch.setattr(compare.Scripts, "run", run)
    return calls


def test_results_are_kept_and_shown(tmp_path, pretend, capsys):
    words = ["--output_dir", str(tmp_path), "--methods", "float", "uniform", "DAMBQ", "--bits", "4"]
    compare.main(words)
    printed = capsys.readouterr().out
    lines = [line.split("|")[1:-1] for line in printed.strip().splitlines()]
    assert [cell.strip() for cell in lines[2]][:6] == ["float", "32", "4.500", "32.000", "90.00", "-"]
    assert [cell.strip() for cell in lines[3]][:6] == ["uniform", "4", "4.500", "32.000", "87.50", "2.50"]
    assert printed == (tmp_path / "results.md").read_text() and len(lines) == 5
    assert len(json.loads((tmp_path / "results.json").read_text())["rows"]) == 3
    for name in ("accuracy_bytes.png", "accuracy_operations.png", "bits.png"):
        assert Image.open(tmp_path / name).format == "PNG"
    count = len(pretend)
    compare.main(words)
    assert len(pretend) == count and capsys.readouterr().out == printed
    with pytest.raises(SystemExit):
        compare.main([*words, "--num_samples", "7"])
    assert "has results of another num_samples; choose another folder" in capsys.readouterr().err
    assert len(pretend) == count


def test_speeds_are_measured_anew(tmp_path, pretend, capsys):
    words = ["--output_dir", str(tmp_path), "--methods", "float", "uniform", "--bits", "4"]
    compare.main(words)
    rows = (tmp_path / "results.csv").read_text()
    (tmp_path / "results.csv").write_text(rows.replace(",123,", ",77,"))
    count = len(pretend)
    compare.main([*words, "--speeds"])
    assert len(pretend) == count + 2 and (tmp_path / "results.csv").read_text() == rows and ",123," in rows
    assert "77" not in capsys.readouterr().out


def test_a_time_is_given_only_for_what_was_not_stopped(tmp_path, pretend):
    words = ["--output_dir", str(tmp_path), "--methods", "uniform", "LDNQ", "--bits", "4"]
    (tmp_path / "LDNQ_4.begun").touch()
    compare.main(words)
    rows = {row["method"]: row for row in json.loads((tmp_path / "results.json").read_text())["rows"]}
    assert rows["uniform"]["seconds"] == "0" and rows["LDNQ"]["seconds"] == ""
    assert (rows["uniform"]["epochs"], rows["uniform"]["train_images"]) == ("2", "all")
    assert (rows["LDNQ"]["epochs"], rows["LDNQ"]["train_images"]) == ("", "300")


def test_a_script_that_fails_ends_the_comparison(tmp_path, monkeypatch, capfd):
    (tmp_path / "damaged.ckpt").write_bytes(b"no network")
    words = ["--output_dir", str(tmp_path), "--methods", "float", "--pretrained", str(tmp_path / "damaged.ckpt")]
    with pytest.raises(SystemExit) as stopped:
        compare.main(words)
    error = capfd.readouterr().err
    assert stopped.value.code == 2 and "damaged.ckpt" in error and "LDNQ/eval.py ended with status 2" in error


def test_others_end_when_a_script_fails(tmp_path, capfd):
    """One fails after a while; the other would run for a minute, and what waits for its turn never starts."""
    scripts = jobs.Scripts([], None, 2)
    method = tmp_path / "Method"
    method.mkdir()
    (method / "fails.py").write_text("import time; time.sleep(1); raise SystemExit(2)")
    (method / "waits.py").write_text("import subprocess; subprocess.run(['sleep', '60'])")
    (method / "later.py").write_text(f"open({str(tmp_path / 'started')!r}, 'w')")
    names = [f"{method}/{name}.py" for name in ("waits", "fails", "later")]
    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"fails\.py ended with status 2"):
        jobs.for_each(names, lambda name: scripts.run("own", Command(name)), 2, scripts.end)
    assert time.monotonic() - started < 30 and not (tmp_path / "started").exists()
    assert "later" not in capfd.readouterr().err


def test_asked_to_end_all_end(tmp_path):
    """The signal that ends this process ends what it started, too; its handler is that of before afterwards."""
    method = tmp_path / "Method"
    method.mkdir()
    (method / "asks.py").write_text("import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)")
    scripts, before, started = jobs.Scripts([], None, 1), signal.getsignal(signal.SIGTERM), time.monotonic()
    with pytest.raises(SystemExit) as stopped:
        jobs.for_each([f"{method}/asks.py"], lambda name: scripts.run("own", Command(name)), 1, scripts.end)
    assert stopped.value.code == 128 + signal.SIGTERM and time.monotonic() - started < 30
    assert signal.getsignal(signal.SIGTERM) is before


def test_networks_are_made_at_the_same_time():
    together = threading.Barrier(2)
    jobs.for_each([1, 2], lambda item: together.wait(60), 2, together.abort)


def test_cores_are_divided(tmp_path, capfd):
    (tmp_path / "show.py").write_text("import os, sys; print(sorted(os.sched_getaffinity(0)), sys.argv[1:])")
    cores = sorted(os.sched_getaffinity(0))
    for count, threads, expected in ((1, None, cores), (len(cores), None, cores[:1]), (64, 3, cores)):
        for_one = jobs.Scripts(["--mode", "graph"], threads, count)
        thread = threading.Thread(target=for_one.run, args=("own", Command(f"{tmp_path}/show.py")))
        thread.start()  # as a job: this one keeps its cores
        thread.join()
        shown = capfd.readouterr().err.strip().splitlines()[-1]
        assert shown == f"own: {expected} ['--mode', 'graph', '--threads', '{threads or len(expected)}']"
    assert sorted(os.sched_getaffinity(0)) == cores


def test_a_device_has_one_job():
    assert [settled("--device_target", device).jobs for device in ("CPU", "GPU", "Ascend")] == [2, 1, 1]
    assert settled("--device_target", "GPU", "--jobs", 3).jobs == 3


def test_recorded_comparisons_are_shown_together(tmp_path, pretend, monkeypatch):
    monkeypatch.setattr(recorded, "FOLDER", tmp_path)
    monkeypatch.setattr(recorded, "RESULTS", Results(tmp_path / "results.csv", recorded.KEYS))
    words = ["--output_dir", str(tmp_path / "out"), "--methods", "float", "uniform", "--bits"]
    compare.main([*words, "4"])
    assert not recorded.RESULTS.rows()
    compare.main([*words, "4", "--record"])
    compare.main([*words, "3", "--record"])
    compare.main([*words, "3", "--record"])
    assert [row["budget"] for row in recorded.RESULTS.rows()] == ["32", "4", "3"]
    shown = recorded.sections(recorded.RESULTS.rows())
    assert shown.startswith("digits, N = 360, seed 1, 2 epochs of all images:\n\n| method")
    for name in pictures.NAMES:
        assert (tmp_path / f"digits_{name}").exists() and f"(scripts/comparison/digits_{name})" in shown


def test_nothing_compared_is_no_table(tmp_path):
    assert table([]) == ""
    pictures.draw([], tmp_path)
