"""The allocation inside a training: sensitivities against PyTorch, bits, scales."""

import numpy as np
import pytest
from dambq_tiny import (
    COSTS,
    FAST,
    KINDS,
    LAYERS,
    PREPROCESSING,
    Plain,
    UserNet,
    gathered,
    images,
    seeded,
    set_bits,
    trainer,
    watched,
)
from mindspore import Tensor

from common.errors import ConfigError
from DAMBQ.allocation import Allocator
from DAMBQ.budget import Budget, lower
from DAMBQ.convert import quantize_network
from DAMBQ.quant import EightBitWeight
from DAMBQ.tables import TABLES


def torch_changes(torch, network, x: np.ndarray, labels: np.ndarray) -> dict[str, list[np.ndarray]]:
    """sum (v - v_q) dL/dv_q of the channels of each inner layer of a Plain with 4 bits, for one batch."""

    def eight_bits(layer):
        return torch.tensor(EightBitWeight.to_int(layer.weight.asnumpy()).dequantize())

    def quantized(h, steps):
        inside = h.clamp(0, 1.5)
        return inside + ((inside / 1.5 * steps).round() * 1.5 / steps - inside).detach()

    conv, pairs = torch.nn.functional.conv2d, {kind: [] for kind in KINDS}
    h = conv(torch.tensor(x), eight_bits(network.stem), None, 2, 1).relu().requires_grad_()
    for layer in network.convs:
        weight = layer.weight.asnumpy()
        scale = 5.66 * np.abs(weight).reshape(len(weight), -1).mean(1).reshape(-1, 1, 1, 1)
        levels = TABLES["v2"].levels(4)
        nearest = levels[np.abs(weight[..., None] / scale[..., None] - levels).argmin(-1)] * scale
        weight_q = torch.tensor(nearest.astype(np.float32), requires_grad=True)
        h_q = quantized(h, 15)
        h_q.retain_grad()
        pairs["weights"].append((torch.tensor(weight), weight_q))
        pairs["activations"].append((h, h_q))
        h = conv(h_q, weight_q, None, 1, 1).relu()
    last = quantized(h.mean((2, 3)), 255)
    logits = last @ eight_bits(network.last).T + torch.tensor(network.last.bias.asnumpy())
    torch.nn.functional.cross_entropy(logits, torch.tensor(labels).long()).backward()
    axes = {"weights": (1, 2, 3), "activations": (0, 2, 3)}
    return {
        kind: [((v - v_q) * v_q.grad).sum(axes[kind]).detach().numpy() for v, v_q in both]
        for kind, both in pairs.items()
    }


@pytest.mark.parametrize("granularity", ["channel", "layer"])
def test_sensitivities_are_sums_over_the_batches_of_absolute_changes(tmp_path, mode, granularity):
    torch = pytest.importorskip("torch")
    budget = Budget(4, 4, granularity)
    run = trainer(tmp_path, budget, rate=1e-20, epochs=1, augment=False)  # the weights stay as they are
    (record,) = watched(run)
    order, source = np.random.default_rng((5, 0)).permutation(24), images()
    expected = dict.fromkeys(KINDS, 0.0)
    for chosen in order.reshape(4, 6):
        x = PREPROCESSING.normalize(source.images[chosen])
        for kind, layers in torch_changes(torch, run.network, x, source.labels[chosen]).items():
            if granularity == "layer":
                layers = [np.full(len(change), change.sum()) for change in layers]
            expected[kind] = expected[kind] + np.abs(np.concatenate(layers))
    for kind in KINDS:
        sums = record["before"][kind, "sensitivity"]
        np.testing.assert_allclose(sums, expected[kind], rtol=2e-3, atol=2e-3 * expected[kind].max())
        assert sums.min() > 0 and not record["after"][kind, "sensitivity"].any()
        assert not gathered(run.network, kind, "probe").any()


def test_each_allocation_lowers_the_least_sensitive_and_sets_their_scales_anew(tmp_path, quickly):
    budget = Budget(2, 2.5, shares=(0.2, 0.6), duration=(1, 3))
    run = trainer(tmp_path, budget, epochs=8)  # enough to reach it: nothing is taken beyond the shares
    records = watched(run)
    for epoch, record in enumerate(records[:4]):
        before, after = record["before"], record["after"]
        for kind in KINDS:
            cost, bits = np.array(COSTS[kind], float), before[kind, "bits"]
            expected = bits
            if epoch >= 1:
                share = 0.2 + 0.2 * (epoch - 1)
                expected = lower(bits, before[kind, "sensitivity"] / cost, cost, getattr(budget, kind), share)
                assert (expected < bits).any()
            np.testing.assert_array_equal(after[kind, "bits"], expected)
            assert before[kind, "sensitivity"].all() and not after[kind, "sensitivity"].any()
            assert record[f"{kind}_bits"] == pytest.approx(np.average(expected, weights=cost))
        changed = after["weights", "bits"] != before["weights", "bits"]
        np.testing.assert_array_equal(after["scale"][~changed], before["scale"][~changed])
        fresh = TABLES["v2"].clips[after["weights", "bits"]] * after["mean"]
        np.testing.assert_allclose(after["scale"][changed], fresh[changed], rtol=1e-6)
    assert changed.any() and not changed.all()
    assert np.abs(before["scale"] / (TABLES["v2"].clips[before["weights", "bits"]] * before["mean"]) - 1).max() > 1e-4


@pytest.mark.parametrize(
    ("granularity", "weights", "activations"), [("channel", "listed.0", "body.1"), ("layer", "listed.0", "body.1")]
)
def test_groups_are_ranked_by_the_change_of_the_loss_for_each_of_their_values(granularity, weights, activations):
    """Of groups with equal sums those with the most values lose bits."""
    network = quantize_network(seeded(UserNet()))
    allocator = Allocator(network, Budget(3.99, 3.99, granularity, (0.01, 0.01), (0, 0)), 8, 1)
    for sums in allocator.add.sums:
        sums.set_data(Tensor(np.ones(sums.shape, np.float32)))
    report = allocator.after_epoch(0)
    for kind, name in (("weights", weights), ("activations", activations)):
        lowered = [layer for layer, bits in report[f"{kind}_bits_of_layers"].items() if bits < 4]
        assert lowered == [name]


@pytest.mark.parametrize("granularity", ["channel", "layer"])
def test_allocations_by_layer_keep_the_channels_of_a_layer_together(tmp_path, quickly, granularity):
    run = trainer(tmp_path, Budget(3.7, 3.7, granularity, (0.3, 0.3), (0, 0)), epochs=1)
    (record,) = watched(run)
    for kind in KINDS:
        layers = np.split(record["after"][kind, "bits"], np.cumsum(LAYERS[kind])[:-1])
        assert (granularity == "layer") == all(len(set(part)) == 1 for part in layers)
        if granularity == "layer":
            sums = [part[0] for part in np.split(record["before"][kind, "sensitivity"], np.cumsum(LAYERS[kind])[:-1])]
            sizes = [sum(part) for part in np.split(np.array(COSTS[kind]), np.cumsum(LAYERS[kind])[:-1])]
            least = int(np.argmin(np.array(sums) / sizes))
            assert [part[0] for part in layers] == [3 if i == least else 4 for i in range(2)]


def test_one_width_for_the_whole_network_is_the_next_below_the_target(tmp_path, quickly):
    run = trainer(tmp_path, Budget(2.5, 3, "network", **FAST), epochs=4)
    records = watched(run)
    assert [set(record["after"]["weights", "bits"]) for record in records] == [{3}, {2}, {2}, {2}]
    assert [set(record["after"]["activations", "bits"]) for record in records] == [{3}] * 4
    assert [record["weights_bits"] for record in records] == [3, 2, 2, 2]


@pytest.mark.parametrize("granularity", ["layer", "network"])
def test_a_coarser_allocation_refuses_a_network_allocated_by_channel(granularity):
    network = quantize_network(seeded(Plain((6, 8, 5))))
    set_bits(network, seed=3)
    with pytest.raises(ConfigError, match="channels of different bits"):
        Allocator(network, Budget(2, 2, granularity, duration=(5, 5)), 8, 9)


def test_a_budget_of_no_bits_prunes_everything_but_the_ends(tmp_path, quickly):
    records = watched(trainer(tmp_path, Budget(0, 0, **FAST), epochs=4))
    assert records[-1]["weights_bits"] == records[-1]["activations_bits"] == 0
    assert [record["weights_bits"] for record in records] == [3, 2, 1, 0]
