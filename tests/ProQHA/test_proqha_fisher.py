"""Fisher scores against PyTorch in float64 and against their definition."""

import numpy as np
import pytest
from mindspore import Tensor
from proqha_scoring import BITS, CLIPS, LOWERED, candidates, fisher, twin
from proqha_tiny import LAYERS, batch, labels, quantized

from ProQHA import probes
from ProQHA.fisher import _shrunk, _sums
from ProQHA.quant import ACTIVATIONS, get_bits, quantizers
from ProQHA.scores import Lowering


def levels(x, bits, clip, signed):
    low = -clip if signed else 0.0
    return np.rint((np.clip(x, low, clip) - low) / (clip - low) * (2**bits - 1)) / (2**bits - 1) * (clip - low) + low


def weights(w, bits):
    t = np.tanh(w)
    return 2 * np.rint((2**bits - 1) * (t / (2 * np.abs(t).max()) + 0.5)) / (2**bits - 1) - 1


def scores_by_equation(network, bits, clips):
    """The score, its movements of log-odds from PyTorch's gradients."""
    reference, now = twin(network), get_bits(network)
    log_odds = reference.log_odds(batch(), labels())
    parameters = {name: value.detach().numpy() for name, value in reference.parameters.items()}
    changes = {}
    for row, name in enumerate(LAYERS):
        w, scale = parameters[f"{name}.weight"], parameters[f"{name}.quantize_weight.scale"]
        changes[row, 0] = scale * (weights(w, bits[row, 0]) - weights(w, now[row, 0]))
        x, clip = reference.inputs[name].detach().numpy(), float(parameters[f"{name}.quantize_input.clip"][0])
        signed = name == "mix"
        changes[row, 1] = levels(x, bits[row, 1], clips[row], signed) - levels(x, now[row, 1], clip, signed)
    values = {(row, 0): reference.quantized_weights[name] for row, name in enumerate(LAYERS)}
    values |= {(row, 1): reference.quantized_inputs[name] for row, name in enumerate(LAYERS)}
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


def close(values, wanted):
    np.testing.assert_allclose(values, wanted, rtol=2e-3, atol=1e-3 * np.abs(wanted).max())


def test_the_fisher_score_is_that_of_its_equation(mode):
    network = quantized(BITS)
    table = fisher().table(network, Lowering(LOWERED, CLIPS))
    assert table[3, 1] == 0 and (np.delete(table.ravel(), 7) != 0).all()  # 2 bits are the floor
    close(table, scores_by_equation(network, LOWERED, CLIPS))


def test_small_changes_cost_their_second_order(mode):
    """Straight from the definition of the Fisher information, without a logarithm."""
    network = quantized(np.full((4, 2), 8))
    clips = [float(cell.clip.asnumpy()[0]) for cell in quantizers(network, ACTIVATIONS)]
    scorer = fisher()
    scorer.probed.copy_from(network)
    log_odds, traces = scorer.probed.trace(batch(), labels())
    p = 1 / (1 + np.exp(-log_odds.astype(float)))
    for row, name in enumerate(LAYERS):
        x, clip, signed = traces[name].inputs, clips[row], name == "mix"
        change = levels(x, 7, clip, signed) - levels(x, 8, clip, signed)
        moved = (traces[name].input_gradients * change).reshape(16, -1).sum(1)
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
        taken = _shrunk(np.array([rest, slopes.mean(0), (slopes**2).mean(0)]), 1000, lowered) - rest
        share = taken / slopes.mean(0)
        assert share == pytest.approx(share[0, 0]) and low <= share[0, 0] <= high


@pytest.mark.parametrize("most", [3, *(pytest.param(most, marks=pytest.mark.slow) for most in (1, 7))])
def test_images_in_many_passes_score_as_in_one(most, monkeypatch):
    """16 images in passes of 1, 3 and 7: the last pass is not full."""
    network, lowering = quantized(BITS), Lowering(LOWERED, CLIPS)
    whole = fisher().table(network, lowering)
    values = sum(int(np.prod(probe.input.shape[1:])) for probe in fisher().probed.probes.values())
    monkeypatch.setattr(probes, "_MOST_VALUES", most * values)
    parts = fisher()
    assert parts.probed.batch == most
    close(parts.table(network, lowering), whole)


def test_a_candidate_scores_the_sum_over_the_quantizers_that_it_lowers():
    network, scorer, some = quantized(BITS), fisher(), candidates()
    lowering = scorer.plan(network, LOWERED)
    table = scorer.table(network, lowering)
    scores = scorer(network, lowering, [*some, BITS, LOWERED])
    assert scores == pytest.approx([*(table[one < BITS].sum() for one in some), 0, table.sum()]) and scorer.additive


def test_the_score_follows_the_network(mode):
    """Compiled once; parameters, bits and clips are those of the network at each call."""
    scorer = fisher()
    for bits, clip in ((BITS, None), (np.full((4, 2), 8), 2.0)):
        network = quantized(bits, clip=clip)
        for p in network.trainable_params():
            if p.name == "inner.layer.2.weight":
                p.set_data(Tensor(p.asnumpy() * np.float32(1 + 0.1 * bits[0, 0])))
        table = scorer.table(network, Lowering(LOWERED, CLIPS))
        close(table, scores_by_equation(network, LOWERED, CLIPS))
