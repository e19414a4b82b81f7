r"""The layer problem of layers with one filter per group: every row w of n weights has a Hessian H (n, n) of its own.

As :mod:`LDNQ.admm` for all rows at once, and from many scales: with few weights in a row the scale that a search ends
at is mostly the one it began near. From each scale of :func:`LDNQ.levels.scale_grid` coordinate descent and the best
scale take turns; the best end is taken, row by row.
"""

import numpy as np

from LDNQ.admm import check_finite
from LDNQ.levels import Solution, nearest_levels, scale_grid


def solve_rows(weight: np.ndarray, hessian: np.ndarray, level_count: int, sweeps: int = 10) -> Solution:
    """The levels and the scale of each row with the least 1/2 (g - w)^T H (g - w).

    Args:
        weight: float weights, (F, n) float64.
        hessian: second moments of each row's inputs, (F, n, n) float64, symmetric, positive semidefinite.
        level_count: number of levels.
        sweeps: passes over the weights from each start, at most.

    Raises:
        QuantizationError: weights or second moments are not finite.
    """
    check_finite(weight, hessian)
    best, errors = [np.zeros_like(weight), np.zeros((len(weight), 1))], np.full(len(weight), np.inf)
    for scale in scale_grid(weight, level_count, per_channel=True):
        found = _descended(weight, hessian, level_count, scale, sweeps)
        error = _errors(found[1] * found[0] - weight, hessian)
        best = [np.where((error < errors)[:, None], new, old) for new, old in zip(found, best)]
        errors = np.minimum(errors, error)
    return Solution(*best, float(errors.sum()))


def _errors(difference: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    return 0.5 * np.einsum("fi,fij,fj->f", difference, hessian, difference)


def _descended(
    weight: np.ndarray, hessian: np.ndarray, level_count: int, scale: np.ndarray, sweeps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Levels (F, n) and scale (F, 1) after sweeps that change nothing any more, or all of them."""
    diagonal = np.einsum("fii->fi", hessian)
    usable = scale[:, 0] > 0
    divisor = np.where(usable, scale[:, 0], 1)
    levels = nearest_levels(weight / divisor[:, None], level_count) * usable[:, None]
    for _ in range(sweeps):
        before = levels.copy()
        residual = np.einsum("fi,fij->fj", scale * levels - weight, hessian)
        for j in range(weight.shape[1]):
            seen = usable & (diagonal[:, j] > 0)
            wanted = levels[:, j] - residual[:, j] / np.where(seen, diagonal[:, j] * divisor, 1)
            step = np.where(seen, nearest_levels(wanted, level_count) - levels[:, j], 0)
            levels[:, j] += step
            residual += (scale[:, 0] * step)[:, None] * hessian[:, j]
        image = np.einsum("fi,fij->fj", levels, hessian)
        above, below = (np.einsum("fi,fi->f", part, image)[:, None] for part in (weight, levels))
        scale = np.divide(above, below, out=scale.copy(), where=below > 0)
        usable = scale[:, 0] > 0
        divisor = np.where(usable, scale[:, 0], 1)
        if np.array_equal(before, levels):
            break
    return levels, np.maximum(scale, 0)
