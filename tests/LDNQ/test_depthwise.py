"""Rows with a Hessian each: against brute force, and against the solver of one Hessian for many rows."""

import numpy as np
import pytest
from test_admm import brute_force, problem

from LDNQ.admm import solve
from LDNQ.depthwise import solve_rows
from LDNQ.levels import LEVEL_COUNTS, signed_levels


def rows(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (count, size), and a Hessian for each."""
    pairs = [problem(1, size, seed) for seed in range(count)]
    return np.concatenate([weight for weight, _ in pairs]), np.stack([hessian for _, hessian in pairs])


@pytest.mark.parametrize(("level_count", "size"), [(3, 8), (5, 6), (7, 5), (11, 4)])
def test_small_problems_come_near_to_brute_force(level_count, size):
    weight, hessian = rows(30, size)
    solved = solve_rows(weight, hessian, level_count)
    difference = solved.values - weight
    errors = 0.5 * np.einsum("fi,fij,fj->f", difference, hessian, difference)
    best = np.array([brute_force(row, of_row, level_count) for row, of_row in zip(weight, hessian)])
    assert solved.error == pytest.approx(errors.sum(), rel=1e-9) and np.all(errors >= best - 1e-9)
    assert np.mean(errors <= best * (1 + 1e-9)) >= 0.6 and errors.sum() <= 1.2 * best.sum()


@pytest.mark.parametrize("level_count", LEVEL_COUNTS)
def test_it_finds_less_error_than_the_solver_of_many_rows(level_count):
    weight, hessian = rows(64, 9)
    solved = solve_rows(weight, hessian, level_count)
    others = [solve(row[None], of_row, level_count, per_channel=True) for row, of_row in zip(weight, hessian)]
    assert solved.error < sum(other.error for other in others)
    assert set(np.unique(solved.levels)) <= set(signed_levels(level_count))


def test_rows_and_inputs_of_zeros_stay_finite():
    weight, hessian = rows(3, 9)
    weight[0] = 0
    hessian[1] = 0
    hessian[2, 4] = hessian[2, :, 4] = 0
    solved = solve_rows(weight, hessian, 11)
    assert not solved.levels[0].any() and np.isfinite(solved.values).all() and np.isfinite(solved.error)
