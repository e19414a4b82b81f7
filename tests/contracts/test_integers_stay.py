"""The packed files that ship hold the integers, scales and clips that they were made with, layer by layer.

``integers.json`` has a digest of each layer. Those of DAMBQ, DynamicQuant and LDNQ on digits were recorded from files
of version 0.1, by its code, the others when the network came: a change of one code, width, scale or clip shows.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from common import zoo
from common.quant.integer_weight import IntegerLayer
from lowbitzoo import load

RECORDED = json.loads(Path(__file__).with_name("integers.json").read_text(encoding="utf-8"))


def digest(layer: IntegerLayer) -> str:
    """16 hexadecimal digits of codes, bits and scales of all channels, and of the grids of inputs."""
    sha256 = hashlib.sha256()
    for weight in (*layer.weights, *([layer.bias] if layer.bias else [])):
        rows = len(weight.codes)
        scale = np.broadcast_to(weight.scale, rows).astype(np.float32)
        for part in (weight.codes, np.broadcast_to(weight.bits, rows), scale, weight.dequantize()):
            sha256.update(np.ascontiguousarray(part).tobytes())
    for grid in layer.grids:
        sha256.update(grid.bits.tobytes() + grid.clip.tobytes())
    return sha256.hexdigest()[:16]


def test_every_packed_file_is_recorded():
    packed = {name for name, entry in zoo.entries().items() if entry.shipped and not entry.bits.startswith("float")}
    assert packed == set(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.usefixtures("pynative")
def test_integers_are_those_recorded(name):
    layers = load(name).layers
    assert {layer: digest(integers) for layer, integers in layers.items()} == RECORDED[name]
