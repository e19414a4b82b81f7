"""Searches: what they leave, targets, scores, starts, and what is refused."""

import csv
import itertools

import numpy as np
import pytest
from PIL import Image
from proqha_tiny import LAYERS, records, state, tiny
from script_runs import refused, run, same

from common.cli.training import Images
from common.data import Preprocessing, open_dataset
from common.runtime.hooks import moving_statistics, set_moving_statistics
from ProQHA import search, storage, train
from ProQHA.cost_model import cost_model
from ProQHA.quant import ACTIVATIONS, get_bits, quantizers
from ProQHA.start import bias_correction

FILES = {"run.ckpt", "search.ckpt", "search_log.csv", "config.yaml"}
UNTRAINED = ["--search_epochs", 0, "--step", 40]


def test_a_search_leaves_its_log_its_pictures_and_a_network(searching, tmp_path):
    lines = run(search, *searching, "--step", 2)
    folder, (_, metadata) = tmp_path / "run", state(tmp_path / "run" / "search.ckpt")
    assert {path.name for path in folder.iterdir()} == FILES | {"bits.png", "accuracy.png"}
    for name in ("bits.png", "accuracy.png"):
        assert Image.open(folder / name).format == "PNG"
    steps, last = metadata["search"]["records"], metadata["search"]["records"][-1]
    assert [record["step"] for record in steps] == [0, 1, 2] and np.array(steps[0]["bits"]).tolist() == [[8, 8]] * 4
    sizes = cost_model(tiny(), 32)
    for before, after in itertools.pairwise(steps):
        low, high = np.array(after["bits"]), np.array(before["bits"])
        assert ((low == high) | (low == high - 1)).all() and (low < high).sum() == 4  # half of eight
        assert np.isfinite(after["score"]) and after["score"] != 0 and 0 <= after["acc"] <= 1
    for record in steps:
        wanted = sizes.summary(np.array(record["bits"]))
        assert {key: record[key] for key in wanted} == pytest.approx(wanted)
    with (folder / "search_log.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, record in zip(rows, steps, strict=True):
        assert row["weight_bits"] == " ".join(str(w) for w, _ in record["bits"])
        assert row["activation_bits"] == " ".join(str(a) for _, a in record["bits"])
        numbers = ("step", "cost", "compute_cost", "average_weight_bits", "average_activation_bits")
        assert {key: float(row[key]) for key in numbers} == pytest.approx(
            {key: record[key] for key in numbers}, rel=1e-5
        )
    assert (rows[0]["score"], rows[0]["acc"]) == ("", "")
    assert [row["test_acc"] for row in rows] == ["", "", f"{last['test_acc']:.6g}"]  # the end alone is tested
    assert not any(row["validation_acc"] for row in rows)
    label = f"W{last['average_weight_bits']:.3f} A{last['average_activation_bits']:.3f}"
    size = (folder / "run.ckpt").stat().st_size
    costs = f"cost {last['cost']:.4f}, compute cost {last['compute_cost']:.6f}"
    accuracy = f"test accuracy {last['test_acc']:.4f} on 16 images, last step"
    assert lines[-1] == f"{folder / 'run.ckpt'}: {label}, {costs} after 2 steps, {accuracy}, {size} bytes"
    assert get_bits(storage.load(folder / "run.ckpt", "Tiny").network).tolist() == last["bits"]


@pytest.mark.parametrize(
    "words",
    [
        ["--lam", "0"],
        ["--lam", "5"],
        pytest.param(["--score", "adam"], marks=pytest.mark.training),
        ["--score", "acc", "--held_out", "12"],
        ["--lam", "0", "--floor", "3", "--interval", "2", "--ratio", "0.3"],
        ["--lam", "0", "--compute_cost", "0.015625"],
    ],
    ids=" ".join,
)
def test_a_search_ends_at_its_cost(searching, tmp_path, quickly, words):
    lines = run(search, *searching, *UNTRAINED, "--cost", 0.125, *words)
    steps = records(tmp_path / "run")
    floor = 3 if "--floor" in words else 2
    for before, after in itertools.pairwise(steps):
        low, high = np.array(after["bits"]), np.array(before["bits"])
        assert (low <= high).all() and (low < high).any() and low.min() >= floor
        assert after["cost"] <= before["cost"] and after["compute_cost"] < before["compute_cost"]
        assert "acc" not in after and np.isfinite(after["score"])
    assert steps[-1]["cost"] <= 0.125 and f"after {len(steps) - 1} steps" in lines[-1]
    if "--compute_cost" in words:
        assert steps[-1]["compute_cost"] <= 0.015625
    else:
        assert steps[-2]["cost"] > 0.125


def test_without_training_only_bits_and_clips_change(searching, tiny_float, tmp_path, quickly):
    run(search, *searching, *UNTRAINED, "--cost", 0.2, "--lam", 0)
    tensors, metadata = state(tmp_path / "run" / "search.ckpt")
    floats, _ = state(tiny_float / "final.ckpt")
    assert same(floats, {name: tensors[name] for name in floats}) == []
    bits = np.array(metadata["search"]["records"][-1]["bits"])
    for name, (weights, inputs) in zip(LAYERS, bits):
        assert tensors[f"{name}.quantize_weight.bits"].tolist() == [weights]
        assert tensors[f"{name}.quantize_input.bits"].tolist() == [inputs]


def test_statistics_follow_the_bits_that_a_search_ends_with(searching, tiny_float, small_cifar, tmp_path, quickly):
    """As the float network's, corrected once for these bits and clips; also where the search stopped and went on."""
    words = [*searching, "--search_epochs", 0, "--lam", 0, "--bias_correction", 24]
    for steps in (1, 2):
        run(search, *words, "--step", steps)
    saved, floats = storage.load_latent(tmp_path / "run" / "search.ckpt", "Tiny"), state(tiny_float / "final.ckpt")[0]
    network, found = saved.network, moving_statistics(saved.network)
    unmoved = {name: [floats[f"{name}.moving_{moment}"] for moment in ("mean", "variance")] for name in found}
    set_moving_statistics(network, unmoved)
    preprocessing = Preprocessing.from_dict(saved.metadata["preprocessing"])
    images = Images(open_dataset("cifar10", small_cifar, "train"), None, preprocessing)
    bias_correction(network, images, 24, seed=1)()
    for name, expected in moving_statistics(network).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(found["norm"][0], unmoved["norm"][0], rtol=1e-3)


def test_lowered_inputs_keep_training_their_clips(searching, tmp_path, quickly):
    """In PYNATIVE mode too, where an optimizer that has run once holds on to values."""
    words = [*searching, "--lam", 0, "--ratio", 1, "--step", 2]
    run(search, *words)
    trained = [cell.clip.asnumpy()[0] for cell in quantizers(loaded(tmp_path / "run"), ACTIVATIONS)]
    assert len(set(trained)) == 4
    run(search, *words, "--search_epochs", 0, "--run_name", "other")
    states = [state(tmp_path / name / "search.ckpt")[0] for name in ("run", "other")]
    changed = same(*states)
    assert all(f"{name}.quantize_input.clip" in changed for name in LAYERS)


def loaded(folder):
    return storage.load_latent(folder / "search.ckpt", "Tiny").network


def test_the_state_of_a_search_is_the_start_of_training_and_of_another_search(searching, tmp_path, quickly):
    run(search, *searching, "--lam", 0, "--cost", 0.2, "--step", 40, "--search_epochs", 0)
    start, bits = tmp_path / "run" / "search.ckpt", np.array(records(tmp_path / "run")[-1]["bits"])
    words = [*searching[: searching.index("--resume")], "--resume", start, "--lr", 0.01]
    run(train, *words, "--archtype", "quant", "--epochs", 1, "--run_name", "more")
    stored = storage.load(tmp_path / "more" / "more.ckpt", "Tiny")
    assert stored.kind == "packed" and np.array_equal(get_bits(stored.network), bits)
    run(search, *words, "--lam", 0, "--step", 1, "--search_epochs", 0, "--score_images", 16, "--run_name", "lower")
    steps = records(tmp_path / "lower")
    assert steps[0]["bits"] == bits.tolist() and (np.array(steps[1]["bits"]) < bits).any()


def test_seeds_draw_differently_and_one_seed_the_same(searching, tmp_path, quickly):
    bits = []
    for index, seed in enumerate((1, 2, 1)):
        run(search, *searching, "--lam", 1, "--search_epochs", 0, "--seed", seed, "--run_name", f"run{index}")
        bits.append([record["bits"] for record in records(tmp_path / f"run{index}")])
    assert bits[0] == bits[2] != bits[1]


def test_a_target_out_of_reach_is_said(searching, tmp_path, quickly):
    lines = run(search, *searching, "--step", 1, "--search_epochs", 0, "--cost", 0.1, "--compute_cost", 0.02)
    assert [line.split(":")[0] for line in lines[-2:]] == ["warning", "warning"]
    assert lines[-2].startswith("warning: cost ended at 0.") and "above 0.1: allow more --step" in lines[-2]
    assert lines[-1].startswith("warning: compute_cost ended at 0.")
    assert (tmp_path / "run" / "run.ckpt").exists()


def test_targets_that_are_met_from_the_start_end_the_search_at_once(searching, tmp_path, quickly):
    lines = run(search, *searching, "--bits", 4, "--cost", 0.2)
    assert "after 0 steps" in lines[-1] and len(records(tmp_path / "run")) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--cost", 0.05], "cost: expected 0.0625"),
        (["--cost", 0.25], "cost: expected 0.0625"),
        (["--cost", 0.08, "--floor", 3], "cost: expected 0.09375"),
        (["--compute_cost", 0.001], "compute_cost: expected 0.00390625"),
        (["--lam", 0, "--score", "adam"], "lam: 0, the exact minimiser, needs a score that adds up"),
        (["--lam", -1], "lam"),
        (["--bias_correction", 8, "--search_epochs", 1], "bias_correction: expected --search_epochs 0, found 1"),
        (["--score", "acc", "--held_out", 32], "held_out: expected less than the 32 training images, found 32"),
        (["--score", "hession"], "score"),
        (["--arch", "alexnet"], "arch: expected one of"),
        (["--arch", "resnet20"], "expected preact_resnet20, found Tiny; give --arch tiny"),
        (["--num_layers", 20, "--arch", "resnet32"], "resnet32 has 32 layers, found --num_layers 20"),
        (["--resume", "absent.ckpt"], "absent.ckpt"),
        (["--train_batch_size", 33], "do not fill a batch"),
        (["--train_samples", 40], "40"),
        (["--floor", 9], "floor"),
        (["--activation_clip", "large"], "activation_clip: expected calibrate or a number over 0, found large"),
        (["--data_dir", "nowhere"], "nowhere"),
    ],
)
def test_bad_options_are_refused_in_one_line(capsys, searching, tmp_path, quickly, words, expected):
    assert expected in refused(capsys, search, *searching, *words)
    assert not (tmp_path / "run" / "search.ckpt").exists()


def test_files_that_are_no_start_are_refused_in_one_line(capsys, searching, tiny_float, tmp_path, quickly):
    run(search, *searching, "--step", 1, "--search_epochs", 0)
    words = [*searching, "--run_name", "other"]
    line = refused(capsys, search, *words, "--resume", tmp_path / "run" / "run.ckpt")
    assert "found a packed one; give final.ckpt or search.ckpt of the run that made it" in line
    line = refused(capsys, search, *words, "--resume", tiny_float / "last.ckpt")
    assert "the state of a training run" in line
    without = [*searching[: searching.index("--resume")]]
    assert "no float Tiny is shipped for cifar10; give --pretrained FILE" in refused(capsys, search, *without)
