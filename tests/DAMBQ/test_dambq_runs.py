"""Runs with an allocation: killed and resumed, and which network becomes the best."""

import json

import numpy as np
import pytest
from dambq_tiny import COSTS, FAST, KINDS, Plain, gathered, quantizers, trainer
from script_runs import KilledError, final, kill_in_step

from common import checkpoint
from common.checkpoint import network_state
from common.training import selection_rule
from DAMBQ.budget import Budget
from DAMBQ.convert import quantize_network


@pytest.mark.parametrize("granularity", ["channel", "layer"])
def test_a_killed_and_resumed_run_ends_with_the_same_parameters_bits_and_sums(tmp_path, quickly, granularity):
    target = {"channel": 3.1, "layer": 2.6}[granularity]  # the least that the shares of three epochs reach
    budget = Budget(target, target, granularity, (0.3, 0.3), (0, 0))
    trainer(tmp_path / "straight", budget, epochs=3).run()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        kill_in_step(patch, 6)  # the second of epoch 2
        trainer(tmp_path / "killed", budget, epochs=3).run()
    assert len(final(tmp_path / "killed")[1]) == 1
    trainer(tmp_path / "killed", budget, epochs=3).run()
    (tensors, history), (expected, wanted) = final(tmp_path / "killed"), final(tmp_path / "straight")
    assert sorted(tensors) == sorted(expected)
    assert any(name.endswith("quantize_weight.bits") for name in tensors)
    for name, value in expected.items():
        assert value.dtype == tensors[name].dtype and np.array_equal(value, tensors[name]), name
    assert history == wanted and history[0]["weights_bits"] > history[-1]["weights_bits"] <= target


def test_probes_and_bits_are_not_trained(tmp_path, quickly):
    run = trainer(tmp_path, Budget(4, 4), epochs=1, weight_decay=0.1)
    run.run()
    names = {parameter.name for parameter in run.step.optimizer.parameters}
    assert not any(part in name for name in names for part in ("probe", "bits", "scale", "sensitivity"))
    for kind in KINDS:
        assert not gathered(run.network, kind, "probe").any() and set(gathered(run.network, kind, "bits")) == {4}
    clips = [float(cell.clip.asnumpy()[0]) for cell in quantizers(run.network, "activations")]
    assert all(clip != 1.5 for clip in clips)  # these are


class Result:
    """Metrics of a given accuracy."""

    def __init__(self, accuracy):
        self.accuracy = accuracy

    def result(self):
        return {"acc": self.accuracy, "samples": 8}


def test_only_epochs_that_meet_the_budget_become_the_best(tmp_path, quickly):
    results = list(map(Result, (0.9, 0.2, 0.7, 0.5)))
    run = trainer(tmp_path, Budget(2, 3, **FAST), epochs=4, validate=lambda _: results.pop(0))
    run.run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["finished"] for line in lines] == [False, True, True, True]
    for file in (run.files.best, run.files.final):
        (record,) = checkpoint.load(file).metadata["history"]
        assert record["epoch"] == run.chosen["epoch"] == 3 and record["finished"]
    assert selection_rule(run.history) == "best of 3 epochs on 8 validation images"


def test_the_averages_of_a_run_are_those_of_the_loaded_network(tmp_path, quickly):
    run = trainer(tmp_path, Budget(2.2, 3.1, shares=(0.5, 0.5), duration=(0, 0)), epochs=4)
    history = run.run()
    network = quantize_network(Plain((6, 8, 5)))
    network_state.restore(network, checkpoint.load(run.files.final).tensors)
    for kind, target in (("weights", 2.2), ("activations", 3.1)):
        average = np.average(gathered(network, kind, "bits"), weights=COSTS[kind])
        assert average == pytest.approx(history[-1][f"{kind}_bits"]) and average <= target
