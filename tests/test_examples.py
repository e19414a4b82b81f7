"""The examples, as they stand: each trains, quantizes, saves, loads, evaluates and exports a network of one's own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.data import digits
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


@pytest.mark.slow
def test_pictures_of_ones_own(tmp_path):
    source = digits.load("train")
    for index in np.flatnonzero(source.labels < 3)[:240]:
        part = "val" if index % 6 == 0 else "train"
        folder = tmp_path / "pictures" / part / ("zero", "one", "two")[source.labels[index]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(source.images[index]).save(folder / f"{index}.png")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(ROOT / "examples" / "my_pictures.py"), "pictures", "pictures/val/two"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after = (float(found) for found in re.findall(r"^(?:float|4 bits): (0\.\d+|1\.0+)$", done.stdout, re.M))
    assert before > 0.9 and after > 0.9, done.stdout
    named = re.findall(r"val/two/\d+\.png\n +[0-9.]+ %  (\w+)", done.stdout)
    assert len(named) == len(list((tmp_path / "pictures/val/two").iterdir())) and named.count("two") > 0.8 * len(named)
    words = [sys.executable, "-m", "lowbitzoo", "predict", "outputs/mine.lowbit", "pictures/val/two"]
    again = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert re.findall(r"val/two/\d+\.png\n +[0-9.]+ %  (\w+)", again.stdout) == named, again.stderr


def test_there_is_a_short_example_of_every_method():
    for method in METHODS:
        text = (ROOT / "examples" / f"{method.lower()}.py").read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40 and "lowbitzoo.quantize" in text
