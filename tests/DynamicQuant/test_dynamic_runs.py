"""Runs that were killed and go on."""

import numpy as np
import pytest
from dynamic_tiny import dynamic_network, random_input, trainer
from mindspore import Tensor, ops
from script_runs import KilledError, final, kill_in_step

from common import checkpoint
from common.checkpoint import network_state
from common.runtime.context import execution_mode
from common.training import CrossEntropy
from DynamicQuant import storage
from DynamicQuant.budget import BudgetLoss, candidate_costs
from DynamicQuant.quant_config import QuantConfig

pytestmark = pytest.mark.usefixtures("pynative")


def test_a_killed_and_resumed_run_ends_with_the_same_bits(tmp_path):
    trainer(tmp_path / "straight").run()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        kill_in_step(patch, 6)  # the second of epoch 2
        trainer(tmp_path / "killed").run()
    assert len(final(tmp_path / "killed")[1]) == 1
    trainer(tmp_path / "killed").run()
    (tensors, history), (expected, wanted) = final(tmp_path / "killed"), final(tmp_path / "straight")
    assert sorted(tensors) == sorted(expected)
    for name, value in expected.items():
        assert value.dtype == tensors[name].dtype and np.array_equal(value, tensors[name]), name
    assert history == wanted and [record["noise"] for record in history] == [0.5, 0, 0]
    assert tensors["network/choose.noise.state"][1] == tensors["network/controller.dropout.noise.state"][1] == 12


def test_noise_goes_on_and_does_not_begin_anew(tmp_path):
    """A run of 1 + 1 epochs whose noise is put back to the start differs: the counters are what makes them equal."""
    trainer(tmp_path / "a", epochs=2).run()
    first = trainer(tmp_path / "b", epochs=1)
    first.run()
    for _, cell in first.network.cells_and_names():
        if hasattr(cell, "state"):
            before = cell.state.asnumpy().copy()
            cell.state.set_data(type(cell.state.value())(np.array([before[0], 0], np.int64)))
    second = trainer(tmp_path / "c", epochs=2)
    network_state.restore(second.network, network_state.state(first.network))
    second.history = [{"epoch": 1, "acc": 0.0, "loss": 0.0}]
    second._epoch(1)
    wanted = checkpoint.load(tmp_path / "a" / "last.ckpt").tensors["network/controller.last.weight"]
    assert not np.array_equal(second.network.controller.last.weight.asnumpy(), wanted)


def test_metrics_are_those_of_the_network_to_use(tmp_path):
    """On the validation images after each epoch; on the test images for the best epoch alone."""
    run = trainer(tmp_path, epochs=2)
    history, record = run.run(), run.chosen
    names = {"acc", "bits", "of_static", "entropy", "shift", "samples"}
    assert all({f"validation_{name}" for name in names} <= set(one) for one in history)
    assert sum("test_acc" in one for one in history) == 1
    for word, measure, count in (("validation", run.validate, 8), ("test", run.test, 12)):
        again = {f"{word}_{key}": value for key, value in measure(run.network).result().items()}
        assert (
            again == {k: v for k, v in record.items() if k.startswith(f"{word}_")} and again[f"{word}_samples"] == count
        )


def test_the_penalty_of_a_large_weight_keeps_the_budget_in_training(tmp_path):
    """Without a penalty nothing holds the noisy choices; with one, the shift that is left to do is upwards."""
    shifts = []
    for penalty in (1e-9, 50.0):
        history = trainer(tmp_path / str(penalty), epochs=3, penalty=penalty).run()
        shifts.append(history[-1]["validation_shift"])
    assert shifts[1] < shifts[0]


def gradients_of_steps(mode: str) -> list[list[np.ndarray]]:
    """Gradients of a few training steps, the first images again after others of another size."""
    network = dynamic_network(spread=0.3)
    costs, limit = candidate_costs([network.macs[name] for name in network.dynamic], QuantConfig(3), "bitflops")
    loss, weights = BudgetLoss(network, costs, 0.5 * limit, 1.0, CrossEntropy()), network.trainable_params()
    loss.set_train(True)
    step, gradients = ops.value_and_grad(loss, None, weights, has_aux=True), []
    with execution_mode(mode):
        for seed, scale in ((0, 1.0), (1, 5.0), (0, 1.0), (2, 0.1), (0, 1.0)):
            labels = Tensor((np.arange(12) % 4).astype(np.int32))
            gradients.append([g.asnumpy().copy() for g in step(Tensor(scale * random_input(12, seed)), labels)[1]])
    return gradients


def test_every_step_in_graph_mode_has_the_gradients_of_pynative():
    """MindSpore has operators whose gradient is right in the first step only."""
    for graph, pynative in zip(gradients_of_steps("graph"), gradients_of_steps("pynative"), strict=True):
        for compiled, wanted in zip(graph, pynative, strict=True):
            np.testing.assert_allclose(compiled, wanted, rtol=1e-3, atol=2e-5 * np.abs(wanted).max())


def test_training_leaves_the_widths_and_scales_alone(tmp_path):
    run = trainer(tmp_path, epochs=1)
    run.run()
    fresh = dynamic_network()
    for (name, value), (_, start) in zip(run.network.parameters_and_names(), fresh.parameters_and_names()):
        if name.endswith((".bits", ".scale")):
            np.testing.assert_array_equal(value.asnumpy(), start.asnumpy())
    assert storage.METHOD == "DynamicQuant"
