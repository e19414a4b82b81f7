"""The builder: operations become parts of one step, values that are gone are refused, folding changes no function."""

import numpy as np
import pytest

from common.engine.builder import Builder
from common.engine.compiler import compile_network
from common.engine.description import FloatConv, Grid, IntegerConv, Take
from common.engine.interpreter import interpret
from common.errors import QuantizationError

GRID = Grid(np.full(1, 7.0, np.float32), np.full(1, 15))


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def begun(rng):
    builder = Builder((3, 6, 6))
    return builder, builder.float_conv(builder.image, rng.normal(0, 1, (8, 3, 3, 3)).astype(np.float32), 1, 1)


def integer_conv(rng, builder, codes):
    return builder.integer_conv(codes, [rng.integers(-7, 8, (8, 8, 3, 3))], [np.full(8, 0.01)], 1, 1)


def pair(rng):
    return rng.uniform(0.5, 1, 8), rng.normal(0, 0.3, 8)


def test_a_residual_block_is_two_steps(rng):
    builder, x = begun(rng)
    x = builder.relu(builder.affine(x, *pair(rng)))
    y = builder.relu(builder.affine(integer_conv(rng, builder, builder.codes(x, GRID)), *pair(rng)))
    y = builder.add(builder.affine(integer_conv(rng, builder, builder.codes(y, GRID)), *pair(rng)), x)
    steps = builder.finish(builder.pool(builder.relu(y), (6, 6))).steps
    assert [type(step) for step in steps[1:4]] == [FloatConv, IntegerConv, IntegerConv]
    inside, end = steps[2].tail, steps[3].tail
    assert not (inside.store or inside.relu or inside.residual) and np.all(inside.grid.steps == 1)
    assert end.relu and end.residual == steps[1].tail.store and end.store and not end.codes


def test_another_grid_of_a_value_takes_a_step_of_its_own(rng):
    builder, x = begun(rng)
    first, other = builder.codes(x, GRID), builder.codes(x, Grid(np.full(1, 2.0, np.float32), np.full(1, 3)))
    assert builder.codes(x, GRID).name == first.name != other.name
    assert [draft.kind for draft in builder.drafts[2:]] == [Take]


def test_folding_changes_no_logit_but_by_rounding():
    logits = []
    for kept in (False, True):
        rng = np.random.default_rng(5)
        builder, x = begun(rng)
        x = builder.affine(x, *pair(rng))
        if kept:
            builder.name(x)  # the floats are read by somebody
        y = integer_conv(rng, builder, builder.codes(builder.relu(x), GRID))
        program = compile_network(builder.finish(builder.pool(builder.affine(y, *pair(rng)), (6, 6))))
        logits.append(interpret(program, np.random.default_rng(1).normal(0, 1, (4, 3, 6, 6)).astype(np.float32)))
    assert np.abs(logits[0] - logits[1]).max() < 1e-6 * np.abs(logits[0]).max() and logits[0].std() > 0


def test_a_value_whose_place_is_taken_is_refused(rng):
    builder, x = begun(rng)
    builder.affine(x, *pair(rng))
    with pytest.raises(ValueError, match="after another had taken its place"):
        builder.name(x)


def test_a_norm_without_relu_behind_a_sum_is_refused(rng):
    builder, x = begun(rng)
    builder.name(x)
    with pytest.raises(QuantizationError, match="a BatchNorm behind a sum that no ReLU follows"):
        builder.name(builder.affine(x, *pair(rng)))
