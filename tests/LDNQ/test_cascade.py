import functools
from dataclasses import replace

import numpy as np
import pytest
from ldnq_tiny import tiny_network
from mindspore import nn

from common.checkpoint import network_state
from common.data import CIFAR10
from common.errors import CheckpointError, QuantizationError
from common.quant.conv_geometry import conv_geometry
from common.report import read_rows
from common.runtime.hooks import batch_norm_inputs, reestimate_batch_norm
from LDNQ import layer_report
from LDNQ.calibration_set import CalibrationSet
from LDNQ.cascade import Cascade
from LDNQ.hessian import InputMoment, patches
from LDNQ.layer_turns import LayerTurns
from LDNQ.levels import TABLES
from LDNQ.network import quantized_layers
from LDNQ.observation import input_hessians
from LDNQ.plan import Plan
from LDNQ.quant_config import QuantConfig

TERNARY = QuantConfig(3)
PLAN = Plan(batch_size=8, steps=4, window=2, refine_steps=6, save_every=2, lr=1e-3, refine_lr=1e-3)


DEEP = {"hessians": "float", "steps": 0, "statistics": "shifted", "moment_images": 8}  # as for deep networks
DEEP |= {"searched_scales": True, "shrinkage": 0.2, "refine_by": "adam", "refine_lr": 0.02}


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """Function from a plan to parameters and layer records of an uninterrupted run."""

    @functools.cache
    def run(plan):
        folder = tmp_path_factory.mktemp("whole")
        data = CalibrationSet(images, CIFAR10, 3, 3)
        cascade = Cascade(tiny_network(), data, TERNARY, plan, folder, teacher=tiny_network())
        cascade.run()
        return network_state.state(cascade.network), cascade.state.records

    return run


@pytest.fixture
def make(images, tmp_path):
    """A cascade on the tiny network."""

    def cascade(plan=PLAN, config=TERNARY, folder: str = "run", seed: int = 3, test=None) -> Cascade:
        data, teacher = CalibrationSet(images, CIFAR10, 3, seed), tiny_network()
        return Cascade(tiny_network(), data, config, plan, tmp_path / folder, test, teacher=teacher)

    return cascade


def test_hessians_of_the_float_network_come_from_one_pass_before_the_first_layer(make, monkeypatch):
    cascade, taken = make(replace(PLAN, hessians="float", steps=0, refine_steps=0)), []
    unchanged = tiny_network()
    expected = input_hessians(unchanged, quantized_layers(unchanged, TERNARY), list(cascade.data.passes(1)))
    solve = LayerTurns.solve
    monkeypatch.setattr(LayerTurns, "solve", lambda self, layer, h: (taken.append(h), solve(self, layer, h))[1])
    cascade.run()
    assert len(taken) == len(expected) == 3
    for hessian, wanted in zip(taken, expected.values()):
        np.testing.assert_allclose(hessian, wanted, rtol=1e-5, atol=1e-6)


def test_fewer_images_can_give_the_moments(make):
    few, seen = make(replace(PLAN, **DEEP, refine_steps=0)), []
    monitored = few.data.view
    few.data.view = lambda indices, view: (seen.append(len(indices)), monitored(indices, view))[1]
    few.data.compute_teacher_logits(few.network)
    seen.clear()
    few._hessian("conv1")
    assert sum(seen) == 8 < len(few.data)


def test_shifted_statistics_are_the_float_networks_and_what_quantization_does_to_them(make):
    cascade = make(replace(PLAN, statistics="shifted", statistics_views=2, refine_steps=0))
    unchanged = tiny_network()
    cascade.run()
    before, after = (batch_norm_inputs(network, cascade.data.passes(2)) for network in (unchanged, cascade.network))
    assert after["bn1"][0].any() and list(after) == ["bn1", "bn2"]
    for name, (mean, _) in after.items():
        norm = getattr(cascade.network, name)
        expected = getattr(unchanged, name).moving_mean.asnumpy() + mean - before[name][0]
        np.testing.assert_allclose(norm.moving_mean.asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_refinement_keeps_shifted_statistics(make, mode):
    plan = replace(PLAN, statistics="shifted")
    kept, refined = (make(replace(plan, refine_steps=steps), folder=f"{steps}") for steps in (0, 6))
    for cascade in (kept, refined):
        cascade.run()
    for name in ("bn1", "bn2"):
        statistics = [getattr(cascade.network, name).moving_mean.asnumpy() for cascade in (kept, refined)]
        assert np.array_equal(*statistics)
    assert not np.array_equal(kept.network.bn1.gamma.asnumpy(), refined.network.bn1.gamma.asnumpy())


def test_dropouts_drop_nothing_while_matching(make):
    cascade = make()
    cascade.step.network.drop = nn.Dropout(p=0.5)
    cascade.step.set_train(True)
    assert cascade.network.bn1.training and not cascade.network.drop.training


@pytest.mark.parametrize(("levels", "granularity"), [(3, "channel"), (7, "layer")])
def test_every_layer_ends_on_its_levels(make, levels, granularity, capsys):
    cascade = make(config=QuantConfig(levels, granularity), test=lambda _: 0.5)
    layers = cascade.run()
    assert list(layers) == ["conv1", "conv2", "fc"]
    state = network_state.state(cascade.network)
    for name, layer in layers.items():
        (weight,), bias = layer.weights, layer.bias
        assert np.array_equal(weight.dequantize(), state[f"{name}.weight"]) and weight.levels is TABLES[levels]
        assert (bias is None) == (name == "conv1") and np.all(weight.scale >= 0) and not layer.grids
        if bias is not None:
            assert np.array_equal(bias.dequantize(), state[f"{name}.bias"]) and np.array_equal(bias.scale, weight.scale)
    assert (layers["fc"].weights[0].scale.shape == (1,)) == (granularity == "layer")
    records = cascade.state.records
    assert [record["layer"] for record in records] == list(layers)
    assert all(0 < record["error"] < 1 and record["test_acc"] == 0.5 for record in records)
    assert "[2/3] conv2: output error" in capsys.readouterr().out
    assert {"Hessians", "layer problems", "matching", "refinement", "BatchNorm statistics"} <= set(
        cascade.state.seconds
    )


def test_values_beside_the_levels_are_refused(make):
    cascade = make(replace(PLAN, steps=0, refine_steps=0))
    cascade.run()
    weight = cascade.network.fc.weight
    weight.set_data(weight + 1e-3)
    with pytest.raises(QuantizationError, match=r"fc\.weight: expected values on the levels"):
        cascade.integers()


def test_first_and_last_layer_can_stay_float(make):
    cascade = make(config=QuantConfig(3, first_and_last=False))
    before = network_state.state(cascade.network)
    assert list(cascade.run()) == ["conv2"]
    after = network_state.state(cascade.network)
    assert len(np.unique(after["conv1.weight"])) > 100
    assert not np.array_equal(before["conv1.weight"], after["conv1.weight"])  # trained to match


def test_a_quantized_bias_and_finished_layers_stay_while_batch_norm_trains(make):
    cascade = make(replace(PLAN, refine_steps=0))
    seen = []
    cascade.test = lambda network: seen.append(network_state.state(network)) or 0.0
    cascade.run()
    for name in ("conv1.weight",):
        assert np.array_equal(seen[0][name], seen[2][name])
    for name in ("conv2.weight", "conv2.bias"):
        assert not np.array_equal(seen[0][name], seen[1][name]) and np.array_equal(seen[1][name], seen[2][name])
    for name in ("bn1.gamma", "bn1.beta"):
        assert not np.array_equal(seen[1][name], seen[2][name])


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("saves", "plan"), [(1, PLAN), (4, PLAN), (3, replace(PLAN, **DEEP, feature_weight=2.0))])
def test_a_killed_run_ends_with_the_same_network(make, monkeypatch, saves, plan, whole):
    count, save = [0], Cascade._save

    def killed_save(self):
        save(self)
        count[0] += 1
        if count[0] == saves:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Cascade, "_save", killed_save)
        with pytest.raises(KilledError):
            make(plan, folder="killed").run()
    again = make(plan, folder="killed")
    again.run()
    state = network_state.state(again.network)
    expected, records = whole(plan)
    assert all(np.array_equal(expected[name], state[name]) for name in expected)
    plain = [{key: value for key, value in record.items() if key != "seconds"} for record in records]
    assert [
        {key: value for key, value in record.items() if key != "seconds"} for record in again.state.records
    ] == plain


def test_a_run_of_another_configuration_or_network_is_refused_or_replaced(make):
    make().run()
    for other in (make(config=QuantConfig(5)), make(replace(PLAN, rho=0.1)), make(seed=4)):
        with pytest.raises(CheckpointError, match="another run"):
            other.run()
    assert make(config=QuantConfig(5)).run(go_on=False)


def test_no_step_of_matching_leaves_no_loss(make, capsys):
    cascade = make(replace(PLAN, steps=0, refine_steps=0))
    cascade.run()
    assert all(record["steps"] == 0 and "match_after" not in record for record in cascade.state.records)
    assert "dB), 0 steps, " in capsys.readouterr().out
    layer_report.write(cascade.file.parent, cascade.state.records)
    assert [row["layer"] for row in read_rows(cascade.file.parent / "layers.csv")] == ["conv1", "conv2", "fc"]


def test_stages_end_when_the_loss_stops_falling(make):
    cascade = make(replace(PLAN, steps=40, lr=1e-12, patience=2, refine_steps=0, tolerance=0.5))
    cascade.run()
    assert all(record["steps"] < 40 for record in cascade.state.records)


def test_matching_lowers_the_loss(make):
    cascade = make(replace(PLAN, steps=40, lr=1e-2, patience=99, refine_steps=0))
    cascade.run()
    assert all(record["match_after"] < record["match_before"] for record in cascade.state.records[:1])


def test_input_hessian_is_that_of_the_layers_own_inputs(images):
    network = tiny_network()
    data = CalibrationSet(images, CIFAR10, 1, 0)
    batches = list(data.passes(1, 6))
    hessian = input_hessians(network, {"conv1": network.conv1}, batches)["conv1"]
    columns = patches(np.concatenate(batches), conv_geometry(network.conv1))[0].astype(np.float64)
    np.testing.assert_allclose(hessian[0], columns @ columns.T / columns.shape[1], rtol=1e-4, atol=1e-4)
    both = input_hessians(network, {"conv2": network.conv2, "fc": network.fc}, batches)
    assert both["conv2"].shape == (2, 37, 37)
    assert both["fc"][0, -1, -1] == pytest.approx(1)
    assert not network.bn1.moving_mean.asnumpy().any()  # left alone
    assert isinstance(InputMoment(conv_geometry(network.fc)), InputMoment)


def test_batch_norm_statistics_are_exact(images):
    network = tiny_network()
    data = CalibrationSet(images, CIFAR10, 2, 0)
    reestimate_batch_norm(network, data.passes(2, 5))
    inputs = np.concatenate(list(data.passes(2, 5)))
    columns = patches(inputs, conv_geometry(network.conv1))[0]
    output = network.conv1.weight.asnumpy().reshape(8, -1) @ columns
    np.testing.assert_allclose(network.bn1.moving_mean.asnumpy(), output.mean(1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(network.bn1.moving_variance.asnumpy(), output.var(1), rtol=1e-3)
