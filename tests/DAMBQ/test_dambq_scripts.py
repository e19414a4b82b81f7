"""The scripts as a user calls them."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from script_runs import history, refused, run

from common import checkpoint
from DAMBQ import eval as evaluation
from DAMBQ import storage, train
from DAMBQ.convert import multi_bit_layers


def test_the_documented_steps_go_from_float_over_four_to_two_bits(documented):
    for name, label, bits in (("w4a4", "W4.000 A4.000", 4), ("w2a2", "W2.000 A2.000", 2)):
        folder, lines = documented[name]
        last = history(folder)[-1]
        assert lines[-1].startswith(f"{folder / name}.ckpt: {label}, test accuracy {last['test_acc']:.4f} on 16 images")
        assert (last["weights_bits"], last["activations_bits"], last["finished"]) == (bits, bits, True)
        stored = storage.load(folder / f"{name}.ckpt")
        for layer in multi_bit_layers(stored.network).values():
            assert set(layer.quantize_weight.bits.asnumpy()) == set(layer.quantize_input.bits.asnumpy()) == {bits}
        assert stored.metadata["training"]["epochs"] == len(history(folder)) and stored.metadata["dataset"] == "cifar10"
        assert Image.open(folder / "bits.png").format == "PNG"
        assert storage.load_latent(folder / "final.ckpt", "resnet20").kind == "latent"
    assert [record["weights_bits"] for record in history(documented["w2a2"][0])] == [3, 2]
    folder, lines = documented["float"]
    accuracy = history(folder)[-1]["test_acc"]
    size = (folder / "float.ckpt").stat().st_size
    figure = f"test accuracy {accuracy:.4f} on 16 images, last epoch"
    assert lines[-1] == f"{folder / 'float.ckpt'}: float, {figure}, {size} bytes"
    sizes = [(documented[name][0] / f"{name}.ckpt").stat().st_size for name in ("float", "w4a4", "w2a2")]
    assert sizes[0] > 6 * sizes[1] > 10 * sizes[2]


def test_the_file_to_use_has_the_accuracy_of_the_end_of_training(documented, data, tmp_path):
    folder, _ = documented["w2a2"]
    words = [*data, "--checkpoint_path", folder / "w2a2.ckpt", "--json", tmp_path / "out.json"]
    lines = run(evaluation, *words)
    last, record = history(folder)[-1], json.loads((tmp_path / "out.json").read_text())
    assert lines[0] == "resnet20, W2.000 A2.000, first and last layer 8 bits, last epoch"
    assert record["training"] == {"epochs": 2, "seed": 1, "selection": "last epoch"}
    expected = {name: last[f"test_{name}"] for name in ("acc", "top_5_acc", "samples")}
    assert {name: record[name] for name in expected} == expected
    assert record["loss"] == pytest.approx(last["test_loss"], rel=1e-3)  # trained in the other execution mode
    assert lines[-1].startswith(f"result: {{'acc': {last['test_acc']:.4f}, ") and lines[-1].endswith("w2a2.ckpt")
    assert (record["method"], record["network"], record["kind"]) == ("DAMBQ", "resnet20", "packed")
    assert (record["label"], record["dataset"]) == ("W2.000 A2.000", "cifar10")
    assert record["average_bits"] == {"weights": 2, "activations": 2}
    bits = record["cost"]["bits_of_layers"]
    assert (
        len(bits) == 20 and bits["conv1"] == [8, 32] and bits["head.fc"] == [8, 8] and bits["layer2.1.conv1"] == [2, 2]
    )
    cost = record["cost"]
    assert cost["model_bytes"] == (folder / "w2a2.ckpt").stat().st_size
    weights = np.array([432, 640])  # of the first and the last layer
    assert cost["quantized_weight_bits"] == pytest.approx((2 * (268_336 - 1072) + 8 * weights.sum()) / 268_336)
    assert {"seconds", "images_per_second", "seed", "versions", "config", "checkpoint"} <= set(record)


def test_float_and_quantized_files_are_evaluated(tiny, quantizing, data, tmp_path):
    words = [*data, "--mode", "pynative", "--json", tmp_path / "out.json", "--checkpoint_path"]
    lines = run(evaluation, *words, tiny / "final.ckpt")
    record = json.loads((tmp_path / "out.json").read_text())
    assert lines[0] == "float, last epoch" and (record["kind"], record["bits"]) == ("float", 32)
    assert record["acc"] == history(tiny)[-1]["test_acc"]
    run(train, *quantizing)
    best = checkpoint.load(tmp_path / "run" / "final.ckpt").metadata["history"][0]
    lines = run(evaluation, *words, tmp_path / "run" / "final.ckpt")
    record = json.loads((tmp_path / "out.json").read_text())
    assert lines[0].startswith("Tiny, W3.000 A3.000") and record["kind"] == "latent"
    assert (record["acc"], record["samples"]) == (best["test_acc"], 16)
    assert record["loss"] == pytest.approx(best["test_loss"])


def test_a_finished_command_given_again_changes_nothing(quantizing, tmp_path):
    lines = run(train, *quantizing)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    names = {"run.ckpt", "final.ckpt", "last.ckpt", "metrics.jsonl", "config.yaml", "curves.png", "bits.png"}
    assert set(before) == names
    assert run(train, *quantizing) == lines
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_the_saved_configuration_repeats_a_run(quantizing, tmp_path):
    run(train, *quantizing)
    (tmp_path / "again").mkdir()
    run(train, "--config", tmp_path / "run" / "config.yaml", "--output_dir", tmp_path / "again")
    files = [tmp_path / "run" / "run.ckpt", tmp_path / "again" / "run" / "run.ckpt"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_run_in_the_folder_is_kept_unless_it_is_started_anew(capsys, quantizing, tmp_path):
    run(train, *quantizing)
    before = (tmp_path / "run" / "last.ckpt").read_bytes()
    assert "belongs to another run" in refused(capsys, train, *quantizing, "--lr", 0.02)
    assert (tmp_path / "run" / "last.ckpt").read_bytes() == before
    run(train, *quantizing, "--lr", 0.02, "--no-continue")
    saved = checkpoint.load(tmp_path / "run" / "last.ckpt")
    assert saved.metadata["run"]["config"]["schedule"]["base"] == 0.02 and len(saved.metadata["history"]) == 2


def test_the_advice_of_a_refused_run_names_an_option_of_this_script(capsys, quantizing):
    run(train, *quantizing)
    line = refused(capsys, train, *quantizing, "--lr", 0.02)
    assert "--no-continue" in line and "--no-resume" not in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--wgt-target", 0],
            r"wgt_target: expected at least 2\.000, for from 4\.000 bits the shares of 2 epochs take",
        ),
        (["--wgt-target", 3, "--act-target", 1.9], r"act_target: expected at least 2\.000, .*, found 1\.9; raise it"),
        (
            ["--shares", 0.1, 0.1],
            r"wgt_target: expected at least 3\.692, .* take away 0\.308, found 3; raise it, --shares",
        ),
        (["--duration", 2, 2], r"wgt_target: expected at least 4\.000, .* or let --duration end earlier"),
        (["--epochs", 0], r"wgt_target: expected at least 4\.000, .* the shares of 0 epochs take away 0\.000"),
    ],
)
def test_a_budget_that_the_schedule_cannot_reach_is_refused_before_the_first_epoch(
    capsys, quantizing, tmp_path, words, message
):
    assert re.search(message, refused(capsys, train, *quantizing, *words))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [["--layerwise"], ["--granularity", "layer"], ["--layerwise", "True"]])
def test_bits_by_layer(quantizing, tmp_path, words):
    run(train, *quantizing, "--wgt-target", 3.5, "--act-target", 3.4, *words)
    last = history(tmp_path / "run")[-1]
    layers = {kind: last[f"{kind}_bits_of_layers"] for kind in ("weights", "activations")}
    assert all(bits % 1 == 0 for by_layer in layers.values() for bits in by_layer.values())
    assert set(layers["weights"].values()) | set(layers["activations"].values()) == {3, 4}
    assert last["weights_bits"] <= 3.5 and last["activations_bits"] <= 3.4


def test_the_digits_are_trained_and_some_of_them_evaluated(tiny_model, tmp_path):
    words = ["-a", "Tiny", "--output_dir", tmp_path, "--epochs", 1, "--num_samples", 50, "--lr", 0.01]
    assert " on 50 images, " in run(train, *words, "--run_name", "float")[-1]
    quantize = ["--quantize", "--pretrained", tmp_path / "float" / "float.ckpt", "--expr-name", "w4"]
    assert "W4.000 A4.000" in run(train, *words, *quantize)[-1]
    lines = run(evaluation, "--checkpoint-path", tmp_path / "w4" / "w4.ckpt", "--num-samples", 50)
    last = history(tmp_path / "w4")[-1]
    assert f"'acc': {last['test_acc']:.4f}" in lines[-1] and "'samples': 50" in lines[-1] and last["test_samples"] == 50
