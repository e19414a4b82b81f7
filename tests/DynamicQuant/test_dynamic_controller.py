"""The controller: shapes, first scores, gradients, images by themselves."""

import numpy as np
import pytest
from mindspore import Tensor, ops

from common.errors import ConfigError
from DynamicQuant.bit_controller import BitController
from DynamicQuant.gumbel_softmax import GumbelSoftmax

pytestmark = pytest.mark.usefixtures("pynative")


def features(count=9, channels=6, side=16, seed=0) -> Tensor:
    values = np.random.default_rng(seed).normal(0, 1, (count, channels, side, side))
    return Tensor(np.maximum(values, 0).astype(np.float32))


def test_scores_are_those_of_the_two_linear_layers():
    cell, x = BitController(6, 16, layers=5, seed=1), features()
    cell.set_train(False)
    pooled = x.asnumpy().astype(np.float64).reshape(9, 6, 8, 2, 8, 2).mean((3, 5)).reshape(9, -1)
    weights = [layer.weight.asnumpy().astype(np.float64) for layer in (cell.hidden, cell.last)]
    hidden = np.maximum(pooled @ weights[0].reshape(64, -1).T + cell.hidden.bias.asnumpy(), 0)
    wanted = hidden @ weights[1].reshape(15, 64).T + cell.last.bias.asnumpy()
    np.testing.assert_allclose(cell(x).asnumpy(), wanted.reshape(9, 5, 3), atol=1e-5)


def test_no_candidate_is_preferred_at_first_and_the_seed_decides():
    cells = [BitController(6, 16, layers=5, seed=seed) for seed in (1, 1, 2)]
    for cell in cells:
        cell.set_train(False)
    first_scores = [cell(features()).asnumpy() for cell in cells]
    assert set(first_scores[0].argmax(2).ravel()) == {0, 1, 2} and first_scores[0].std(0).min() > 0
    assert not cells[0].last.bias.asnumpy().any() and not cells[0].hidden.bias.asnumpy().any()
    np.testing.assert_array_equal(first_scores[0], first_scores[1])
    assert not np.array_equal(first_scores[0], first_scores[2])


def test_the_middle_candidate_leads_by_what_is_asked_for():
    plain, leading = (BitController(6, 16, layers=5, seed=1, preference=lead) for lead in (0.0, 2.0))
    for cell in (plain, leading):
        cell.set_train(False)
    lead = leading(features()).asnumpy() - plain(features()).asnumpy()
    np.testing.assert_allclose(lead, np.tile(np.float32([0, 2, 0]), (9, 5, 1)), atol=1e-6)


def test_scores_of_an_image_do_not_depend_on_its_batch_bit_for_bit():
    cell, x = BitController(6, 16, layers=5, seed=1), features(64)
    cell.set_train(False)
    whole = cell(x).asnumpy()
    for count in (1, 7):
        parts = [cell(x[start : min(64, start + count)]).asnumpy() for start in range(0, 64, count)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_all_parameters_get_a_gradient_through_hard_choices():
    cell, choose = BitController(6, 16, layers=5, seed=1), GumbelSoftmax(seed=2)
    cell.set_train(True)
    choose.set_train(True)
    weights = Tensor(np.random.default_rng(3).normal(0, 1, (9, 5, 3)).astype(np.float32))
    names = [parameter.name for parameter in cell.trainable_params()]
    gradients = ops.grad(lambda x: (choose(cell(x)) * weights).sum(), None, cell.trainable_params())(features())
    assert len(names) == 4
    for name, gradient in zip(names, gradients):
        assert np.abs(gradient.asnumpy()).max() > 1e-4, name


def test_dropout_works_in_training_only():
    cell, x = BitController(6, 16, layers=5, seed=1), features()
    cell.set_train(True)
    assert not np.array_equal(cell(x).asnumpy(), cell(x).asnumpy())
    cell.set_train(False)
    np.testing.assert_array_equal(cell(x).asnumpy(), cell(x).asnumpy())
    assert "dropout.noise.state" not in [p.name for p in BitController(6, 16, layers=5).get_parameters()]


@pytest.mark.parametrize("side", [0, 4, 12, 33])
def test_feature_maps_that_no_pooling_brings_to_the_grid_are_refused(side):
    with pytest.raises(ConfigError, match="multiple of 8"):
        BitController(6, side, layers=5)
