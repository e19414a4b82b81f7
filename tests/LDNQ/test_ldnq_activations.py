"""Activations on grids: 8 bits and 16 bits on integers and in floats, and what 16 bits keep."""

import json

import numpy as np
import pytest
from mindspore import Tensor
from script_runs import refused, run

from common.cli.engine import FLOAT, INTEGER, choose_engine
from common.data import batches, digits, eval_dataset
from common.models.registry import preprocessing_of
from LDNQ import eval as script
from LDNQ import storage
from LDNQ.activations import with_activation_grids

SHIPPED = "LDNQ/checkpoints/ternary_resnet20_digits.ckpt"


def shipped_batches():
    stored = storage.load(SHIPPED)
    data = eval_dataset(digits.load("test"), preprocessing_of("digits", stored.metadata), 120, 1, 0)
    return stored, [batch["image"] for batch in batches(data)]


@pytest.mark.parametrize("bits", [8, 16])
def test_integers_choose_the_classes_of_the_floats(bits, pynative):
    stored, images = shipped_batches()
    float_logits = np.concatenate([stored.network.set_train(False)(Tensor(x)).asnumpy() for x in images])
    stored = with_activation_grids(stored, bits, images[:1])
    assert [name for name, layer in stored.layers.items() if not layer.grids] == ["conv1"]
    engine = choose_engine(None, stored, 32)
    if engine.name != INTEGER:
        pytest.skip(engine.about)
    found, expected = (
        np.concatenate([network(Tensor(x)).asnumpy() for x in images]) for network in (engine.network, stored.network)
    )
    assert len(found) == 360 and np.array_equal(found.argmax(1), expected.argmax(1))
    assert np.abs(found - expected).max() < 0.02 * expected.std()
    if bits == 16:
        assert np.abs(found - float_logits).max() < 1e-3 * float_logits.std()


def test_evaluations_say_bits_and_engine(tmp_path):
    results = []
    for words in ([], ["--act_bits", 8], ["--act_bits", 16, "--engine", "float"]):
        lines = run(script, "--num_samples", 30, "--act_images", 64, "--json", tmp_path / "result.json", *words)
        result = json.loads((tmp_path / "result.json").read_text())
        results.append((result["act_bits"], result["engine"], result["label"], "engine: " in "\n".join(lines)))
    assert results == [
        (32, FLOAT, "3 levels", False),
        (8, INTEGER, "3 levels, activations 8 bits", True),
        (16, FLOAT, "3 levels, activations 16 bits", True),
    ]


def test_float_networks_have_no_such_activations(capsys):
    words = ["--checkpoint_path", "common/zoo/files/resnet20_digits.ckpt", "--act_bits", 8]
    assert "act_bits: expected a packed network, found a float one" in refused(capsys, script, *words)
