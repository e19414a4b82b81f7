r"""The layer problem of LDNQ: weights on the levels that change the layer's output least.

With W (F, n) the float weights of a layer and H (n, n) the second moment of its inputs (see ``hessian.py``), find

    min  1/2 sum_f (g_f - w_f)^T H (g_f - w_f)    over g_f = a q_f, q on the levels,

which is half the mean squared change of the layer's output. Two solvers that complement each other:

- :func:`admm`, equations 8 to 11 of the paper: splits the problem into a ridge solve and a projection. The ridge
  matrix H + rho I never changes, so it is factorised and inverted once.
- :func:`descend`: exact minimisation over one weight at a time, then over the scale. No step raises the error, so it
  polishes what ADMM finds.
"""

import numpy as np

from common.errors import QuantizationError
from LDNQ.levels import Solution, nearest_levels, project, searched_scale

_BLOCK = 64  # columns; 32 to 128 take nearly the same time
_RHO = 0.3  # in units of the mean of H's diagonal; 0.1 to 1 are near to it on the layers of ResNet-20


def output_error(weight: np.ndarray, values: np.ndarray, hessian: np.ndarray) -> float:
    """1/2 sum_f (g_f - w_f)^T H (g_f - w_f) for weights (F, n) and Hessian (n, n)."""
    difference = values - weight
    return 0.5 * float(np.vdot(difference, difference @ hessian))


def admm(
    weight: np.ndarray,
    hessian: np.ndarray,
    level_count: int,
    per_channel: bool = False,
    rho: float = _RHO,
    iterations: int = 100,
    tolerance: float = 1e-3,
    patience: int = 10,
    scale: np.ndarray | None = None,
) -> Solution:
    """Alternating direction method of multipliers; returns the best point it met on the levels.

    Repeats T = (H + rho I)^-1 (H W + rho (G - L)), G = project(T + L), L = L + T - G from G = W, L = 0.

    Args:
        weight: float weights, (F, n).
        hessian: second moment of the inputs, (n, n), symmetric, positive semidefinite.
        level_count: number of levels.
        per_channel: whether each row has a scale of its own.
        rho: penalty in units of the mean of the diagonal of H, > 0.
        iterations: number of iterations, at most.
        tolerance: relative fall of the error that counts as progress.
        patience: number of iterations without progress after which it ends.
        scale: scale that every projection begins with; None: :func:`LDNQ.levels.initial_scale`.

    Raises:
        QuantizationError: the Hessian does not fit the weights or is not finite.
    """
    weight, hessian = _checked(weight, hessian)
    rho = rho * max(float(np.trace(hessian)) / len(hessian), np.finfo(float).tiny)
    # One product per iteration beats two triangular solves. NumPy's BLAS alone: SciPy brings one of its own, and the
    # threads of the two get in each other's way.
    inverse = rho * np.linalg.inv(hessian + rho * np.eye(len(hessian)))
    fixed = weight - weight @ inverse  # (H + rho I)^-1 H W
    multiplier, current = np.zeros_like(weight), weight
    best, failures = _scored(project(weight, level_count, per_channel, scale), weight, hessian), 0
    for _ in range(iterations):
        target = fixed + (current - multiplier) @ inverse
        candidate = _scored(project(target + multiplier, level_count, per_channel, scale), weight, hessian)
        current = candidate.values
        multiplier = multiplier + target - current
        failures = 0 if candidate.error < (1 - tolerance) * best.error else failures + 1
        best = min(best, candidate, key=lambda solution: solution.error)
        if failures >= patience:
            break
    return best


def descend(
    start: Solution,
    weight: np.ndarray,
    hessian: np.ndarray,
    level_count: int,
    per_channel: bool = False,
    sweeps: int = 20,
    tolerance: float = 1e-4,
) -> Solution:
    """Coordinate descent from a point on the levels: each weight in turn to its best level, then the scale.

    With R = (G - W) H the best value of weight j of every row is g_j - R_j / H_jj, rounded to a level.

    Args:
        start: solution to begin with.
        weight: float weights, (F, n).
        hessian: second moment of the inputs, (n, n).
        level_count: number of levels.
        per_channel: whether each row has a scale of its own.
        sweeps: number of passes over the n weights, at most.
        tolerance: relative fall of the error in a sweep below which it ends.
    """
    weight, hessian = _checked(weight, hessian)
    levels, scale, error = start.levels.copy(), start.scale, output_error(weight, start.values, hessian)
    for _ in range(sweeps):
        _sweep(levels, scale, weight, hessian, level_count)
        scale = best_scale(levels, weight, hessian, per_channel, scale)
        before, error = error, output_error(weight, scale * levels, hessian)
        if error >= (1 - tolerance) * before:
            break
    return Solution(levels, scale, error)


def _sweep(levels: np.ndarray, scale: np.ndarray, weight: np.ndarray, hessian: np.ndarray, level_count: int) -> None:
    """One pass over the columns of ``levels`` (F, n), changed in place; rows do not influence each other.

    Columns are taken in blocks: what a column's steps change is added at once to the residual of its block alone, and
    to that of the columns behind it by one matrix product a block, which costs far less than n updates of rank one.
    """
    residual = np.ascontiguousarray(((scale * levels - weight) @ hessian).T)  # (n, F)
    scale = np.broadcast_to(scale[:, 0], len(levels))
    usable = scale != 0
    divisor = np.where(usable, scale, 1)
    for first in range(0, len(hessian), _BLOCK):
        block = slice(first, first + _BLOCK)
        within, steps = hessian[block, block], np.zeros_like(residual[block])
        for i in np.flatnonzero(np.diag(within) > 0):
            j = first + i
            wanted = levels[:, j] - residual[j] / (within[i, i] * divisor)
            step = np.where(usable, nearest_levels(wanted, level_count) - levels[:, j], 0)
            if step.any():
                levels[:, j] += step
                steps[i] = scale * step
                residual[block] += np.outer(within[i], steps[i])
        residual[block.stop :] += hessian[block.stop :, block] @ steps


def best_scale(
    levels: np.ndarray, weight: np.ndarray, hessian: np.ndarray, per_channel: bool, default: np.ndarray
) -> np.ndarray:
    """The scale(s) of least error for given levels: a = <w, H q> / <q, H q>; ``default`` where that is 0 / 0."""
    axis, image = (1 if per_channel else None), levels @ hessian
    above, below = ((part * image).sum(axis, keepdims=True) for part in (weight, levels))
    return np.divide(above, below, out=np.array(default, float), where=below > 0)


def solve(
    weight: np.ndarray,
    hessian: np.ndarray,
    level_count: int,
    per_channel: bool = False,
    rho: float = _RHO,
    polish: bool = True,
    searched: bool = False,
) -> Solution:
    """ADMM's codes, polished by coordinate descent; ``searched``: both begin with :func:`searched_scale`.

    Raises:
        QuantizationError: the Hessian does not fit the weights or is not finite.
    """
    scale = searched_scale(weight, np.diag(hessian), level_count, per_channel) if searched else None
    solution = admm(weight, hessian, level_count, per_channel, rho, scale=scale)
    return descend(solution, weight, hessian, level_count, per_channel) if polish else solution


def _scored(candidate: Solution, weight: np.ndarray, hessian: np.ndarray) -> Solution:
    return Solution(candidate.levels, candidate.scale, output_error(weight, candidate.values, hessian))


def _checked(weight: np.ndarray, hessian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weight, hessian = np.asarray(weight, np.float64), np.asarray(hessian, np.float64)
    size = weight.shape[-1]
    if weight.ndim != 2 or hessian.shape != (size, size):
        raise QuantizationError(f"expected weights (F, n) and a Hessian (n, n), found {weight.shape}, {hessian.shape}")
    check_finite(weight, hessian)
    return weight, hessian


def check_finite(weight: np.ndarray, hessian: np.ndarray) -> None:
    """Make sure that a layer problem has a solution.

    Raises:
        QuantizationError: weights or second moments are not finite.
    """
    if not (np.isfinite(weight).all() and np.isfinite(hessian).all()):
        raise QuantizationError("expected finite weights and inputs, found NaN or infinite ones; check the checkpoint")
