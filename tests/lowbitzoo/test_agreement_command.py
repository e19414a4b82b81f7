"""``python -m lowbitzoo agreement`` on shipped networks, and its mistakes."""

import json
from pathlib import Path

import pytest

from common import checkpoint
from common.cli import program
from common.zoo import named
from lowbitzoo.__main__ import FURTHER

FLOAT, TERNARY = "resnet20-digits", "ldnq-resnet20-digits-ternary"


def run(*words) -> None:
    program.main(["agreement", *map(str, words)], lambda name: None, FURTHER)


def refused(capsys, *words) -> str:
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    line = capsys.readouterr().err.splitlines()[-1]
    assert stopped.value.code == 2 and line.startswith("error: ")
    return line


def test_a_network_agrees_with_itself(capsys, tmp_path):
    run("--checkpoint", FLOAT, "--reference", FLOAT, "--num_samples", 20, "--json", tmp_path / "found.json")
    said = capsys.readouterr().out
    assert "agreement: 20 of 20 test images of the same class, 100.00 %" in said
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert (found["same"], found["difference"], found["divergence"]) == (20, 0, 0)


def test_the_ternary_network_beside_its_float_one(capsys, tmp_path):
    words = ["--checkpoint", TERNARY, "--reference", FLOAT, "--num_samples", 40, "--batch_size", 16]
    run(*words, "--split", "train", "--json", tmp_path / "found.json")
    assert "of 40 train images" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert 0 < found["difference"] < 5 and 0 < found["divergence"] < 0.5 and found["same"] >= 36


def test_classes_in_another_order_are_refused(capsys, tmp_path):
    file = checkpoint.load(named(Path(FLOAT)))
    turned = {**file.metadata, "class_names": [str(digit) for digit in reversed(range(10))]}
    checkpoint.save(tmp_path / "turned.ckpt", dict(file.tensors), turned)
    line = refused(capsys, "--checkpoint", FLOAT, "--reference", tmp_path / "turned.ckpt")
    assert "reference: expected a network of 10 classes (0, 1" in line and "found 10 classes (9, 8" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--checkpoint", FLOAT], "--reference"),
        (["--checkpoint", FLOAT, "--reference", FLOAT, "--num_samples", 10**6], "1000000"),
        (["--checkpoint", "nothing", "--reference", FLOAT], "nothing"),
        (["--checkpoint", FLOAT, "--reference", FLOAT, "--json", "/proc/found.json"], "json: cannot write /proc"),
        (
            ["--checkpoint", FLOAT, "--reference", "adderquant-resnet20-digits", "--dataset", "imagenet"],
            "needs the path of its folder",
        ),
    ],
)
def test_mistakes_are_one_line(capsys, words, expected):
    assert expected in refused(capsys, *words)
