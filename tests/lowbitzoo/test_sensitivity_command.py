"""``python -m lowbitzoo sensitivity`` on the shipped float network, and its mistakes."""

import json
import os
import subprocess
import sys

import pytest

from common.report.csv_rows import read_rows
from common.zoo.registry import ROOT


def command(*words, cwd=None):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "lowbitzoo", "sensitivity", *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, env=environment, cwd=cwd)


def test_table_csv_picture_and_plan(tmp_path):
    words = ["--checkpoint", "resnet20-digits", "--num_images", 32, "--batch_size", 32, "--bits", 8, 2]
    done = command(*words, "--bytes", 150000, "--output_dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr[-2000:]
    rows = read_rows(tmp_path / "out" / "sensitivity.csv")
    layers = {row["layer"] for row in rows}
    assert len(rows) == len(layers) * 2 * 2 and {row["bits"] for row in rows} == {"8", "2"}
    rises = [float(row["rise"]) for row in rows]
    assert rises == sorted(rises, reverse=True) and rises[0] > 0
    assert (tmp_path / "out" / "sensitivity.png").read_bytes().startswith(b"\x89PNG")
    plan = json.loads((tmp_path / "out" / "bits.json").read_text(encoding="utf-8"))
    assert set(plan) == layers - {"conv1", "head.fc"}
    assert {bits for pair in plan.values() for bits in pair.values()} <= {2, 8}
    assert "measurements on 32 images each, about" in done.stdout and "of 150,000 bytes" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--checkpoint", "dambq-resnet20-digits-w2a2"], "checkpoint: expected a float network, found a packed one"),
        (["--checkpoint", "resnet20-digits", "--bytes", 1, "--bitops", 1], "bytes: expected one budget"),
        (["--checkpoint", "nothing"], "nothing"),
        ([], "--checkpoint"),
    ],
)
def test_mistakes_are_one_line(words, expected, tmp_path):
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2 and expected in done.stderr and len(done.stderr.splitlines()) == 1
