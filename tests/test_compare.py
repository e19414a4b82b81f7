"""The comparison of all methods: commands that the scripts accept, rows, table and pictures."""

import importlib
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from common import config
from common.errors import ConfigError
from common.results import Results

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import compare  # noqa: E402
from comparison import pictures, recorded  # noqa: E402
from comparison.entries import METHODS, entries  # noqa: E402
from comparison.table import table  # noqa: E402


def settled(*words):
    args = config.parse(compare.make_parser(), list(map(str, words)))
    compare.settle(args)
    return args


def test_every_command_is_one_that_its_script_takes(tmp_path):
    args = settled("--output_dir", tmp_path, "--bits", 4, 3)
    found = list(entries(args))
    assert [entry.method for entry in found[:2]] == ["float", "uniform"] and {e.method for e in found} == set(METHODS)
    assert [(e.method, e.bits) for e in found if e.method == "AdderQuant"] == [("AdderQuant", b) for b in (32, 4, 3)]
    for entry in found:
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

    def run(args, command, *words):
        calls.append(command)
        name = Path(command.options["checkpoint_path"]).stem if "checkpoint_path" in command.options else ""
        if "--json" not in words:
            return
        for entry in entries(args):
            if not entry.file.exists():
                entry.file.parent.mkdir(parents=True, exist_ok=True)
                entry.file.write_bytes(bytes(1000))
        network = "resnet20" if "Adder" in command.script else "ResNet20"
        cost = {"average_weight_bits": 4.5, "average_activation_bits": 32, "bit_operations": 2e9}
        cost["bits_of_layers"] = {"first": [32, 32], "a": [4, 4], "b": [3, 4], "last": [32, 32]}
        record = {"acc": 0.9 if name.startswith("resnet20") else 0.875, "samples": 360, "images_per_second": 123.4}
        Path(words[words.index("--json") + 1]).write_text(json.dumps({**record, "network": network, "cost": cost}))

    monkeypatch.setattr(compare, "run", run)
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
        compare.main([*words, "--epochs", "7"])
    assert "has rows of other --epochs or --train_samples" in capsys.readouterr().err and len(pretend) == count


def test_a_script_that_fails_ends_the_comparison(tmp_path, monkeypatch, capfd):
    words = ["--output_dir", str(tmp_path), "--methods", "float", "--pretrained", str(tmp_path / "absent.ckpt")]
    with pytest.raises(SystemExit) as stopped:
        compare.main(words)
    error = capfd.readouterr().err
    assert stopped.value.code == 2 and "absent.ckpt" in error and "LDNQ/eval.py ended with status 2" in error


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
    assert shown.startswith("digits, N = 360, seed 1, 6 epochs of all images:\n\n| method")
    for name in pictures.NAMES:
        assert (tmp_path / f"digits_{name}").exists() and f"(scripts/comparison/digits_{name})" in shown


def test_nothing_compared_is_no_table(tmp_path):
    assert table([]) == ""
    pictures.draw([], tmp_path)
