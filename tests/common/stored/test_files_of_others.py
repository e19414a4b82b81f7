"""The same weights as training scripts, model hubs and compilers leave them: each file gives the shipped network."""

import subprocess
import sys

import numpy as np
import pytest

from common.checkpoint import network_state
from common.stored.float_network import load_float
from common.stored.shipped import ROOT

SAME = [
    "averaged_model.pth",
    "compiled.pth",
    "model.safetensors",
    "model_best.pth.tar",
    "multisteplr.pth",
    "plain.pth",
    "pytorch_model.bin",
    "resnet20-20240101.pth",
    "tutorial.pth",
]


@pytest.fixture(scope="module")
def made(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    command = [sys.executable, str(shared / "faults" / "make.py"), str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder / "files"


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_every_file_gives_the_shipped_network(made, name):
    state = network_state.state(load_float(made / name, "resnet20").network)
    expected = network_state.state(load_float(ROOT / "common/zoo/files/resnet20_digits.ckpt", "resnet20").network)
    assert state.keys() == expected.keys()
    assert all(np.array_equal(state[place], expected[place]) for place in expected)
