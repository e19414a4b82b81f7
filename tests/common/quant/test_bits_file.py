"""Files of the bits of each layer."""

import numpy as np
import pytest

import lowbitzoo
from common.errors import ConfigError
from common.quant.bits_file import read_bits, write_bits
from common.quant.layers import quant_layers
from tests import own_networks as own

BITS = {"left": (4, 3), "right": (2, 4), "body": (3, 2), "shortcut": (4, 4)}


def test_bits_come_back(tmp_path, capsys):
    write_bits(tmp_path / "bits.json", {**BITS, "stem": (8, 8)})
    assert read_bits(tmp_path / "bits.json", list(BITS), 2, 8) == BITS
    assert "1 layers that this method does not quantize are left out: stem" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["ProQHA", "DAMBQ"])
def test_methods_take_them(pynative, tmp_path, method):
    write_bits(tmp_path / "bits.json", BITS)
    stored = lowbitzoo.quantize(own.SameNet(), method, image_size=own.SIZE, bits_file=tmp_path / "bits.json")
    layers = quant_layers(stored.network)
    for name, pair in BITS.items():
        quantizers = layers[name].quantize_weight, layers[name].quantize_input
        assert all(np.all(cell.bits.asnumpy() == bits) for cell, bits in zip(quantizers, pair))
    again = lowbitzoo.load(lowbitzoo.save(stored, tmp_path / "mine.ckpt"), network=own.SameNet())
    np.testing.assert_array_equal(own.logits(again.network), own.logits(stored.network))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "cannot read"),
        ("{", "expected JSON"),
        ("[1]", "expected an object of layers, found list"),
        ('{"a": {"weights": 4, "inputs": 4}}', "found none of b"),
        ('{"a": {"weights": 4}, "b": 1}', "a: expected weights and inputs of 2 to 8 bits"),
        ('{"a": {"weights": 9, "inputs": 4}, "b": 1}', "a: expected weights and inputs of 2 to 8 bits"),
        ('{"a": {"weights": true, "inputs": 4}, "b": 1}', "a: expected weights and inputs of 2 to 8 bits"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "bits.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_bits(tmp_path / "bits.json", ["a", "b"], 2, 8)
    assert expected in str(caught.value) and "\n" not in str(caught.value)
