"""Bias correction: what quantization does to BatchNorm's inputs, and nothing else, moves its statistics."""

import numpy as np
import pytest
from mindspore import Tensor

from common.checkpoint import network_state
from common.models.registry import model
from common.quant.bias_correction import BiasCorrection
from common.runtime.hooks import batch_norm_inputs, batch_norms, shift_batch_norm
from ProQHA.convert import quantize_network
from ProQHA.quant import get_bits, set_bits
from ProQHA.quant_config import QuantConfig

IMAGES = np.random.default_rng(0).normal(0, 1, (24, 3, 32, 32)).astype(np.float32)


def passes():
    return np.array_split(IMAGES, 3)


@pytest.fixture
def network(pynative):
    """A ResNet-20 of weights and statistics as training might have left them, quantized to 8 bits."""
    made, rng = model("resnet20").build(10), np.random.default_rng(1)
    for norm in batch_norms(made).values():
        norm.moving_mean.set_data(Tensor(rng.normal(0, 1, norm.num_features).astype(np.float32)))
        norm.moving_variance.set_data(Tensor(rng.uniform(0.5, 2, norm.num_features).astype(np.float32)))
    quantize_network(made, QuantConfig(bits=8, activation_clip=4.0), 32)
    return made


def statistics(network):
    norms = batch_norms(network).items()
    return {name: (norm.moving_mean.asnumpy().copy(), norm.moving_variance.asnumpy().copy()) for name, norm in norms}


def test_equal_networks_move_nothing(network):
    before, moments = statistics(network), batch_norm_inputs(network, passes())
    shift_batch_norm(network, moments, moments)
    for name, found in statistics(network).items():
        np.testing.assert_allclose(found, before[name], rtol=1e-6)


def test_statistics_move_by_what_the_quantizers_change(network):
    """The reference runs the float network with the same weights."""
    set_bits(network, np.full_like(get_bits(network), 2))
    quantized, old = batch_norm_inputs(network, passes()), statistics(network)
    state, reference = network_state.state(network), model("resnet20").build(10)
    network_state.restore(reference, {name: state[name] for name in network_state.state(reference)})
    plain = batch_norm_inputs(reference, passes())
    BiasCorrection(network, passes)()
    moved = 0.0
    for name, (mean, variance) in statistics(network).items():
        expected = old[name][0] + quantized[name][0] - plain[name][0]
        np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-4)
        ratio = (quantized[name][1] + 1e-5) / (plain[name][1] + 1e-5)
        np.testing.assert_allclose(variance, old[name][1] * ratio, rtol=1e-3)
        moved = max(moved, float(np.abs(mean - old[name][0]).max()))
    assert moved > 0.05  # 2 bits do a lot


def test_a_correction_forgets_the_one_before(network):
    """What counts are the bits of now, whatever the network was corrected for before."""
    kept, correct = network_state.state(network), BiasCorrection(network, passes)
    for bits in (2, 6):
        set_bits(network, np.full_like(get_bits(network), bits))
        correct()
    found = statistics(network)
    network_state.restore(network, kept)
    set_bits(network, np.full_like(get_bits(network), 6))
    BiasCorrection(network, passes)()
    for name, expected in statistics(network).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-5)
        moved = not np.array_equal(expected[0], correct.moving[name][0])
        assert moved or name == "bn1"  # only what is behind the float stem does not move


def test_parameters_keep_their_names_and_quantizers_come_back(network):
    names = [parameter.name for parameter in network.get_parameters()]
    x = Tensor(IMAGES[:2])
    before = network.set_train(False)(x).asnumpy()
    kept = network_state.state(network)
    BiasCorrection(network, passes)()
    assert [parameter.name for parameter in network.get_parameters()] == names
    network_state.restore(network, kept)
    assert np.array_equal(network.set_train(False)(x).asnumpy(), before)
