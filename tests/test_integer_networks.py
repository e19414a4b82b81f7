"""Whole networks on integers against the same ones in floats: architectures, shipped files, what eval.py says."""

import importlib
import json
from functools import partial

import numpy as np
import pytest
from engine_networks import images, on_11_levels, packed, packed_by_channel
from exactness import Exactness
from mindspore import Tensor
from script_runs import run

from common.checkpoint import network_state
from common.cli.engine import FLOAT, INTEGER, choose_engine
from common.data import batches, digits, eval_dataset
from common.engine.interpreter import interpret
from common.models.registry import preprocessing_of

SHIPPED = {
    "ProQHA": "ProQHA/checkpoints/resnet20_w4_digits.ckpt",
    "DAMBQ": "DAMBQ/checkpoints/resnet20_w2a2_digits.ckpt",
}
SLOW = partial(pytest.param, marks=pytest.mark.slow)


def engine_of(stored, side, wanted=None):
    engine = choose_engine(wanted, stored, side)
    if engine.name != INTEGER:
        pytest.skip(engine.about)
    return engine


def bits_of(values):
    return np.ascontiguousarray(values).view(np.int32)


@pytest.mark.parametrize("architecture", ["resnet20", "resnet20_conv", "preact_resnet20"])
@pytest.mark.parametrize("bits", [8, 4], ids=["W8A8", "W4A8"])
def test_small_networks_compute_the_float_networks_logits(tmp_path, mode, architecture, bits):
    check_close(packed(tmp_path / "net.ckpt", architecture, bits, 8, 32), 32)


@pytest.mark.slow
def test_imagenet_networks_compute_the_float_networks_logits(tmp_path, pynative):
    for architecture in ("resnet18", "resnet50"):
        check_close(packed(tmp_path / f"{architecture}.ckpt", architecture, 4, 8, 64), 64, 0.05)  # they are deep


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mobilenet_v2_cifar", "densenet40"])
def test_deep_networks_stay_within_what_ties_move(tmp_path, pynative, architecture):
    check_close(packed(tmp_path / "net.ckpt", architecture, 4, 8, 32), 32, 0.3)  # in 40 or 52 layers one tie moves all


@pytest.mark.parametrize("architecture", ["vgg_small", "resnet20", "resnet20_conv", SLOW("resnet18")])
def test_bits_of_channels_layer_by_layer(tmp_path, pynative, architecture):
    side = 64 if architecture == "resnet18" else 32
    check_layers(packed_by_channel(tmp_path / "net.ckpt", architecture, side), side)


@pytest.mark.parametrize("architecture", ["preact_resnet20", *map(SLOW, ("vgg16", "resnet34", "resnet50"))])
def test_bits_of_layers_layer_by_layer(tmp_path, pynative, architecture):
    side = 64 if architecture in ("resnet34", "resnet50") else 32
    check_layers(packed(tmp_path / "net.ckpt", architecture, 4, 4, side), side)


def check_layers(stored, side):
    """Each layer on the same codes; whole networks of random weights differ more by what a code does to all others."""
    exact, x = Exactness(stored, side), images(2, side)
    tensors = exact.tensors(x)
    assert exact.check_steps(tensors, x) > 10**4
    exact.check_layers(tensors)


@pytest.mark.parametrize("architecture", [SLOW("vgg19"), "vgg_small", "resnet20_conv"])
def test_16_bits_keep_the_float_networks_function(pynative, architecture):
    check_close(on_11_levels(architecture, 16), 32, 1e-3)


def test_ldnqs_inputs_below_0_have_levels_on_both_sides(pynative):
    """MobileNetV2's expansions see what no activation has cut; the image alone stays float."""
    stored = on_11_levels("mobilenet_v2_cifar", 8)
    grids = {name: layer.grids[0] for name, layer in stored.layers.items() if layer.grids}
    assert [name for name in stored.layers if name not in grids] == ["features.0.0"]
    signed = [name for name, grid in grids.items() if grid.signed]
    assert len(signed) == 17 and {"features.2.conv.0.0", "features.17.conv.0.0", "features.18.0"} <= set(signed)
    check_close(stored, 32, 0.3)


def check_close(stored, side, tolerance=0.01):
    """8-bit codes that fall on the other side of a tie change little; all else agrees to float32's precision."""
    x, engine = images(4, side), engine_of(stored, side)
    expected = stored.network.set_train(False)(Tensor(x)).asnumpy()
    found = engine.network(Tensor(x)).asnumpy()
    assert np.array_equal(bits_of(found), bits_of(interpret(engine.network.program, x)))
    assert np.abs(found - expected).max() < tolerance * expected.std()


@pytest.mark.parametrize("method", SHIPPED)
def test_shipped_networks_choose_the_same_classes(method, pynative):
    stored = importlib.import_module(f"{method}.storage").load(SHIPPED[method])
    engine, differ, seen = engine_of(stored, 32), 0, 0
    source, preprocessing = digits.load("test"), preprocessing_of("digits", stored.metadata)
    for batch in batches(eval_dataset(source, preprocessing, 120, 1, 0)):
        x = Tensor(batch["image"])
        expected, found = (network(x).asnumpy() for network in (stored.network.set_train(False), engine.network))
        differ, seen = differ + (expected.argmax(1) != found.argmax(1)).sum(), seen + len(found)
    assert (differ, seen) == (0, 360)


@pytest.mark.parametrize("method", SHIPPED)
def test_evaluations_say_what_computed(method, tmp_path):
    script, results = importlib.import_module(f"{method}.eval"), []
    for words in ([], ["--engine", "integer"], ["--engine", "float"]):
        lines = run(script, "--num_samples", 40, "--json", tmp_path / "result.json", *words)
        result = json.loads((tmp_path / "result.json").read_text())
        assert [line for line in lines if line.startswith("engine: ")] == [
            f"engine: {result['engine']} ({result['engine_about']})"
        ]
        results.append(result)
    assert [result["engine"] for result in results] == [INTEGER, INTEGER, FLOAT]
    assert len({result["acc"] for result in results}) == 1


def test_float_networks_are_evaluated_in_float_with_a_word_where_integers_were_asked_for(tmp_path):
    script, file = importlib.import_module("ProQHA.eval"), "common/zoo/files/resnet20_digits.ckpt"
    words = ["--checkpoint_path", file, "--num_samples", 20]
    assert not [line for line in run(script, *words) if line.startswith("engine")]
    (line,) = [line for line in run(script, *words, "--engine", "integer") if line.startswith("engine")]
    assert line == "engine: float (integer engine: expected a packed network, found a float one)"


def test_parameters_of_the_network_stay(tmp_path, pynative):
    stored = packed(tmp_path / "net.ckpt", "resnet20", 4, 4, 32)
    before = network_state.state(stored.network)
    engine_of(stored, 32)
    assert network_state.state(stored.network).keys() == before.keys()
