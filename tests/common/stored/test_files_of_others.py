"""The same weights as training scripts, model hubs and compilers leave them: each file gives the shipped network."""

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


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_every_file_gives_the_shipped_network(foreign_inputs, name):
    state = network_state.state(load_float(foreign_inputs / "files" / name, "resnet20").network)
    expected = network_state.state(load_float(ROOT / "common/zoo/files/resnet20_digits.ckpt", "resnet20").network)
    assert state.keys() == expected.keys()
    assert all(np.array_equal(state[place], expected[place]) for place in expected)
