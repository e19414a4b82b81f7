"""The layer problem of one layer: its weights and its bias on levels, whatever its groups and its kind of scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LDNQ import admm
from LDNQ.depthwise import solve_rows
from LDNQ.hessian import shrunk, split_matrix, weight_matrix
from LDNQ.levels import Solution
from LDNQ.plan import Plan
from LDNQ.quant_config import QuantConfig


@dataclass(frozen=True, eq=False)
class LayerSolution:
    """A layer on its levels.

    Attributes:
        levels: level of each value of the weight, of its shape, and of the bias, (F,), where there is one.
        scale: scale of each filter, (F,).
        error: error of the layer's output in shares of the output, both in mean squares.
    """

    levels: list[np.ndarray]
    scale: np.ndarray
    error: float


def solve_layer(
    arrays: Sequence[np.ndarray], groups: int, hessian: np.ndarray, config: QuantConfig, plan: Plan
) -> LayerSolution:
    """The levels that change a layer's output least.

    Args:
        arrays: weight (F, C / groups, KH, KW) or (F, C), and bias (F,) where there is one.
        groups: of channels.
        hessian: second moment of each group's inputs, (groups, n, n), see :mod:`LDNQ.hessian`.
        config: levels, and the unit of a scale.
        plan: settings of the solvers.

    Raises:
        QuantizationError: the Hessian does not fit the weights or is not finite.
    """
    wanted, biased = shrunk(hessian, plan.shrinkage), len(arrays) > 1
    weight = weight_matrix(arrays[0], arrays[1] if biased else None, groups)
    if config.granularity == "channel" and weight.shape[1] == 1 < groups:
        solutions = [solve_rows(weight[:, 0], wanted, config.levels)]
    else:
        settings = config.levels, config.granularity == "channel", plan.rho, plan.polish, plan.searched_scales
        solutions = [admm.solve(rows, group, *settings) for rows, group in zip(weight, wanted)]
    values = np.concatenate([solution.values for solution in solutions]).reshape(weight.shape)
    levels = split_matrix(np.concatenate([solution.levels for solution in solutions]), arrays[0].shape, biased)
    signal = sum(admm.output_error(rows, 0 * rows, group) for rows, group in zip(weight, hessian))
    error = sum(admm.output_error(*rows, group) for *rows, group in zip(weight, values, hessian))
    scale = np.concatenate([_per_row(solution) for solution in solutions])
    return LayerSolution([part for part in levels if part is not None], scale, error / signal if signal else 0.0)


def _per_row(solution: Solution) -> np.ndarray:
    return np.broadcast_to(solution.scale[:, 0], (len(solution.levels),))
