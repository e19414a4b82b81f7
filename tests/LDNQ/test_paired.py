"""Layers in one pass: targets and norms against NumPy on the data themselves, and what whole networks gain."""

from dataclasses import replace

import numpy as np
import pytest
from ldnq_tiny import tiny_network
from mindspore import Tensor, nn

from common.checkpoint import network_state
from common.data import CIFAR10
from common.errors import ConfigError
from LDNQ.calibration_set import CalibrationSet
from LDNQ.cascade import Cascade
from LDNQ.paired import Pair, match_norm, target
from LDNQ.plan import Plan
from LDNQ.quant_config import QuantConfig

PAIRED = Plan(hessians="paired", statistics="kept", steps=0, refine_steps=0, searched_scales=True, shrinkage=0.1)


def problem(central: bool):
    """Weights (2, 3, 6), patches (2, 6, 50) of the float network and of a quantized one, their moments."""
    generator = np.random.default_rng(0)
    plain = generator.normal(size=(2, 6, 50)) + 1
    quantized = plain + 0.3 * generator.normal(size=plain.shape) - 0.2
    return generator.normal(size=(2, 3, 6)), plain, quantized, Pair.of(plain, quantized, central)


@pytest.mark.parametrize("central", [True, False])
def test_targets_are_those_of_least_squares(central):
    weight, plain, quantized, pair = problem(central)
    found = target(weight, pair, 0.0)
    drawn = target(weight, pair, 0.3)
    for rows, one, other, ridged, x, y in zip(weight, found, drawn, pair.hessian, plain, quantized):
        x, y = (part - central * part.mean(1, keepdims=True) for part in (x, y))
        np.testing.assert_allclose(one, np.linalg.lstsq(y.T, (rows @ x).T, rcond=None)[0].T, rtol=1e-6, atol=1e-9)
        strength = np.sqrt(50 * 0.3 * np.trace(ridged) / 6)  # the ridge as six more patches, whose outputs are W's
        columns, outputs = np.hstack((y, strength * np.eye(6))), np.hstack((rows @ x, strength * rows))
        np.testing.assert_allclose(other, np.linalg.lstsq(columns.T, outputs.T, rcond=None)[0].T, rtol=1e-6, atol=1e-9)
    assert pair.share(0.5) == 6 / 50 and pair.share(0.01) == 0.01


def test_the_norm_gives_mean_and_variance_of_the_float_network():
    weight, plain, quantized, pair = problem(True)
    values, generator, norm = np.round(2 * weight) / 2, np.random.default_rng(1), nn.BatchNorm2d(6)
    for parameter in (norm.gamma, norm.beta, norm.moving_mean):
        parameter.set_data(Tensor(generator.normal(size=6).astype(np.float32)))
    norm.moving_variance.set_data(Tensor(generator.uniform(0.5, 2, 6).astype(np.float32)))
    norm.set_train(False)

    def outputs(rows, patches):
        y = (rows @ patches).reshape(1, 6, 50, 1).astype(np.float32)
        return norm(Tensor(y)).asnumpy()[0, :, :, 0]

    wanted = outputs(weight, plain)
    gains = match_norm(norm, weight, values, pair)
    found = outputs(values, quantized)
    np.testing.assert_allclose(found.mean(1), wanted.mean(1), atol=1e-5)
    np.testing.assert_allclose(found.std(1), wanted.std(1), rtol=1e-4)
    assert gains.shape == (6,) and np.ptp(gains) > 0.01


def quantized(images, folder, plan: Plan, levels: int) -> tuple[Cascade, float]:
    """A cascade that has run, and the squared error of its logits."""
    network, plain = tiny_network(), tiny_network()
    cascade = Cascade(network, CalibrationSet(images, CIFAR10, 1, 0), QuantConfig(levels), plan, folder)
    cascade.run()
    x = Tensor(images.eval_batch(np.arange(len(images)), CIFAR10))
    logits = [cell.set_train(False)(x).asnumpy() for cell in (network, plain)]
    return cascade, float(np.square(logits[0] - logits[1]).mean())


def test_layers_make_up_for_those_before_them(images, tmp_path, mode):
    cascade, error = quantized(images, tmp_path / "paired", PAIRED, 3)
    _, alone = quantized(images, tmp_path / "float", replace(PAIRED, hessians="float", statistics="shifted"), 3)
    assert error < 0.8 * alone
    assert [record["layer"] for record in cascade.state.records] == ["conv1", "conv2", "fc"]
    state, before = network_state.state(cascade.network), network_state.state(tiny_network())
    for name in ("bn1", "bn2"):
        for part in ("moving_mean", "moving_variance"):
            assert np.array_equal(state[f"{name}.{part}"], before[f"{name}.{part}"])
        assert not np.array_equal(state[f"{name}.gamma"], before[f"{name}.gamma"])
    assert all(0 < record["error"] < 1 for record in cascade.state.records)
    again = Cascade(tiny_network(), cascade.data, cascade.config, PAIRED, tmp_path / "paired")
    assert again.run().keys() == cascade.integers().keys()
    assert all(np.array_equal(value, state[name]) for name, value in network_state.state(again.network).items())


@pytest.mark.parametrize("others", [{"steps": 4}, {"statistics": "shifted"}])
def test_what_contradicts_it_is_refused(others):
    with pytest.raises(ConfigError, match="steps 0 and statistics kept"):
        replace(PAIRED, **others)
