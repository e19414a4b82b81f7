"""The evaluation script as a user calls it."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from AdderQuant import eval as script
from AdderQuant import storage
from AdderQuant.network import adder_layers
from common.checkpoint import network_state

ROOT = Path(__file__).resolve().parents[2]


def run(capsys, *words) -> str:
    """The result line of an evaluation in this process."""
    script.main([str(word) for word in words])
    return capsys.readouterr().out.strip().splitlines()[-1]


def refused(capsys, *words) -> str:
    """The one line on stderr of an evaluation that ends with exit status 2."""
    with pytest.raises(SystemExit) as stopped:
        script.main([str(word) for word in words])
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning")]
    assert stopped.value.code == 2 and len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture
def tiny_cifar(tmp_path, lossless) -> Path:
    """The first 130 training and 33 test images."""
    for folder, name, count in (
        ("cifar-10-batches-bin", "data_batch_1.bin", 130),
        ("cifar-10-verify-bin", "test_batch.bin", 33),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes((lossless / folder / name).read_bytes()[: 3073 * count])
    return tmp_path


@pytest.mark.slow
def test_the_documented_command_works_from_the_methods_folder(published, tiny_cifar):
    words = ["--checkpoint_file_path", published, "--train_dataset_path", tiny_cifar / "cifar-10-batches-bin"]
    words += ["--eval_dataset_path", tiny_cifar / "cifar-10-verify-bin"]
    command = [sys.executable, "eval.py", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT / "AdderQuant", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("result: {'acc': 0.9") and "'samples': 33" in last and last.endswith(f"ckpt= {published}")


def test_without_options_the_shipped_checkpoint_is_evaluated(capsys, tmp_path):
    line = run(capsys, "--json", tmp_path / "out.json")
    record = json.loads((tmp_path / "out.json").read_text())
    assert "'samples': 360" in line and record["acc"] > 0.95
    assert (record["method"], record["bits"], record["dataset"]) == ("AdderQuant", 8, "digits")
    assert record["cost"]["quantized_weight_bits"] == 8 and record["cost"]["macs"] == 432 * 1024 + 640
    assert record["cost"]["additions"] == 2 * 40_370_176  # 40.37 million pairs of ResNet-20 after its first layer
    assert record["cost"]["model_bytes"] < 300_000
    assert record["config"]["scheme"] == "two-sided" and record["versions"]["mindspore"]


@pytest.mark.parametrize("bits", [pytest.param(8, marks=pytest.mark.slow), 4])
def test_a_calibrated_checkpoint_needs_no_training_images_and_gives_the_same_logits(capsys, tmp_path, bits):
    path = tmp_path / "calibrated.ckpt"
    small = ["--calibration_size", 128, "--num_samples", 100]
    first = run(capsys, "--bits", bits, "--save_checkpoint", path, *small)
    again = run(capsys, "--checkpoint_path", path, "--num_samples", 100)
    assert first.split(" ckpt=")[0] == again.split(" ckpt=")[0]
    stored = storage.load(path)
    assert stored.kind == "packed" and stored.metadata["settings"]["bits"] == bits
    assert stored.metadata["training"] == {"epochs": 40, "seed": 1, "images": 128}
    assert stored.metadata["samples"] == 100 and stored.metadata["class_names"] == list("0123456789")
    assert first.startswith(f"result: {{'acc': {stored.metadata['accuracy']:.4f}")
    assert {layer.bits for layer in adder_layers(stored.network).values()} == {bits}
    if bits == 4:
        assert path.stat().st_size * 3.5 <= storage.shipped("digits").stat().st_size  # which is in half precision


def test_a_float_network_with_new_statistics_is_saved_as_float(capsys, tmp_path):
    path, shipped = tmp_path / "float.ckpt", storage.load(storage.shipped("digits"))
    words = ["--bits", 32, "--reestimate", "--reestimation_batches", 1, "--num_samples", 10, "--save_checkpoint", path]
    run(capsys, *words, "--json", tmp_path / "out.json")
    record, stored = json.loads((tmp_path / "out.json").read_text()), storage.load(path)
    assert (record["kind"], record["bits"], record["reestimated"]) == ("float", 32, True)
    before, after = network_state.state(shipped.network), network_state.state(stored.network)
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {
        name for name in before if "moving" in name
    }


def test_saved_and_reloaded_parameters_are_equal(capsys, tmp_path):
    for name in ("a.ckpt", "b.safetensors"):
        words = ["--bits", 5, "--num_samples", 10, "--calibration_size", 64]
        run(capsys, *words, "--save_checkpoint", tmp_path / name)
    states = [network_state.state(storage.load(tmp_path / name).network) for name in ("a.ckpt", "b.safetensors")]
    assert all(np.array_equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.slow
def test_both_schemes_and_reestimation_on_real_images(capsys, published, tiny_cifar):
    common = ["--checkpoint_path", published, "--dataset_path", tiny_cifar, "--reestimation_batches", 2]
    for scheme, bits, flag in (
        ("paper", 4, "--reestimate"),
        ("two-sided", 4, "--no-reestimate"),
        ("paper", 32, "--reestimate"),
    ):
        line = run(capsys, *common, "--scheme", scheme, "--bits", bits, flag)
        assert float(line.split("'acc': ")[1].split(",")[0]) > 0.8


class Foreign:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_damaged_or_wrong_input_is_refused_in_one_line(capsys, tmp_path, published, tiny_cifar, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = ["--dataset_path", tiny_cifar]
    content = published.read_bytes()
    Path("short.pth").write_bytes(content[:-1000])
    Path("foreign.pth").write_bytes(pickle.dumps(Foreign(), 2))
    run(capsys, "--bits", "4", "--save_checkpoint", "good.ckpt", "--num_samples", "5", "--calibration_size", "64")
    flipped = bytearray(Path("good.ckpt").read_bytes())
    flipped[len(flipped) // 2] ^= 4
    Path("flipped.ckpt").write_bytes(flipped)
    assert "short.pth" in refused(capsys, *data, "--checkpoint_path", "short.pth")
    assert "foreign.pth" in refused(capsys, *data, "--checkpoint_path", "foreign.pth")
    assert not Path("ran").exists()
    assert "flipped.ckpt" in refused(capsys, "--checkpoint_path", "flipped.ckpt")
    assert "absent.ckpt" in refused(capsys, "--checkpoint_path", "absent.ckpt")
    for words, expected in (
        (["--bits", "8"], "bits: the checkpoint was calibrated with 4, found 8; start from the float checkpoint"),
        (["--scheme", "paper"], "scheme: the checkpoint was calibrated with two-sided, found paper"),
        (["--reestimate"], "reestimate: the checkpoint was calibrated with False, found True"),
    ):
        assert expected in refused(capsys, "--checkpoint_path", "good.ckpt", *words)
    assert "num_classes 100, found 10" in refused(capsys, *data, "--checkpoint_path", published, "--class_num", "100")
    assert "num_classes" in refused(capsys, "--class_num", "100")
    assert "nowhere" in refused(capsys, "--checkpoint_path", published, "--dataset_path", "nowhere")
    test_file = tiny_cifar / "cifar-10-verify-bin" / "test_batch.bin"
    test_file.write_bytes(test_file.read_bytes()[:-1])
    assert "test_batch.bin" in refused(capsys, *data, "--checkpoint_path", published)


@pytest.mark.parametrize(
    "words",
    [
        ["--bits", "0"],
        ["--bits", "9"],
        ["--groups", "9"],
        ["--scheme", "three-sided"],
        ["--quantile", "0"],
        ["--num_samples", "361"],
        ["--dataset", "imagenet"],
        ["--dataset", "cifar10"],
        ["--image_size", "224"],
        ["--unknown", "1"],
        ["--config", "absent.yaml"],
        ["--device_target", "GPU"],
    ],
)
def test_options_out_of_range_are_refused(capsys, words):
    assert refused(capsys, *words)
