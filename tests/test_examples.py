"""The examples, as they stand: each trains, quantizes, saves, loads, evaluates and exports a network of one's own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lowbitzoo.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_an_example_runs_as_it_stands(method, tmp_path):
    file = ROOT / "examples" / f"{method.lower()}.py"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(file)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    accuracies = [float(found) for found in re.findall(r"accuracy (0\.\d+|1\.0+) of 360", done.stdout)]
    before, after = accuracies
    assert before > 0.9 and after > before - 0.05, done.stdout
    assert (tmp_path / "outputs" / f"{method.lower()}.mindir").is_file()
    assert "top-1 is the same on all images" in done.stdout


def test_there_is_a_short_example_of_every_method():
    for method in METHODS:
        text = (ROOT / "examples" / f"{method.lower()}.py").read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40 and "lowbitzoo.quantize" in text
