"""The scripts as a user calls them: float, the same bits everywhere, evaluation."""

import json

import numpy as np
import pytest
from proqha_tiny import LAYERS, WEIGHTS, state
from script_runs import history, run, same

from common import checkpoint
from ProQHA import eval as evaluation
from ProQHA import storage, train
from ProQHA.quant import get_bits

FILES = {"w4.ckpt", "final.ckpt", "last.ckpt", "metrics.jsonl", "config.yaml"}


@pytest.fixture
def quantizing(data, tiny_float, tmp_path) -> list:
    """A command that trains the small network at 4 bits for two epochs."""
    words = [*data, "--arch", "tiny", "--archtype", "quant", "--mode", "pynative", "--output_dir", tmp_path]
    words += ["--run_name", "w4", "--resume", tiny_float / "final.ckpt", "--bits", 4, "--epochs", 2]
    return [*words, "--lr", 0.01, "--optimizer", "adam", "--clip"]


def test_float_then_four_bits_then_evaluation(data, tiny_float, quantizing, tmp_path, quickly):
    folder, last = tmp_path / "w4", None
    lines, last = run(train, *quantizing), history(folder)[-1]
    assert {path.name for path in folder.iterdir()} == FILES
    size = (folder / "w4.ckpt").stat().st_size
    label = f"W4.000 A4.000 cost 0.1250, test accuracy {last['test_acc']:.4f} on 16 images, last epoch, {size} bytes"
    assert lines[-1] == f"{folder / 'w4.ckpt'}: {label}"
    packed, final = (storage.load(folder / name, "Tiny") for name in ("w4.ckpt", "final.ckpt"))
    assert (packed.kind, final.kind) == ("packed", "latent") and packed.metadata["training"]["epochs"] == 2
    assert get_bits(packed.network).tolist() == get_bits(final.network).tolist() == [[4, 4]] * 4
    words = [*data, "--arch", "tiny", "--mode", "pynative", "--json", tmp_path / "out.json"]
    lines = run(evaluation, *words, "--checkpoint_path", folder / "w4.ckpt")
    record = json.loads((tmp_path / "out.json").read_text())
    assert lines[0] == "Tiny, W4.000 A4.000, first and last layer and shortcuts float, last epoch"
    assert lines[-1].startswith(f"result: {{'acc': {last['test_acc']:.4f}, ") and lines[-1].endswith("w4.ckpt")
    expected = {name: last[f"test_{name}"] for name in ("acc", "top_5_acc", "samples")}
    assert {name: record[name] for name in expected} == expected
    assert record["loss"] == pytest.approx(last["test_loss"], rel=1e-5)
    assert (record["method"], record["network"], record["kind"]) == ("ProQHA", "Tiny", "packed")
    assert (record["bits"], record["dataset"], record["search"]["cost"]) == ("W4.000 A4.000", "cifar10", 0.125)
    bits = record["cost"]["bits_of_layers"]
    assert {name: bits[name] for name in LAYERS} == {name: [4, 4] for name in LAYERS} and bits["last"] == [32, 32]
    floats = [3 * 6 * 9, 6 * 8, 7 * 10]
    mean = (4 * sum(WEIGHTS) + 32 * sum(floats)) / (sum(WEIGHTS) + sum(floats))
    assert record["cost"]["average_weight_bits"] == pytest.approx(mean)
    assert (record["cost"]["quantized_weight_bits"], record["cost"]["model_bytes"]) == (4, size)
    assert {"seconds", "images_per_second", "seed", "versions", "config", "checkpoint"} <= set(record)
    raw = {path.name: path.stat().st_size for path in (folder / "w4.ckpt", folder / "final.ckpt")}
    assert raw["final.ckpt"] - raw["w4.ckpt"] > 28 / 8 * sum(WEIGHTS)


def test_float_networks_are_trained_and_evaluated(data, tiny_float, tmp_path, quickly):
    last = history(tiny_float)[-1]
    words = [*data, "--arch", "tiny", "--mode", "pynative", "--json", tmp_path / "out.json"]
    lines = run(evaluation, *words, "--checkpoint_path", tiny_float / "float.ckpt")
    record = json.loads((tmp_path / "out.json").read_text())
    assert lines[0] == "Tiny, float, last epoch" and (record["bits"], record["kind"]) == (32, "float")
    assert record["acc"] == last["test_acc"] and record["cost"]["average_weight_bits"] == 32
    metadata = checkpoint.load(tiny_float / "float.ckpt").metadata
    expected = {"kind": "float", "network": "Tiny", "num_classes": 10}
    assert {name: metadata[name] for name in expected} == expected
    words = [*data, "--arch", "tiny", "--mode", "pynative", "--output_dir", tmp_path, "--lr", 0.01]
    resumed = ["--resume", tiny_float / "float.ckpt", "--run_name", "more", "--epochs", 1]
    run(train, *words, *resumed)
    assert same(*(state(folder)[0] for folder in (tmp_path / "more" / "more.ckpt", tiny_float / "float.ckpt"))) != []


def test_bits_of_a_mixture_and_of_a_file(quantizing, tmp_path, quickly):
    words = [*quantizing, "--bits", 3, "--pre_k_bits", 6, "--ratio", 0.6, "--epochs", 1]
    lines = run(train, *words)
    assert get_bits(storage.load(tmp_path / "w4" / "w4.ckpt", "Tiny").network).tolist() == [
        [3, 3],
        [3, 3],
        [3, 6],
        [6, 6],
    ]
    assert "W3." in lines[-1] and " A" in lines[-1]
    more = [*words, "--resume", tmp_path / "w4" / "final.ckpt", "--run_name", "more", "--bits", 8]
    assert run(train, *more)[-1].split(": ")[1].split(", ")[0] == lines[-1].split(": ")[1].split(", ")[0]


def test_the_first_clips_are_calibrated_or_those_given(quantizing, tmp_path, quickly):
    clips = []
    for alpha in ("calibrate", "10", "0.7"):
        run(train, *quantizing, "--activation_clip", alpha, "--lr", 1e-9, "--epochs", 1, "--no-continue")
        tensors, _ = state(tmp_path / "w4" / "final.ckpt")
        clips.append([float(tensors[f"{name}.quantize_input.clip"][0]) for name in LAYERS])
    assert len({round(clip, 3) for clip in clips[0]}) == 4 and max(clips[0]) < 10
    assert clips[1] == pytest.approx([10] * 4) and clips[2] == pytest.approx([0.7] * 4)


def test_a_finished_command_given_again_changes_nothing(quantizing, tmp_path, quickly):
    lines = run(train, *quantizing)
    before = {path.name: path.read_bytes() for path in (tmp_path / "w4").iterdir()}
    assert run(train, *quantizing) == lines
    assert {path.name: path.read_bytes() for path in (tmp_path / "w4").iterdir()} == before


def test_the_saved_configuration_repeats_a_run(quantizing, tmp_path, quickly):
    run(train, *quantizing)
    run(train, "--config", tmp_path / "w4" / "config.yaml", "--output_dir", tmp_path / "again")
    files = [tmp_path / "w4" / "w4.ckpt", tmp_path / "again" / "w4" / "w4.ckpt"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_part_of_the_images_is_the_same_for_all_seeds(data, quantizing, tmp_path, quickly):
    from common.cli.run_options import data_selection
    from common.data import open_split

    parts = []
    for seed in (1, 2):
        args = train.make_parser().parse_args([*map(str, data), "--dataset", "cifar10", "--train_samples", "20"])
        args.seed = seed
        parts.append(open_split(data_selection(args), "train"))
    assert len(parts[0]) == 20 and np.array_equal(parts[0].images, parts[1].images)
    run(train, *quantizing, "--train_samples", 20, "--epochs", 1)
    assert state(tmp_path / "w4" / "last.ckpt")[1]["run"]["data"]["images"] == 20


def test_a_network_of_the_zoo_is_quantized(data, tmp_path, quickly):
    """The pre-activation ResNet-20, whose depth comes from its name."""
    words = [*data, "--output_dir", tmp_path, "--lr", 0.01, "--epochs", 1, "--mode", "pynative"]
    lines = run(train, *words, "--arch", "resnet", "--num_layers", 20, "--run_name", "float")
    assert lines[-1].startswith(f"{tmp_path / 'float' / 'float.ckpt'}: float, test accuracy 0.")
    start = tmp_path / "float" / "final.ckpt"
    words += ["--arch", "resnet20", "--archtype", "quant", "--resume", start, "--run_name", "w3"]
    lines = run(train, *words, "--bits", 3, "--pre_k_bits", 3)
    assert "W3.000 A3.000 cost 0.0938" in lines[-1]
    stored = storage.load(tmp_path / "w3" / "w3.ckpt", "preact_resnet20")
    assert get_bits(stored.network).tolist() == [[3, 3]] * 18 and stored.metadata["settings"]["signed"] == []
    assert (tmp_path / "w3" / "w3.ckpt").stat().st_size < (tmp_path / "float" / "float.ckpt").stat().st_size / 6
