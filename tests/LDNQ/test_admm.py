import itertools

import numpy as np
import pytest

from common.errors import QuantizationError
from LDNQ.admm import admm, best_scale, descend, output_error, solve
from LDNQ.levels import LEVEL_COUNTS, project, signed_levels


def problem(rows: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (rows, size) and the second moment of correlated inputs."""
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(4 * size, size)) @ generator.normal(size=(size, size)) + 1
    return generator.normal(size=(rows, size)), inputs.T @ inputs / len(inputs)


def brute_force(weight: np.ndarray, hessian: np.ndarray, level_count: int) -> float:
    """Least error of one row over all assignments, each with its best scale."""
    levels = np.array(list(itertools.product(signed_levels(level_count), repeat=weight.size)))
    levels = levels[np.any(levels != 0, axis=1)]
    image = levels @ hessian
    gains = np.einsum("ij,j->i", image, weight) ** 2 / np.einsum("ij,ij->i", image, levels)
    return 0.5 * float(weight @ hessian @ weight - gains.max())


@pytest.mark.parametrize("level_count", [3, 5, 7])
def test_error_is_not_above_the_references_on_its_hessian(golden, level_count):
    weight, hessian = golden["kernel"].reshape(9, -1), golden["hessian"]
    reference = golden[f"admm{level_count}"].reshape(9, -1) - weight
    limit = 0.5 * np.einsum("fi,ij,fj->", reference, hessian, reference)
    solved = solve(weight, hessian, level_count)
    assert solved.error <= limit
    difference = solved.values - weight
    assert solved.error == pytest.approx(0.5 * np.einsum("fi,ij,fj->", difference, hessian, difference), rel=1e-9)
    assert set(np.unique(solved.levels)) <= set(signed_levels(level_count)) and solved.scale.shape == (1, 1)
    assert solve(weight, hessian, level_count, per_channel=True).error <= solved.error


@pytest.mark.parametrize(("level_count", "size"), [(3, 8), (5, 6), (7, 5)])
def test_small_problems_come_near_to_brute_force(level_count, size):
    errors, best = [], []
    for seed in range(30):
        weight, hessian = problem(1, size, seed)
        solved = [solve(weight, hessian, level_count, per_channel=True, rho=rho) for rho in (0.1, 0.3, 1.0, 3.0)]
        errors.append(min(candidate.error for candidate in solved))
        best.append(brute_force(weight[0], hessian, level_count))
    errors, best = np.array(errors), np.array(best)
    assert np.all(errors >= best - 1e-9)
    assert np.mean(errors <= best * (1 + 1e-9)) >= 0.5  # the optimum itself
    assert errors.sum() <= 1.4 * best.sum()


def test_each_part_improves_on_the_one_before():
    weight, hessian = problem(8, 36, 0)
    for level_count in LEVEL_COUNTS:
        plain = project(weight, level_count)
        start = output_error(weight, plain.values, hessian)
        split = admm(weight, hessian, level_count)
        polished = descend(split, weight, hessian, level_count)
        assert polished.error <= split.error <= start
        assert polished.error < 0.95 * start


def test_admm_matches_the_equations_written_out():
    weight, hessian = problem(3, 12, 1)
    rho = float(np.trace(hessian)) / 12
    values, multiplier = weight.copy(), np.zeros_like(weight)
    errors = [output_error(weight, project(weight, 3).values, hessian)]
    for _ in range(25):
        target = np.linalg.solve(hessian + rho * np.eye(12), (hessian @ weight.T + rho * (values - multiplier).T)).T
        values = project(target + multiplier, 3).values
        multiplier = multiplier + target - values
        errors.append(output_error(weight, values, hessian))
    solved = admm(weight, hessian, 3, rho=1, iterations=25, patience=100)
    assert solved.error == pytest.approx(min(errors), rel=1e-9)


def test_a_scrambled_order_is_worse():
    """The Hessian in the order (KH, KW, C) against weights in the order (C, KH, KW), as the original release has it."""
    generator = np.random.default_rng(2)
    smooth = generator.normal(size=(400, 8, 5, 5)).cumsum(2).cumsum(3) * np.arange(1, 9)[:, None, None]
    inputs = smooth[:, :, :3, :3].reshape(400, -1)
    hessian = inputs.T @ inputs / 400
    weight = generator.normal(size=(16, 72))
    order = np.arange(72).reshape(8, 3, 3).transpose(1, 2, 0).reshape(-1)
    scrambled = hessian[np.ix_(order, order)]
    right = solve(weight, hessian, 3).error
    wrong = output_error(weight, solve(weight, scrambled, 3).values, hessian)
    assert right < 0.5 * wrong


def test_the_scale_is_a_minimum():
    weight, hessian = problem(4, 10, 3)
    levels = project(weight, 5).levels
    for per_channel in (False, True):
        scale = best_scale(levels, weight, hessian, per_channel, np.ones((4, 1)) if per_channel else np.ones((1, 1)))
        error = output_error(weight, scale * levels, hessian)
        for factor in (0.99, 1.01):
            assert output_error(weight, factor * scale * levels, hessian) > error


def test_zero_weights_and_dead_inputs():
    weight, hessian = problem(3, 6, 4)
    hessian[2], hessian[:, 2] = 0, 0
    weight[1] = 0
    solved = solve(weight, hessian, 3, per_channel=True)
    assert np.isfinite(solved.values).all() and not solved.values[1].any()
    assert not solve(np.zeros((2, 6)), hessian, 3).values.any()
    assert solve(weight, np.zeros((6, 6)), 3).error == 0


@pytest.mark.parametrize(("shape", "bad"), [((5, 5), None), ((6, 6), np.nan), ((6, 6), np.inf)])
def test_what_does_not_fit_is_refused(shape, bad):
    hessian = np.eye(*shape)
    hessian[0, 0] = 1 if bad is None else bad
    with pytest.raises(QuantizationError):
        solve(np.ones((2, 6)), hessian, 3)
