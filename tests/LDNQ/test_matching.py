import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from common.errors import QuantizationError
from LDNQ.latent import LevelledParameter, latent_values
from LDNQ.levels import LEVEL_COUNTS, nearest_levels, project, signed_levels, to_codes
from LDNQ.matching import FIXED, FLOAT, FREE, MatchStep


@pytest.mark.parametrize("level_count", LEVEL_COUNTS)
def test_latent_values_round_to_the_levels_and_move_as_little_as_needed(level_count):
    generator = np.random.default_rng(level_count)
    weight, scale = generator.normal(size=(4, 200)) * 3, generator.uniform(0.3, 2, (4, 1))
    levels = generator.choice(signed_levels(level_count), (4, 200))
    latent = latent_values(weight, levels, scale, level_count)
    assert np.array_equal(nearest_levels(latent / scale, level_count), levels)
    same = nearest_levels(weight / scale, level_count) == levels
    assert np.array_equal(latent[same], weight[same])
    middles = np.abs(np.diff(signed_levels(level_count))).max() / 2  # half of the widest gap
    assert np.all(
        np.abs(latent - scale * levels)[~same] <= (middles + 0.03) * np.broadcast_to(scale, levels.shape)[~same]
    )


@pytest.mark.parametrize("level_count", LEVEL_COUNTS)
def test_a_margin_keeps_latent_values_away_from_the_borders_of_their_cells(level_count):
    generator = np.random.default_rng(level_count)
    weight, levels = generator.normal(size=400) * 3, generator.choice(signed_levels(level_count), 400)
    latent = latent_values(weight, levels, np.ones(1), level_count, 0.25)
    moved = nearest_levels(weight, level_count) != levels
    width = np.maximum(1, 0.75 * np.abs(levels))
    for way in (-1, 1):
        shifted = nearest_levels(latent + way * 0.249 * width, level_count)
        assert np.array_equal(shifted[moved], levels[moved])
    assert np.array_equal(latent[~moved], weight[~moved]) and moved.sum() > 50


def linear(weight: np.ndarray, bias: np.ndarray) -> nn.Dense:
    return nn.Dense(weight.shape[1], weight.shape[0], ms.Tensor(weight), ms.Tensor(bias))


@pytest.fixture
def problem():
    generator = np.random.default_rng(0)
    arrays = [generator.normal(size=shape).astype(np.float32) for shape in ((4, 6), (4,), (16, 6), (16, 4))]
    network = linear(arrays[0], arrays[1])
    levelled = {"weight": LevelledParameter.of(network.weight)}
    return network, levelled, MatchStep(network, levelled, 3, clip_norm=1e6), arrays


def torch_steps(arrays, rate: float, count: int, level_count: int | None, scale: np.ndarray) -> list[np.ndarray]:
    """The same steps in PyTorch: loss, SGD with momentum, straight-through levels."""
    torch = pytest.importorskip("torch")
    weight, bias, images, logits = (torch.tensor(array) for array in arrays)
    latent, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    optimizer = torch.optim.SGD([latent, bias], rate, momentum=0.9)
    for _ in range(count):
        value = latent
        if level_count:
            levelled = scale * nearest_levels(latent.detach().numpy() / scale, level_count)
            value = latent + (torch.tensor(levelled, dtype=torch.float32) - latent).detach()
        loss = (torch.nn.functional.linear(images, value, bias) - logits).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [latent.detach().numpy(), bias.detach().numpy(), loss.item()]


def test_float_steps_are_those_of_torch(problem):
    network, _, step, arrays = problem
    losses = [step.advance(arrays[2], arrays[3], 0.05, {"weight": FLOAT}) for _ in range(5)]
    latent, bias, loss = torch_steps(arrays, 0.05, 5, None, np.ones((4, 1)))
    np.testing.assert_allclose(network.weight.asnumpy(), latent, atol=1e-5)
    np.testing.assert_allclose(network.bias.asnumpy(), bias, atol=1e-5)
    assert losses[-1] == pytest.approx(loss, rel=1e-5) and losses[-1] < losses[0]


def test_free_steps_are_straight_through_steps_of_torch(problem):
    network, levelled, step, arrays = problem
    projected = project(arrays[0].astype(np.float64), 3, per_channel=True)
    levelled["weight"].assign(projected.levels, projected.scale[:, 0], 3)
    start = [levelled["weight"].latent.asnumpy().copy(), *arrays[1:]]
    for _ in range(6):
        step.advance(arrays[2], arrays[3], 0.2, {"weight": FREE})
    latent, bias, _ = torch_steps(start, 0.2, 6, 3, projected.scale)
    np.testing.assert_allclose(levelled["weight"].latent.asnumpy(), latent, atol=1e-4)
    np.testing.assert_allclose(network.bias.asnumpy(), bias, atol=1e-4)
    weight = levelled["weight"].to_int(3)
    assert not np.array_equal(weight.codes, to_codes(projected.levels, 3))
    assert np.array_equal(weight.scale, projected.scale[:, 0].astype(np.float32))
    assert np.array_equal(network.weight.asnumpy(), weight.dequantize())


def test_fixed_values_do_not_move_while_the_rest_does(problem):
    network, levelled, step, arrays = problem
    projected = project(arrays[0].astype(np.float64), 3)
    levelled["weight"].assign(projected.levels, np.full(4, projected.scale[0, 0]), 3)
    before, bias = network.weight.asnumpy().copy(), network.bias.asnumpy().copy()
    for _ in range(3):
        step.advance(arrays[2], arrays[3], 0.5, {"weight": FIXED})
    assert np.array_equal(network.weight.asnumpy(), before)
    assert np.array_equal(levelled["weight"].to_int(3).codes, to_codes(projected.levels, 3))
    assert not np.array_equal(network.bias.asnumpy(), bias)


def test_the_gradient_is_clipped_and_a_diverging_run_is_refused():
    generator = np.random.default_rng(1)
    arrays = [generator.normal(size=shape).astype(np.float32) for shape in ((4, 6), (4,), (16, 6), (16, 4))]
    network = linear(arrays[0], arrays[1])
    step = MatchStep(network, {}, 3, momentum=0.0, clip_norm=0.1)
    step.advance(arrays[2], arrays[3], 1.0, {})
    moved = [network.weight.asnumpy() - arrays[0], network.bias.asnumpy() - arrays[1]]
    assert np.sqrt(sum(np.square(part).sum() for part in moved)) == pytest.approx(0.1, rel=1e-3)
    with pytest.raises(QuantizationError, match="diverged"):
        step.advance(arrays[2], np.full((16, 4), np.inf, np.float32), 1.0, {})


def test_parameter_names_stay_as_they_were(problem):
    network, _, step, _ = problem
    assert [p.name for p in network.get_parameters()] == ["weight", "bias"] and step.names == ["weight"]
