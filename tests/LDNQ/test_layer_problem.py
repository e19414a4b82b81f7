"""Whole layers on levels: the error is that of the layer's output, whatever its groups."""

import numpy as np
import pytest

from common.errors import QuantizationError
from common.quant.conv_geometry import ConvGeometry
from LDNQ.depthwise import solve_rows
from LDNQ.hessian import InputMoment, patches, weight_matrix
from LDNQ.layer_problem import solve_layer
from LDNQ.plan import Plan
from LDNQ.quant_config import QuantConfig

PLAN = Plan(searched_scales=True)


def layer(groups: int, bias: bool):
    """Weight, bias or none, geometry, and the second moment of inputs."""
    generator = np.random.default_rng(groups)
    geometry = ConvGeometry(kernel=(3, 3), groups=groups, bias=bias)
    arrays = [generator.normal(size=(8, 8 // groups, 3, 3)).astype(np.float32)]
    arrays += [generator.normal(size=8).astype(np.float32)] if bias else []
    inputs, moment = generator.normal(size=(5, 8, 7, 7)) + 0.5, InputMoment(geometry)
    moment.add(inputs)
    return arrays, geometry, inputs, moment.hessian


@pytest.mark.parametrize("granularity", ["channel", "layer"])
@pytest.mark.parametrize(("groups", "bias"), [(1, True), (2, False), (8, False), (8, True)])
def test_the_error_is_that_of_the_output(groups, bias, granularity):
    arrays, geometry, inputs, hessian = layer(groups, bias)
    solved = solve_layer(arrays, groups, hessian, QuantConfig(7, granularity), PLAN)
    assert solved.scale.shape == (8,) and [part.shape for part in solved.levels] == [part.shape for part in arrays]
    outputs = []
    for values in (arrays, [solved.scale.reshape(-1, *[1] * (part.ndim - 1)) * part for part in solved.levels]):
        outputs.append(weight_matrix(values[0], values[1] if bias else None, groups) @ patches(inputs, geometry))
    ratio = np.square(outputs[1] - outputs[0]).sum() / np.square(outputs[0]).sum()
    assert solved.error == pytest.approx(ratio, rel=1e-6) and 0 < ratio < 0.2


def test_depthwise_layers_have_the_solver_of_rows():
    arrays, _, _, hessian = layer(8, False)
    solved = solve_layer(arrays, 8, hessian, QuantConfig(9), PLAN)
    rows = solve_rows(arrays[0].reshape(8, 9).astype(float), hessian, 9)
    assert np.array_equal(solved.levels[0].reshape(8, 9), rows.levels) and np.array_equal(
        solved.scale, rows.scale[:, 0]
    )


def test_searched_scales_lower_the_error_and_what_is_not_finite_is_refused():
    arrays, _, _, hessian = layer(1, False)
    errors = [
        solve_layer(arrays, 1, hessian, QuantConfig(11), Plan(searched_scales=way)).error for way in (True, False)
    ]
    assert errors[0] < errors[1]
    for groups in (1, 8):
        arrays, _, _, hessian = layer(groups, False)
        with pytest.raises(QuantizationError, match="finite"):
            solve_layer(arrays, groups, hessian * np.nan, QuantConfig(11), PLAN)
