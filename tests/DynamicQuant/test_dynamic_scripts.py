"""The scripts as a user calls them."""

import json

import numpy as np
import pytest
from PIL import Image
from script_runs import history, run

from common import checkpoint
from DynamicQuant import eval as evaluation
from DynamicQuant import storage, train


@pytest.mark.parametrize(
    ("name", "label"), [("static3", "DoReFa 3 bits"), ("dynamic3", "PACT dynamic 2/3/4 bits"), ("float", "float")]
)
def test_a_file_has_the_accuracy_of_the_end_of_its_training(runs, data, tmp_path, name, label):
    folder, lines = runs[name]
    last, out = history(folder)[-1], tmp_path / "out.json"
    assert f"test accuracy {last['test_acc']:.4f} on 16 images" in lines[-1]
    printed = run(evaluation, *data, "--checkpoint_path", folder / f"{name}.ckpt", "--json", out)
    record = json.loads(out.read_text())
    assert printed[0].startswith(f"TinyDynamic, {label}")
    assert (record["acc"], record["loss"], record["samples"]) == (last["test_acc"], last["test_loss"], 16)
    assert printed[-1].startswith(f"result: {{'acc': {last['test_acc']:.4f}, ") and printed[-1].endswith(f"{name}.ckpt")
    assert (record["method"], record["network"], record["bits"]) == ("DynamicQuant", "TinyDynamic", label)
    assert record["cost"]["model_bytes"] == (folder / f"{name}.ckpt").stat().st_size
    assert {"seconds", "images_per_second", "seed", "versions", "config"} <= set(record)
    if name == "dynamic3":
        assert record["choices"]["share_of_static"] == pytest.approx(last["test_of_static"])
        assert record["choices"]["bits"]["mean"] == pytest.approx(last["test_bits"])
        assert len(record["choices"]["layers"]) == 4
    else:
        assert "choices" not in record


def test_costs_of_static_and_dynamic_files(runs, data, tmp_path):
    costs = {}
    for name in ("static3", "dynamic3"):
        words = [*data, "--checkpoint_path", runs[name][0] / f"{name}.ckpt", "--json", tmp_path / "out.json"]
        run(evaluation, *words)
        costs[name] = json.loads((tmp_path / "out.json").read_text())
    macs = storage.load(runs["dynamic3"][0] / "dynamic3.ckpt", "").network.macs
    ends = 1024 * (4 * 27 * 32 * 32 + 8 * 10)  # first and last layer at 32 x 32 bits
    static = costs["static3"]["cost"]["bit_operations"]
    assert static == 9 * sum(macs.values()) + ends
    dynamic, choices = costs["dynamic3"]["cost"]["bit_operations"], costs["dynamic3"]["choices"]
    assert choices["static_bit_operations"] == 9 * sum(macs.values())
    assert dynamic == pytest.approx(choices["bit_operations"]["mean"] + ends)


def test_a_network_in_training_is_evaluated_too(runs, data):
    for name in ("static3", "dynamic3", "float"):
        lines = run(evaluation, *data, "--checkpoint_path", runs[name][0] / "final.ckpt")
        assert "'samples': 16" in lines[-1]


def test_batches_of_any_size_give_the_same_result(runs, data, tmp_path):
    results = []
    for size in (1, 7, 16):
        words = [*data, "--batch_size", size, "--checkpoint_path", runs["dynamic3"][0] / "dynamic3.ckpt"]
        run(evaluation, *words, "--json", tmp_path / "out.json")
        record = json.loads((tmp_path / "out.json").read_text())
        results.append((record["acc"], record["choices"]))
        assert record["loss"] == pytest.approx(2.3, abs=1)
    assert results[0] == results[1] == results[2]


def test_smoothing_is_that_of_the_loss(runs, data, tmp_path):
    losses = []
    for smoothing in (0, 0.1, 0.2):
        words = ["--smoothing", smoothing, "--checkpoint_path", runs["dynamic3"][0] / "dynamic3.ckpt"]
        run(evaluation, *data, *words, "--json", tmp_path / "out.json")
        losses.append(json.loads((tmp_path / "out.json").read_text())["loss"])
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0]) and losses[1] != losses[0]


def test_pictures_are_written_on_demand(runs, data, tmp_path):
    words = [*data, "--checkpoint_path", runs["dynamic3"][0] / "dynamic3.ckpt", "--output_dir", tmp_path / "new"]
    run(evaluation, *words)
    assert not (tmp_path / "new").exists()
    run(evaluation, *words, "--plots")
    for name in ("bits.png", "examples.png"):
        assert Image.open(tmp_path / "new" / name).format == "PNG"


def test_a_finished_command_given_again_changes_nothing(training, tmp_path):
    lines = run(train, *training)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert {"run.ckpt", "final.ckpt", "last.ckpt", "metrics.jsonl", "config.yaml"} <= set(before)
    assert run(train, *training) == lines
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_the_saved_configuration_repeats_a_run(training, tmp_path):
    run(train, *training)
    run(train, "--config", tmp_path / "run" / "config.yaml", "--output_dir", tmp_path / "again")
    files = [tmp_path / "run" / "run.ckpt", tmp_path / "again" / "run" / "run.ckpt"]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("start", ["static3", "dynamic3"])
def test_runs_start_from_quantized_networks(runs, training, start):
    place = training.index("--pretrained")
    words = [*training[:place], "--init_from", runs[start][0] / "final.ckpt", "--quantizer", "pact"]
    assert "dynamic, " in run(train, *words)[-1]


def test_a_subset_is_the_same_for_all_seeds(training, tmp_path):
    results = []
    for seed in (1, 2):
        run(train, *training, "--train_samples", 16, "--seed", seed, "--output_dir", tmp_path / str(seed))
        results.append(checkpoint.load(tmp_path / str(seed) / "run" / "last.ckpt").metadata["run"]["data"])
    assert results[0] == results[1] and results[0]["images"] == 16


@pytest.mark.parametrize("words", [["--budget", "mean-bits"], ["--activation_clip", "2.5"], ["--quantizer", "pact"]])
def test_other_budgets_clips_and_quantizers(training, tmp_path, words):
    assert "dynamic, " in run(train, *training, *words)[-1]
    loaded = storage.load(tmp_path / "run" / "run.ckpt", "").network
    if "--activation_clip" in words:
        np.testing.assert_array_equal(loaded.layer2[0].conv1.clip.asnumpy(), np.float32(2.5))
