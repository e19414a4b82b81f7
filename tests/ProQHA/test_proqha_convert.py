"""Float networks quantized in place: which layers, bits as pairs, clips."""

import numpy as np
import pytest
from mindspore import Tensor, nn
from proqha_tiny import LAYERS, Tiny, batch, quantized, seeded, tiny
from script_runs import same

from common.checkpoint import network_state
from common.errors import ConfigError
from common.quant.calibration import best_clip, sample_inputs
from common.quant.dorefa import DoReFaWeight
from common.quant.frozen_weight import FrozenWeight
from common.quant.layers import quant_layers
from common.quant.pact import PACTActivation
from ProQHA.convert import calibrate, quantize_network, quantized_names
from ProQHA.quant import assign_clip, get_bits, quantizers, set_bits
from ProQHA.quant_config import QuantConfig

BITS = [[3, 8], [2, 5], [7, 4], [6, 2]]


def test_all_but_first_last_and_shortcuts_are_quantized():
    network = tiny()
    before = network_state.state(network)
    assert quantized_names(network) == LAYERS
    config = quantize_network(network, image_size=8)
    assert list(quant_layers(network)) == LAYERS and config == QuantConfig(8, 10.0, ("mix",), ("stem", "last"))
    assert isinstance(network.stem, nn.Conv2d) and isinstance(network.last, nn.Dense)
    assert isinstance(network.downsample, nn.Conv2d)
    after = network_state.state(network)
    assert same(before, {name: after[name] for name in before}) == []
    parts = ("quantize_weight.bits", "quantize_weight.scale", "quantize_input.bits", "quantize_input.clip")
    assert set(after) - set(before) == {f"{name}.{part}" for name in LAYERS for part in parts}
    trained = {p.name for p in network.trainable_params()} - {p.name for p in tiny().trainable_params()}
    assert trained == {f"{name}.quantize_input.clip" for name in LAYERS}


def test_the_configuration_is_that_given():
    network = tiny()
    quantize_network(network, QuantConfig(3, 1.5, ("grouped",)), 8)
    assert get_bits(network).tolist() == [[3, 3]] * 4
    inputs = quantizers(network, 1)
    assert [cell.signed for cell in inputs] == [False, True, False, False]
    assert {float(cell.clip.asnumpy()[0]) for cell in inputs} == {1.5}
    frozen = tiny()
    quantize_network(frozen, QuantConfig(signed=()), 8, frozen=True)
    assert all(isinstance(cell, FrozenWeight) for cell in quantizers(frozen, 0))
    assert all(isinstance(cell, DoReFaWeight) for cell in quantizers(network, 0))


def test_at_eight_bits_the_scale_keeps_the_function_of_the_float_network(mode):
    """What is left is what tanh makes of the large weights of so small a network."""
    images, network = Tensor(batch(32)), quantized()
    wanted = tiny().set_train(False)(images).asnumpy()
    logits = network(images).asnumpy()
    for cell in quantizers(network, 0):
        cell.scale.set_data(Tensor(np.ones(1, np.float32)))
    errors = [np.abs(y - wanted).max() / np.abs(wanted).max() for y in (logits, network(images).asnumpy())]
    assert errors[0] < 0.2 and errors[0] < errors[1] / 3


def test_bits_are_pairs_of_a_layer_and_change_a_compiled_network(mode):
    network, images = quantized(), Tensor(batch())
    results = [network(images).asnumpy()]
    set_bits(network, BITS)
    results.append(network(images).asnumpy())
    assert get_bits(network).tolist() == BITS and get_bits(network).dtype.kind == "i"
    for name, pair in zip(LAYERS, BITS):
        layer = quant_layers(network)[name]
        assert isinstance(layer.quantize_weight, DoReFaWeight) and isinstance(layer.quantize_input, PACTActivation)
        assert [int(layer.quantize_weight.bits.asnumpy()[0]), int(layer.quantize_input.bits.asnumpy()[0])] == pair
        levels = np.unique(layer.quantize_weight(layer.weight).asnumpy())
        assert len(levels) <= 2 ** pair[0]
    set_bits(network, np.full((4, 2), 8))
    results.append(network(images).asnumpy())
    assert np.array_equal(results[0], results[2]) and not np.allclose(results[0], results[1])
    assert mode == "pynative" or len(network.compile_cache) == 1


@pytest.mark.parametrize(
    ("bits", "expected"),
    [(BITS[:3], "pair for each of 4"), (8, "shape"), ([[8, 9]] * 4, "2 to 8"), ([[1, 8]] * 4, "found 1 to 8")],
)
def test_other_bits_are_refused_and_change_nothing(bits, expected):
    network = quantized(BITS)
    with pytest.raises(ConfigError, match=expected):
        set_bits(network, bits)
    assert get_bits(network).tolist() == BITS


@pytest.mark.parametrize(
    ("make", "settings", "expected"),
    [
        (lambda: nn.SequentialCell(nn.Conv2d(3, 4, 1), nn.Dense(4, 2)), {}, "to quantize, found 2 in all"),
        (tiny, {"bits": 9}, "2 to 8 bits, found 9"),
        (tiny, {"signed": ("stem",)}, "found stem"),
    ],
)
def test_what_cannot_be_quantized_is_refused(make, settings, expected):
    with pytest.raises(ConfigError, match=expected):
        quantize_network(make(), QuantConfig(**settings), 8)


def test_a_network_without_quantized_layers_has_no_bits():
    assert get_bits(tiny()).shape == (0, 2) and quant_layers(tiny()) == {}


@pytest.mark.parametrize("clip", [10.0, 0.01])
def test_clips_are_those_of_least_squared_error_at_the_bits_for_the_inputs_of_the_float_network(clip):
    """Whatever the clips are before: few bits over a wide clip would leave nothing of what deeper layers see."""
    network = quantized(BITS, clip=clip).set_train(True)
    parts, plain = [batch(8, 1), batch(8, 2)], tiny()
    inputs = sample_inputs(plain, {name: cell for name, cell in plain.cells_and_names() if name in LAYERS}, parts)
    calibrate(network, parts)
    assert network.training and list(inputs) == LAYERS
    clips = [float(cell.clip.asnumpy()[0]) for cell in quantizers(network, 1)]
    signs = [False, False, True, False]
    wanted = [best_clip(x, k, signed) for x, (_, k), signed in zip(inputs.values(), BITS, signs)]
    assert clips == pytest.approx(wanted) and inputs["mix"].min() < 0 <= inputs["grouped"].min()
    assert [len(x) for x in inputs.values()] == [16 * count for count in (96, 32, 32, 5)]


def test_a_clip_that_is_assigned_is_used_at_once(mode):
    cell = PACTActivation(2, 3.0)
    x = Tensor(np.array([[5.0]], np.float32))
    assert cell(x).asnumpy().item() == 3
    assign_clip(cell, 1.5)
    assert cell(x).asnumpy().item() == 1.5 and cell.clip.asnumpy().shape == (1,)


def test_the_same_seed_makes_the_same_network():
    assert same(network_state.state(seeded(Tiny())), network_state.state(tiny())) == []
