"""Scores of candidates against PyTorch in float64, and that scoring leaves the network as it was."""

import numpy as np
import pytest
from mindspore import Tensor
from proqha_tiny import LAYERS, PREPROCESSING, batch, images, labels, quantized, tiny
from script_runs import same

from common.checkpoint import network_state
from common.quant.calibration import best_clip
from common.quant.layers import quant_layers
from common.training import TrainConfig
from common.training.schedules import Schedule
from common.training.step import TrainStep, make_optimizer
from ProQHA import taps
from ProQHA.fisher import FisherScorer, _shrunk, _sums
from ProQHA.quant import ACTIVATIONS, Settings, each, get_bits, sample_inputs
from ProQHA.scores import AccuracyScorer, AdamScorer, Lowering, OneByOne

BITS = np.array([[5, 4], [3, 6], [8, 3], [4, 2]])
LOWERED = np.array([[4, 3], [2, 4], [6, 2], [2, 2]])
CLIPS = np.array([1.1, 0.9, 1.7, 0.6])
SETTINGS = Settings(signed=("mix",))


def candidates(count=6, seed=0):
    rng = np.random.default_rng(seed)
    return [np.where(rng.random((4, 2)) < 0.5, LOWERED, BITS) for _ in range(count)]


def fisher(network=None, count=16):
    return FisherScorer(network or tiny(), SETTINGS, batch(count), labels(count))


def twin(network):
    pytest.importorskip("torch")
    from proqha_torch import Twin

    return Twin(network)


def levels(x, bits, clip, signed):
    low = -clip if signed else 0.0
    return np.rint((np.clip(x, low, clip) - low) / (clip - low) * (2**bits - 1)) / (2**bits - 1) * (clip - low) + low


def weights(w, bits):
    t = np.tanh(w)
    return 2 * np.rint((2**bits - 1) * (t / (2 * np.abs(t).max()) + 0.5)) / (2**bits - 1) - 1


def reference(network, bits, clips):
    """The score, its movements of log-odds from PyTorch's gradients."""
    own, now = twin(network), get_bits(network)
    log_odds = own.log_odds(batch(), labels())
    parameters = {name: value.detach().numpy() for name, value in own.parameters.items()}
    changes = {}
    for row, name in enumerate(LAYERS):
        w, gain = parameters[f"{name}.weight"], parameters[f"{name}.quantize_weight.gain"]
        changes[row, 0] = gain * (weights(w, bits[row, 0]) - weights(w, now[row, 0]))
        x, clip = own.inputs[name].detach().numpy(), float(parameters[f"{name}.quantize_input.clip"][0])
        signed = name == "mix"
        changes[row, 1] = levels(x, bits[row, 1], clips[row], signed) - levels(x, now[row, 1], clip, signed)
    values = {(row, 0): own.quantized_weights[name] for row, name in enumerate(LAYERS)}
    values |= {(row, 1): own.quantized_inputs[name] for row, name in enumerate(LAYERS)}
    rows = []
    for m in log_odds:
        m.backward(retain_graph=True)
        moved = np.zeros((4, 2))
        for place, value in values.items():
            moved[place] = (value.grad.numpy() * changes[place]).sum()
            value.grad = None
        rows.append(moved)
    return shrunk_increase(np.array([float(m.detach()) for m in log_odds]), np.array(rows), bits < now)


def shrunk_increase(log_odds, moved, lowered):
    """The score by its equation; log-odds (N,), by how much each quantizer moves them (N, L, 2)."""
    m = log_odds[:, None, None]
    slope = -moved / (1 + np.exp(m))
    rest = np.log1p(np.exp(-m - moved)) - np.log1p(np.exp(-m)) - slope
    errors = slope.std(0, ddof=1) / len(m) ** 0.5
    signal = np.mean((slope.mean(0)[lowered] / errors[lowered]) ** 2)
    return (rest.mean(0) + max(0, 1 - 1 / signal) * slope.mean(0)) * lowered


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=1e-3 * np.abs(wanted).max())


def test_the_fisher_score_is_that_of_its_equation(mode):
    network = quantized(BITS)
    found = fisher().table(network, Lowering(LOWERED, CLIPS))
    assert found[3, 1] == 0 and (np.delete(found.ravel(), 7) != 0).all()  # 2 bits are the floor
    close(found, reference(network, LOWERED, CLIPS))


def test_small_changes_cost_their_second_order(mode):
    """Straight from the definition of the Fisher information, without a logarithm."""
    network = quantized(np.full((4, 2), 8))
    clips = [float(cell.clip.asnumpy()[0]) for cell in each(network, ACTIVATIONS)]
    scorer = fisher()
    scorer.tapped.follow(network)
    log_odds, seen = scorer.tapped.see(batch(), labels())
    p = 1 / (1 + np.exp(-log_odds.astype(float)))
    for row, name in enumerate(LAYERS):
        x, clip, signed = seen[name].inputs, clips[row], name == "mix"
        change = levels(x, 7, clip, signed) - levels(x, 8, clip, signed)
        moved = (seen[name].input_gradients * change).reshape(16, -1).sum(1)
        rest, slope, _ = _sums(log_odds, moved)
        assert rest == pytest.approx((0.5 * p * (1 - p) * moved**2).sum(), rel=0.05)
        assert slope == pytest.approx((-(1 - p) * moved).sum(), rel=1e-4)


def test_an_image_that_the_network_is_sure_of_counts_once_it_is_moved_far_enough():
    sure, moved = np.array([12.0]), np.array([[-1.0], [-12.0], [-24.0]])
    rest, slope, _ = _sums(sure, moved)
    assert rest + slope == pytest.approx([np.expm1(1) * np.exp(-12), np.log(2), 12], rel=1e-4)


def test_a_mean_slope_counts_where_it_stands_out_of_its_noise():
    """Slopes of 1000 images with standard deviation 1: of no mean, of means as large as their noise, of large ones."""
    rng, lowered = np.random.default_rng(0), np.ones((40, 2), bool)
    for size, low, high in ((0.0, 0.0, 0.4), (1.0, 0.3, 0.7), (30.0, 0.99, 1.0)):
        means = size * rng.choice([-1, 1], (40, 2)) / 1000**0.5
        slopes = rng.normal(means, 1, (1000, 40, 2))
        rest = rng.random((40, 2))
        found = _shrunk(np.array([rest, slopes.mean(0), (slopes**2).mean(0)]), 1000, lowered) - rest
        share = found / slopes.mean(0)
        assert share == pytest.approx(share[0, 0]) and low <= share[0, 0] <= high


@pytest.mark.parametrize("most", [1, 3, 7])
def test_images_in_many_passes_score_as_in_one(most, monkeypatch):
    """16 images in passes of 1, 3 and 7: the last pass is not full."""
    network, lowering = quantized(BITS), Lowering(LOWERED, CLIPS)
    whole = fisher().table(network, lowering)
    values = sum(int(np.prod(tap.input.shape[1:])) for tap in fisher().tapped.taps.values())
    monkeypatch.setattr(taps, "_MOST_VALUES", most * values)
    parts = fisher()
    assert parts.tapped.batch == most
    close(parts.table(network, lowering), whole)


def test_the_look_before_a_step_gives_clips_of_least_error(mode):
    network = quantized(BITS)
    inputs = sample_inputs(network, quant_layers(network), [batch()])
    signs = [False, False, True, False]
    wanted = [best_clip(x, k, signed) for x, k, signed in zip(inputs.values(), LOWERED[:, 1], signs)]
    for scorer in (fisher(), AdamScorer(network, batch(), labels(), 1e-3, None)):
        assert scorer.look(network, LOWERED).clips == pytest.approx(wanted, rel=1e-5)


def test_a_candidate_scores_the_sum_over_the_quantizers_that_it_lowers():
    network, scorer, some = quantized(BITS), fisher(), candidates()
    lowering = scorer.look(network, LOWERED)
    table = scorer.table(network, lowering)
    found = scorer(network, lowering, [*some, BITS, LOWERED])
    assert found == pytest.approx([*(table[one < BITS].sum() for one in some), 0, table.sum()]) and scorer.additive


def test_the_look_follows_the_network(mode):
    """Compiled once; parameters, bits and clips are those of the network at each call."""
    scorer = fisher()
    for bits, clip in ((BITS, None), (np.full((4, 2), 8), 2.0)):
        network = quantized(bits, clip=clip)
        for p in network.trainable_params():
            if p.name == "inner.layer.2.weight":
                p.set_data(Tensor(p.asnumpy() * np.float32(1 + 0.1 * bits[0, 0])))
        found = scorer.table(network, Lowering(LOWERED, CLIPS))
        close(found, reference(network, LOWERED, CLIPS))


def adam_reference(network, lr, clip_norm):
    own = twin(network)
    own.backward(batch(), labels())
    gradients = [p.grad.numpy().ravel() for p in own.parameters.values() if p.requires_grad]
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
        own = quantized(BITS)
        Lowering(LOWERED, CLIPS).apply(own, one)
        wanted.append(adam_reference(own, 1e-3, clip_norm)[0])
    found = scorer(network, Lowering(LOWERED, CLIPS), some)
    assert found == pytest.approx(wanted, rel=1e-3) and not scorer.additive
    assert np.ptp(wanted) > 0.01 * np.mean(wanted)


def test_the_adam_score_in_graph_mode():
    from common.runtime.context import execution_mode

    network, results = quantized(BITS), []
    for mode in ("graph", "pynative"):
        with execution_mode(mode):
            scorer = AdamScorer(network, batch(), labels(), 1e-3, 5.0)
            results.append(scorer(network, Lowering(LOWERED, CLIPS), candidates(3)))
    assert results[0] == pytest.approx(results[1], rel=1e-4)


def test_the_accuracy_score_is_minus_the_accuracy_of_the_candidate_itself():
    source, network, some = images(50), quantized(BITS), candidates(5)
    found = AccuracyScorer(batch(), source, PREPROCESSING, 16)(network, Lowering(LOWERED, CLIPS), some)
    x = Tensor(source.eval_batch(np.arange(50), PREPROCESSING))
    for one, score in zip(some, found):
        own = quantized(BITS)
        Lowering(LOWERED, CLIPS).apply(own, one)
        assert score == -(own(x).asnumpy().argmax(1) == source.labels).mean()
    assert len(set(found)) > 1


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
    found = scorer(network, scorer.look(network, LOWERED), candidates())
    assert found.shape == (6,) and np.isfinite(found).all()
    assert same(before, network_state.state(network)) == []


def test_bits_and_clips_come_back_after_an_error():
    network = quantized(BITS)
    before = network_state.state(network)
    with pytest.raises(RuntimeError, match="out of memory"):
        Failing(batch())(network, Lowering(LOWERED, CLIPS), candidates())
    assert same(before, network_state.state(network)) == []


def test_a_candidate_gets_its_bits_and_new_clips_only_where_inputs_are_lowered():
    network = quantized(BITS)
    before = [float(cell.clip.asnumpy()[0]) for cell in each(network, ACTIVATIONS)]
    one = BITS.copy()
    one[0, 0], one[1], one[2, 1] = 4, LOWERED[1], 2
    Lowering(LOWERED, CLIPS).apply(network, one)
    assert np.array_equal(get_bits(network), one)
    found = [float(cell.clip.asnumpy()[0]) for cell in each(network, ACTIVATIONS)]
    assert found == pytest.approx([before[0], 0.9, 1.7, before[3]])


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
    clips = np.array([cell.clip.asnumpy()[0] for cell in each(network, ACTIVATIONS)])
    moved = np.abs(clips - CLIPS)[:3]
    assert (moved > 1e-4).all() and (moved < 0.05).all()
