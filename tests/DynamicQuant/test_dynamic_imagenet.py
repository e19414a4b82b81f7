"""ResNet-18 on a sample of ImageNet, from a state file as torchvision names it."""

import json
import re

import numpy as np
import pytest
from script_runs import history, refused, run

from common.models.registry import model
from DynamicQuant import eval as evaluation
from DynamicQuant import storage, train


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data" / "imagenet_sample"


@pytest.fixture(scope="module")
def classes(folder) -> int:
    return len([path for path in folder.iterdir() if path.is_dir()])


def torchvision_file(path, classes: int, seed: int = 0):
    """A state dict of a ResNet-18 with torchvision's names and random weights; returns its tensors."""
    torch = pytest.importorskip("torch")
    rng, tensors = np.random.default_rng(seed), {}
    theirs = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    for name, parameter in model("resnet18").build(classes).parameters_and_names():
        layer, _, leaf = name.rpartition(".")
        deviation = 0.02 if leaf == "weight" else 0.1
        value = rng.normal(0, deviation, parameter.shape) + (leaf in ("gamma", "moving_variance"))
        tensors[f"{layer}.{theirs.get(leaf, leaf)}"] = np.abs(value) if leaf == "moving_variance" else value
    states = {name: torch.tensor(value, dtype=torch.float32) for name, value in tensors.items()}
    torch.save(states, path)
    return tensors


def test_a_torchvision_file_loads_as_float_start(tmp_path, pynative):
    tensors = torchvision_file(tmp_path / "resnet18.pth", 12)
    stored = storage.load(tmp_path / "resnet18.pth", "resnet18", 12)
    assert stored.kind == "float"
    values = {name: value.asnumpy() for name, value in stored.network.parameters_and_names()}
    np.testing.assert_array_equal(
        values["layer2.0.downsample.0.weight"], np.float32(tensors["layer2.0.downsample.0.weight"])
    )
    np.testing.assert_array_equal(values["layer4.1.bn2.moving_mean"], np.float32(tensors["layer4.1.bn2.running_mean"]))


@pytest.mark.training
def test_resnet18_trains_and_counts_every_image(tmp_path, folder, classes):
    """About two minutes; last verified with MindSpore 2.10.0."""
    torchvision_file(tmp_path / "resnet18.pth", classes)
    words = ["--dataset", "imagenet", "--dataset_path", folder, "--batch_size", 8, "--mode", "pynative"]
    options = ["--pretrained", tmp_path / "resnet18.pth", "--output_dir", tmp_path, "--run_name", "run", "--epochs", 1]
    lines = run(train, *words, *options, "--bits", 4, "--lr", 0.001)
    record = history(tmp_path / "run")[-1]
    images = sum(1 for path in folder.rglob("*") if path.is_file() and re.search(r"jpe?g$", path.name, re.I))
    assert record["test_samples"] == images and "dynamic" in lines[-1]
    words += ["--checkpoint_path", tmp_path / "run" / "run.ckpt", "--json", tmp_path / "out.json", "--plots"]
    run(evaluation, *words, "--output_dir", tmp_path, "--num-classes", classes)
    result = json.loads((tmp_path / "out.json").read_text())
    assert (result["samples"], result["acc"]) == (images, record["test_acc"])
    assert result["choices"]["static_bit_operations"] == pytest.approx(27.13e9, rel=1e-4)


def test_another_number_of_classes_is_refused_in_one_line(capsys, tmp_path, folder, classes):
    torchvision_file(tmp_path / "resnet18.pth", 12)
    words = ["--dataset", "imagenet", "--dataset_path", folder, "--mode", "pynative"]
    line = refused(capsys, train, *words, "--pretrained", tmp_path / "resnet18.pth", "--output_dir", tmp_path)
    assert f"expected training images of 12 classes, found {classes} classes" in line and "--new_head" in line
    line = refused(capsys, evaluation, *words, "--checkpoint_path", tmp_path / "resnet18.pth")
    assert f"found {classes}" in line
