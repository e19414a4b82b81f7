"""Levels of table v2 rounded to int8 in a trained network: the same codes and scales, half the limbs."""

import json

import numpy as np
import pytest
from dambq_tiny import quantized
from script_runs import refused, run

from common.cli.engine import INTEGER
from common.engine.quantized import integers_of
from common.errors import ConfigError
from DAMBQ import eval as script
from DAMBQ import storage
from DAMBQ.convert import multi_bit_layers
from DAMBQ.rounding import rounded
from DAMBQ.tables import LEVELS

SHIPPED = "DAMBQ/checkpoints/resnet20_w2a2_digits.ckpt"


def test_codes_and_scales_stay_and_levels_move_little(pynative):
    before, after = storage.load(SHIPPED), rounded(storage.load(SHIPPED))
    assert after.metadata["settings"] == {**before.metadata["settings"], "table": "int8"}
    inner = list(multi_bit_layers(after.network))
    for name, layer in after.layers.items():
        (weight,), (exact,) = layer.weights, before.layers[name].weights
        assert np.array_equal(weight.codes, exact.codes) and np.array_equal(weight.scale, exact.scale)
        assert (weight.levels is LEVELS["int8"]) == (name in inner)
        moved = np.abs(weight.dequantize() - exact.dequantize()).reshape(len(weight.codes), -1).max(1)
        assert (moved <= 0.0007 * weight.scale).all() and (moved.any() == (name in inner))
        if name in inner:
            assert np.abs(integers_of(weight).values).max() <= 127 < np.abs(integers_of(exact).values).max()
    for name, cell in multi_bit_layers(after.network).items():
        assert np.array_equal(cell.weight.asnumpy(), after.layers[name].weights[0].dequantize())


def test_the_file_holds_what_was_measured(tmp_path):
    file, results = tmp_path / "int8.ckpt", []
    words = ["--num_samples", 60, "--json", tmp_path / "result.json"]
    for more in (["--table", "int8", "--save_checkpoint", file], ["--checkpoint_path", file]):
        run(script, *words, *more)
        results.append(json.loads((tmp_path / "result.json").read_text()))
    assert results[0]["loss"] == results[1]["loss"] and all(result["engine"] == INTEGER for result in results)
    run(script, *words)
    exact = json.loads((tmp_path / "result.json").read_text())
    assert 0 < abs(exact["loss"] - results[0]["loss"]) < 0.02
    assert storage.load(file).metadata["accuracy"] == results[0]["acc"]


def test_other_networks_are_refused(tmp_path, capsys):
    file = tmp_path / "v1.ckpt"
    storage.save_packed(file, quantized("resnet20", table="v1-cifar"))
    with pytest.raises(ConfigError, match="of table v2 to round to int8, found one of table v1-cifar"):
        rounded(storage.load(file))
    words = ["--checkpoint_path", "common/zoo/files/resnet20_digits.ckpt", "--table", "int8"]
    assert "table: expected a packed network of table v2 to round to int8, found a float one" in refused(
        capsys, script, *words
    )
    assert "save_checkpoint: expected it with --table int8" in refused(capsys, script, "--save_checkpoint", file)
