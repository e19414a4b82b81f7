"""What bits of a layer cost, against networks that are quantized by hand, and plans against all choices."""

import itertools

import numpy as np
import pytest
from mindspore import Tensor

from common.errors import ConfigError
from common.evaluation import sensitivity
from common.evaluation.bit_plan import plan_bits
from common.evaluation.evaluate import score
from common.evaluation.sensitivity import Entry, Sensitivity
from common.quant.calibration import best_clip
from common.quant.dorefa import DoReFaWeight
from common.quant.pact import pact
from common.quant.quantizable import quantizable_layers
from common.runtime.context import execution_mode
from tests import own_networks as own


@pytest.fixture(scope="module")
def found():
    import mindspore as ms

    ms.set_seed(3)
    network, said = own.SameNet(), []
    state = {name: value.asnumpy().copy() for name, value in network.parameters_and_names()}
    images, labels = own.batch(20).asnumpy(), own.pictures(20).labels
    result = sensitivity.measure(network, images, labels, (8, 2), 10, said.append)
    return state, images, labels, result, said


def test_every_quantizer_is_measured_at_every_width(found):
    *_, result, said = found
    keys = {(entry.layer, entry.kind, entry.bits) for entry in result.entries}
    assert len(result.entries) == len(keys) == 6 * 2 * 2
    assert next(iter(result.layers)) == "stem" and list(result.layers)[-1] == "head"
    assert [entry.rise for entry in result.entries] == sorted((entry.rise for entry in result.entries), reverse=True)
    assert len(said) == 1 and said[0].startswith("24 measurements on 20 images each, about")


def fresh(state):
    network = own.SameNet()
    for name, parameter in network.parameters_and_names():
        parameter.set_data(Tensor(state[name]))
    return network.set_train(False)


def test_the_loss_of_weights_is_that_of_a_network_with_them(found):
    state, images, labels, result, _ = found
    network = fresh(state)
    layer = quantizable_layers(network)["body"]
    quantizer = DoReFaWeight(2)
    quantizer.fit(layer.weight.asnumpy(), 2)
    with execution_mode("pynative"):
        before = network(Tensor(images)).asnumpy()
        layer.weight.set_data(quantizer(layer.weight))
        after = network(Tensor(images)).asnumpy()
    entry = next(e for e in result.entries if (e.layer, e.kind, e.bits) == ("body", "weights", 2))
    assert result.loss == pytest.approx(score(before, labels)[2] / 20, rel=1e-5)
    assert entry.loss == pytest.approx(score(after, labels)[2] / 20, rel=1e-5)
    assert entry.rise == entry.loss - result.loss


def test_the_loss_and_the_score_of_inputs_are_those_of_quantized_ones(found):
    state, images, labels, result, _ = found
    network = fresh(state)
    with execution_mode("pynative"):
        seen = []
        handle = network.head.register_forward_pre_hook(lambda cell, x: seen.append(x[0].asnumpy()))
        network(Tensor(images))
        handle.remove()
        inputs = seen[0]
        quantized = pact(inputs, 2, best_clip(inputs, 2))
        logits = network.head(Tensor(quantized.astype(np.float32))).asnumpy()
    entry = next(e for e in result.entries if (e.layer, e.kind, e.bits) == ("head", "inputs", 2))
    assert entry.loss == pytest.approx(score(logits, labels)[2] / 20, rel=1e-4)
    weight = state["head.weight"].astype(np.float64)
    change = ((quantized - inputs) @ weight.T) ** 2
    assert entry.score == pytest.approx(change.sum() / ((inputs @ weight.T) ** 2).sum(), rel=1e-3)


def test_images_that_are_no_whole_batches_are_refused():
    with pytest.raises(ConfigError, match="whole batches of 4"):
        sensitivity.measure(own.SameNet(), np.zeros((6, 3, 16, 16), np.float32), np.zeros(6), batch_size=4)


def invented(layers=3, widths=(4, 3, 2), seed=0):
    rng, entries = np.random.default_rng(seed), []
    sizes = {f"l{i}": (int(rng.integers(8, 100)), int(rng.integers(100, 1000))) for i in range(layers)}
    for name, kind in itertools.product(sizes, sensitivity.KINDS):
        rise = 0.0
        for bits in sorted(widths, reverse=True):
            rise += float(rng.uniform(0.01, 1))
            entries.append(Entry(name, kind, bits, 0.0, 1 + rise, rise, 0.5))
    return Sensitivity(tuple(entries), 1.0, 0.5, 10, sizes)


def cost_of(found, bits, budget):
    sizes = found.layers
    if budget == "bytes":
        return sum(w * sizes[name][0] / 8 for name, (w, _) in bits.items())
    return sum(w * a * sizes[name][1] for name, (w, a) in bits.items())


@pytest.mark.parametrize("budget", ["bytes", "bitops"])
@pytest.mark.parametrize("seed", range(5))
def test_plans_keep_their_budget_and_are_near_the_best_of_all_choices(budget, seed):
    found, widths = invented(seed=seed), (4, 3, 2)
    rises = {(e.layer, e.kind, e.bits): e.rise for e in found.entries}
    names, pairs = list(found.layers), list(itertools.product(widths, widths))
    most = cost_of(found, dict.fromkeys(names, (4, 4)), budget)
    least = cost_of(found, dict.fromkeys(names, (2, 2)), budget)
    for limit in np.linspace(least, most, 6):
        plan = plan_bits(found, budget, limit)
        assert plan.spent == pytest.approx(cost_of(found, plan.bits, budget)) and plan.spent <= limit
        choices = [dict(zip(names, choice)) for choice in itertools.product(pairs, repeat=len(names))]

        def rise(bits):
            return sum(rises[n, "weights", w] + rises[n, "inputs", a] for n, (w, a) in bits.items())

        best = min(rise(bits) for bits in choices if cost_of(found, bits, budget) <= limit)
        assert plan.rise == pytest.approx(rise(plan.bits)) and best <= plan.rise + 1e-9
        worst = rise(dict.fromkeys(names, (2, 2)))
        assert plan.rise - best <= 0.25 * (worst - best) + 1e-9
    assert plan.bits == dict.fromkeys(names, (4, 4))


def test_what_no_bits_can_meet_is_refused():
    with pytest.raises(ConfigError, match="budget: expected at least"):
        plan_bits(invented(), "bytes", 1)
    assert set(plan_bits(invented(), "bytes", 1e6, ("l0",)).bits) == {"l1", "l2"}
