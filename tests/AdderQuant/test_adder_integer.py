"""AdderNets on integers from the images on: the classes of the layers that compute one by one."""

import json

import numpy as np
import pytest
from mindspore import Tensor
from script_runs import run

from AdderQuant import eval as script
from AdderQuant import storage
from AdderQuant.calibration import CalibrationData, calibrate
from AdderQuant.packing import integer_layers
from AdderQuant.quant_config import QuantConfig
from common.cli.engine import FLOAT, INTEGER, choose_engine
from common.data import batches, digits, eval_dataset
from common.models.registry import preprocessing_of
from common.stored.network import StoredNetwork

SHIPPED = "AdderQuant/checkpoints/adder_resnet20_digits.ckpt"


@pytest.fixture(scope="module")
def calibrated():
    """Function from settings to the shipped digits network, calibrated."""

    def make(**settings):
        stored = storage.load(SHIPPED)
        images = digits.load("train").sample(128, 0)
        data = CalibrationData(images, preprocessing_of("digits", stored.metadata))
        network = calibrate(stored.network, QuantConfig(**settings), data)
        return StoredNetwork(network, {**stored.metadata, "kind": "packed"}, integer_layers(network))

    return make


@pytest.mark.parametrize("bits", [8, 4])
def test_integers_choose_the_same_classes(calibrated, bits):
    stored = calibrated(bits=bits)
    engine = choose_engine(None, stored, 32)
    if engine.name != INTEGER:
        pytest.skip(engine.about)
    data = eval_dataset(digits.load("test"), preprocessing_of("digits", stored.metadata), 120, 1, 0)
    found, expected = [], []
    for batch in batches(data):
        found.append(engine.network(Tensor(batch["image"])).asnumpy())
        expected.append(stored.network.set_train(False)(Tensor(batch["image"])).asnumpy())
    found, expected = np.concatenate(found), np.concatenate(expected)
    assert len(found) == 360 and np.array_equal(found.argmax(1), expected.argmax(1))
    # A code on the other side of a tie changes an image's logits: at 8 bits little, at 4 bits those of few images.
    assert np.median(np.abs(found - expected).max(1)) < 0.02 * expected.std()


def test_grids_of_several_steps_are_computed_in_float(calibrated):
    engine = choose_engine(None, calibrated(bits=8, scheme="paper"), 32)
    assert engine.name == FLOAT and "grids of several steps, which are not among its instructions" in engine.about


def test_evaluations_say_what_computed(tmp_path):
    results = []
    for words in ([], ["--engine", "float"], ["--bits", 32]):
        run(script, "--num_samples", 30, "--calibration_size", 64, "--json", tmp_path / "result.json", *words)
        results.append(json.loads((tmp_path / "result.json").read_text()))
    assert [result["engine"] for result in results] == [INTEGER, FLOAT, FLOAT]
    assert results[0]["acc"] == results[1]["acc"]
