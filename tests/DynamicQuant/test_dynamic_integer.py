"""Dynamic and static networks on integers: the same classes and choices as in floats."""

import json

import numpy as np
import pytest
from mindspore import Tensor
from script_runs import run

from common.cli.engine import FLOAT, INTEGER, choose_engine
from common.data import batches, digits, eval_dataset
from common.models.registry import model, preprocessing_of
from common.stored.network import StoredNetwork
from DynamicQuant import eval as script
from DynamicQuant import storage
from DynamicQuant.convert import calibrate, quantize_network
from DynamicQuant.network import Decisions
from DynamicQuant.quant_config import QuantConfig

SHIPPED = "DynamicQuant/checkpoints/resnet20_dynamic3_digits.ckpt"


def engine_of(stored):
    engine = choose_engine(None, stored, 32)
    if engine.name != INTEGER:
        pytest.skip(engine.about)
    return engine.network


def test_the_shipped_network_chooses_the_same_bits_and_classes(mode):
    stored = storage.load(SHIPPED)
    engine, network = engine_of(stored), Decisions(stored.network.set_train(False))
    images = eval_dataset(digits.load("test"), preprocessing_of("digits", stored.metadata), 120, 1, 0)
    seen = 0
    for batch in batches(images):
        (found, masks), (expected, wanted) = (
            [part.asnumpy() for part in cell(Tensor(batch["image"]))] for cell in (engine, network)
        )
        assert np.array_equal(found.argmax(1), expected.argmax(1)) and np.array_equal(masks, wanted)
        seen += len(found)
    assert seen == 360


def test_evaluations_say_the_same_of_choices(tmp_path):
    results = []
    for engine in (INTEGER, FLOAT):
        run(script, "--num_samples", 40, "--json", tmp_path / "result.json", "--engine", engine)
        results.append(json.loads((tmp_path / "result.json").read_text()))
    assert [result["engine"] for result in results] == [INTEGER, FLOAT]
    assert all(results[0][key] == results[1][key] for key in ("acc", "choices", "cost"))


@pytest.mark.parametrize(("architecture", "static"), [("resnet20_conv", True), ("resnet20_conv", False)], ids=str)
def test_shortcuts_are_quantized_and_choose(tmp_path, pynative, architecture, static):
    images = np.random.default_rng(0).normal(0, 1, (6, 3, 32, 32)).astype(np.float32)
    network = model(architecture).build(10)
    clips = calibrate(network, [images], 7)
    settings = {"bits": 7, "static": static, "dynamic_shortcuts": not static}
    network = quantize_network(network, QuantConfig(**settings), clips)
    about = {"kind": "latent", "network": architecture, "num_classes": 10, "settings": settings}
    storage.save_packed(tmp_path / "net.ckpt", StoredNetwork(network, about))
    stored = storage.load(tmp_path / "net.ckpt")
    engine, network = engine_of(stored), stored.network.set_train(False)
    if static:
        found, expected = (cell(Tensor(images)).asnumpy() for cell in (engine, network))
    else:
        (found, masks), (expected, wanted) = (cell(Tensor(images)) for cell in (engine, Decisions(network)))
        assert np.array_equal(masks.asnumpy(), wanted.asnumpy()) and masks.shape[1] == 14
        found, expected = found.asnumpy(), expected.asnumpy()
    assert np.abs(found - expected).max() < 0.03 * expected.std()
