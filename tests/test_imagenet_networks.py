"""ImageNet's networks through every method: torchvision's names, some steps of distillation, packed, on integers."""

import importlib
import json

import numpy as np
import pytest
from script_runs import refused, run
from test_other_classes import class_folders

from common import checkpoint
from common.cli.engine import INTEGER
from common.engine.library import library_file
from common.models.registry import model
from common.stored.float_network import load_float

SIDE = 64
THEIRS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
QUANTIZED = {
    "ProQHA": ("--archtype", "quant", "--bits", 4, "--even_filters", "--bias_correction", 4),
    "DAMBQ": ("--quantize", "--table", "int8", "--wgt_target", 4, "--act_target", 4),
    "DynamicQuant": ("--bits", 4, "--quantizer", "pact", "--warmup_epochs", 0),
}
# DynamicQuant's depthwise layers that choose among three widths are not among the engine's instructions.
RUNS = [
    ("ProQHA", "mobilenet_v2", INTEGER),
    ("DAMBQ", "mobilenet_v2", INTEGER),
    ("DynamicQuant", "mobilenet_v2", "float"),
    ("ProQHA", "resnet50", INTEGER),
    ("DAMBQ", "resnet34", INTEGER),
    ("DynamicQuant", "resnet18", INTEGER),
]


def published_file(path, architecture):
    """Random weights of two classes under torchvision's names; BatchNorms of a network that has seen images."""
    rng, tensors = np.random.default_rng(0), {}
    for name, parameter in model(architecture).build(2).parameters_and_names():
        layer, _, leaf = name.rpartition(".")
        values = parameter.asnumpy()
        if leaf == "moving_mean":
            values = rng.normal(0, 0.1, values.shape)
        tensors[f"{layer}.{THEIRS.get(leaf, leaf)}"] = values.astype(np.float32)
    safetensors = importlib.import_module("safetensors.numpy")
    safetensors.save_file(tensors, path)
    return tensors


def test_torchvisions_names_are_ours(tmp_path):
    tensors = published_file(tmp_path / "net.safetensors", "mobilenet_v2")
    stored = load_float(tmp_path / "net.safetensors", "mobilenet_v2")
    found = {name: parameter.asnumpy() for name, parameter in stored.network.parameters_and_names()}
    assert np.array_equal(found["features.1.conv.2.moving_mean"], tensors["features.1.conv.2.running_mean"])
    assert stored.metadata["num_classes"] == 2 and len(found) == len(tensors)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "architecture", "engine"), RUNS)
def test_networks_learn_and_are_packed_and_evaluated(method, architecture, engine, tmp_path):
    published_file(tmp_path / "net.safetensors", architecture)
    data = class_folders(tmp_path / "data", {"ant": 3, "bee": 3}, SIDE, ("train", "val"))
    arch = architecture.replace("mobilenet_v2", "mobilenetv2") if method == "ProQHA" else architecture
    shared = ["--dataset", "imagenet", "--dataset_path", data, "--arch", arch, "--batch_size", 3]
    form = ["--crop", SIDE, "--resize", SIDE, "--mode", "pynative"]
    file = tmp_path / "net.safetensors"
    words = ["--pretrained", file, "--distill", file, "--distill_weight", 1, "--epochs", 1, "--lr", 1e-4]
    train, evaluate = (importlib.import_module(f"{method}.{script}") for script in ("train", "eval"))
    run(train, *shared, *form, *words, *QUANTIZED[method], "--run_name", "made", "--output_dir", tmp_path)
    made = tmp_path / "made" / "made.ckpt"
    assert checkpoint.load(made).metadata["kind"] == "packed"
    outputs = ["--json", tmp_path / "found.json", "--predictions", tmp_path / "found.csv"]
    run(evaluate, *shared, "--checkpoint_path", made, "--mode", "pynative", *outputs)
    result = json.loads((tmp_path / "found.json").read_text())
    lines = (tmp_path / "found.csv").read_text().splitlines()
    rows = [tuple(map(int, line.split(","))) for line in lines[1:]]
    assert lines[0] == "image,label,predicted" and [row[:2] for row in rows] == list(enumerate([0, 0, 0, 1, 1, 1]))
    assert sum(label == predicted for _, label, predicted in rows) == round(6 * result["acc"])
    if library_file() is not None:
        assert result["engine"] == engine, result["engine_about"]


def test_adderquant_refuses_a_network_without_adders(capsys):
    line = refused(capsys, importlib.import_module("AdderQuant.eval"), "--arch", "mobilenet_v2")
    assert "--arch: invalid choice: 'mobilenet_v2'" in line
