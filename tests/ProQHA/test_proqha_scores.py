"""Scores of candidates one by one, clips of a step, and that scoring leaves the network as it was."""

import numpy as np
import pytest
from mindspore import Tensor
from proqha_scoring import BITS, CLIPS, LOWERED, candidates, fisher, twin
from proqha_tiny import PREPROCESSING, batch, images, labels, quantized
from script_runs import same

from common.checkpoint import network_state
from common.quant.calibration import best_clip, sample_inputs
from common.quant.layers import quant_layers
from common.runtime.context import execution_mode
from common.training import Schedule, TrainConfig
from common.training.step import TrainStep, make_optimizer
from ProQHA.quant import ACTIVATIONS, get_bits, quantizers
from ProQHA.scores import AccuracyScorer, AdamScorer, Lowering, OneByOne


def test_the_plan_of_a_step_has_clips_of_least_error(mode):
    network = quantized(BITS)
    inputs = sample_inputs(network, quant_layers(network), [batch()])
    signs = [False, False, True, False]
    wanted = [best_clip(x, k, signed) for x, k, signed in zip(inputs.values(), LOWERED[:, 1], signs)]
    for scorer in (fisher(), AdamScorer(network, batch(), labels(), 1e-3, None)):
        assert scorer.plan(network, LOWERED).clips == pytest.approx(wanted, rel=1e-5)


def adam_reference(network, lr, clip_norm):
    reference = twin(network)
    reference.backward(batch(), labels())
    gradients = [p.grad.numpy().ravel() for p in reference.parameters.values() if p.requires_grad]
    g = np.concatenate(gradients)
    norm = np.sqrt((g**2).sum())
    g = g * (clip_norm / norm if clip_norm is not None and norm > clip_norm else 1)
    moved = lr * g / (np.abs(g) + 1e-8)
    return ((np.sqrt(0.001 * g**2) + 1e-8) * moved**2).sum(), norm


@pytest.mark.parametrize("share", [None, 0.5, 2], ids=["no limit", "limited", "limit not reached"])
def test_the_adam_score_is_that_of_one_step_from_zero(share):
    network = quantized(BITS)
    clip_norm = None if share is None else share * adam_reference(network, 1e-3, None)[1]
    scorer, some, wanted = AdamScorer(network, batch(), labels(), 1e-3, clip_norm), candidates(3), []
    for one in some:
        candidate = quantized(BITS)
        Lowering(LOWERED, CLIPS).apply(candidate, one)
        wanted.append(adam_reference(candidate, 1e-3, clip_norm)[0])
    scores = scorer(network, Lowering(LOWERED, CLIPS), some)
    assert scores == pytest.approx(wanted, rel=1e-3) and not scorer.additive
    assert np.ptp(wanted) > 0.01 * np.mean(wanted)


def test_the_adam_score_in_graph_mode():
    network, results = quantized(BITS), []
    for mode in ("graph", "pynative"):
        with execution_mode(mode):
            scorer = AdamScorer(network, batch(), labels(), 1e-3, 5.0)
            results.append(scorer(network, Lowering(LOWERED, CLIPS), candidates(3)))
    assert results[0] == pytest.approx(results[1], rel=1e-4)


def test_the_accuracy_score_is_minus_the_accuracy_of_the_candidate_itself():
    source, network, some = images(50), quantized(BITS), candidates(5)
    scores = AccuracyScorer(batch(), source, PREPROCESSING, 16)(network, Lowering(LOWERED, CLIPS), some)
    x = Tensor(source.eval_batch(np.arange(50), PREPROCESSING))
    for one, score in zip(some, scores):
        candidate = quantized(BITS)
        Lowering(LOWERED, CLIPS).apply(candidate, one)
        assert score == -(candidate(x).asnumpy().argmax(1) == source.labels).mean()
    assert len(set(scores)) > 1


class Failing(OneByOne):
    def one(self, network):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 3:
            raise RuntimeError("out of memory")
        return 0.0


@pytest.mark.parametrize("kind", ["fisher", "adam", "acc"])
def test_scoring_leaves_the_network_as_it_was(kind):
    network = quantized(BITS)
    scorer = {
        "fisher": lambda: fisher(),
        "adam": lambda: AdamScorer(network, batch(), labels(), 1e-3, 5.0),
        "acc": lambda: AccuracyScorer(batch(), images(20), PREPROCESSING, 8),
    }[kind]()
    before = network_state.state(network)
    scores = scorer(network, scorer.plan(network, LOWERED), candidates())
    assert scores.shape == (6,) and np.isfinite(scores).all()
    assert same(before, network_state.state(network)) == []


def test_bits_and_clips_come_back_after_an_error():
    network = quantized(BITS)
    before = network_state.state(network)
    with pytest.raises(RuntimeError, match="out of memory"):
        Failing(batch())(network, Lowering(LOWERED, CLIPS), candidates())
    assert same(before, network_state.state(network)) == []


def test_a_candidate_gets_its_bits_and_new_clips_only_where_inputs_are_lowered():
    network = quantized(BITS)
    before = [float(cell.clip.asnumpy()[0]) for cell in quantizers(network, ACTIVATIONS)]
    one = BITS.copy()
    one[0, 0], one[1], one[2, 1] = 4, LOWERED[1], 2
    Lowering(LOWERED, CLIPS).apply(network, one)
    assert np.array_equal(get_bits(network), one)
    clips = [float(cell.clip.asnumpy()[0]) for cell in quantizers(network, ACTIVATIONS)]
    assert clips == pytest.approx([before[0], 0.9, 1.7, before[3]])


def test_training_goes_on_from_the_clips_of_a_candidate(mode):
    """An optimizer that has run before trains the new clip, not the old one."""
    network = quantized(BITS)
    for name, parameter in network.parameters_and_names():
        parameter.name = name
    config = TrainConfig(1, 16, Schedule("constant", 0.01), "adam")
    step = TrainStep(network, make_optimizer(network.trainable_params(), config, 10), config)
    step.set_train(True)
    step(Tensor(batch()), Tensor(labels()))
    AdamScorer(network, batch(), labels(), 1e-3, None)(network, Lowering(LOWERED, CLIPS), candidates(2))
    Lowering(LOWERED, CLIPS).apply(network, LOWERED)
    step.set_train(True)
    step(Tensor(batch()), Tensor(labels()))
    clips = np.array([cell.clip.asnumpy()[0] for cell in quantizers(network, ACTIVATIONS)])
    moved = np.abs(clips - CLIPS)[:3]
    assert (moved > 1e-4).all() and (moved < 0.05).all()
