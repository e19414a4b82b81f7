"""What is done to a layer when its turn has come: its parameters end on their levels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from mindspore import Parameter, Tensor, nn

from common.quant.conv_geometry import conv_geometry
from LDNQ.hessian import split_matrix, weight_matrix
from LDNQ.latent import LevelledParameter
from LDNQ.layer_problem import solve_layer
from LDNQ.paired import Pair, match_norm, output_moments, target
from LDNQ.plan import Plan
from LDNQ.quant_config import QuantConfig


@dataclass(frozen=True, eq=False)
class LayerTurns:
    """Puts layers on their levels.

    Attributes:
        levelled: parameters of the layers by name.
        config: levels.
        plan: settings of the solvers.
        margin: of the latent values, see :func:`LDNQ.latent.latent_values`.
    """

    levelled: Mapping[str, LevelledParameter]
    config: QuantConfig
    plan: Plan
    margin: float

    def solve(self, layer: nn.Cell, hessian: np.ndarray, plan: Plan | None = None) -> dict[str, float]:
        """Put the layer on its levels; returns how well its output is kept."""
        parameters = parameters_of(layer)
        arrays = [parameter.asnumpy() for parameter in parameters]
        solved = solve_layer(arrays, conv_geometry(layer).groups, hessian, self.config, plan or self.plan)
        for parameter, levels in zip(parameters, solved.levels, strict=True):
            self.levelled[parameter.name].assign(levels, solved.scale, self.config.levels, self.margin)
        return _error(solved.error)

    def solve_pair(self, layer: nn.Cell, norm: nn.BatchNorm2d | None, pair: Pair) -> dict[str, float]:
        """Put a layer on the levels that give the float network's output for the quantized one's input."""
        parameters, groups = parameters_of(layer), conv_geometry(layer).groups
        weight, share = _rows(parameters, groups), pair.share(self.plan.shrinkage)
        goal = split_matrix(target(weight, pair, share), layer.weight.shape, len(parameters) > 1)
        for parameter, values in zip(parameters, goal):
            parameter.set_data(Tensor(values.astype(np.float32)))
        self.solve(layer, pair.hessian, replace(self.plan, shrinkage=share))
        values = _rows(parameters, groups)
        gain = match_norm(norm, weight, values, pair) if norm is not None else 1.0
        wanted, found, both = output_moments(weight, values, pair)
        return _error(float((wanted + gain**2 * found - 2 * gain * both).sum() / max(wanted.sum(), 1e-30)))


def parameters_of(layer: nn.Cell) -> list[Parameter]:
    """Weight and, where there is one, bias."""
    return [layer.weight, layer.bias] if layer.has_bias else [layer.weight]


def _rows(parameters: Sequence[Parameter], groups: int) -> np.ndarray:
    """Weight and bias as rows, see :func:`LDNQ.hessian.weight_matrix`."""
    arrays = [parameter.asnumpy() for parameter in parameters]
    return weight_matrix(arrays[0], arrays[1] if len(arrays) > 1 else None, groups)


def _error(ratio: float) -> dict[str, float]:
    return {"error": ratio, "sqnr_db": float(-10 * np.log10(max(ratio, 1e-12)))}
