"""Data of other than ten classes: trained and evaluated by a script, and where published weights begin with it."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image
from script_runs import refused, run

from AdderQuant import eval as adder_eval
from AdderQuant import train as adder_train
from common import checkpoint
from common.stored.float_network import float_of_classes
from LDNQ import eval as ldnq_eval
from LDNQ import train as ldnq_train
from ProQHA import eval as proqha_eval
from ProQHA import train as proqha_train

METHODS = {"AdderQuant": (adder_train, adder_eval, "--bits", 32), "LDNQ": (ldnq_train, ldnq_eval)}
MOBILENET = "mobilenet_v2-b0353104.pth"


def class_folders(root, sizes, side=32, parts=("train", "test")):
    """Images of noise in folders called by words."""
    rng = np.random.default_rng(0)
    for part in parts:
        for name, count in sizes.items():
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (side, side, 3), np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    return root


def write_binary(file, fine, pixels):
    file.with_suffix(".bin").write_bytes(np.c_[fine // 5, fine, pixels].astype(np.uint8).tobytes())


def write_python(file, fine, pixels):
    file.write_bytes(pickle.dumps({b"fine_labels": fine.tolist(), b"coarse_labels": [0] * len(fine), b"data": pixels}))


def cifar100(root, write):
    """As many images of noise in each part."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        write(root / part, rng.integers(0, 100, 12), rng.integers(0, 256, (12, 3072), np.uint8))
    return root


def trained_and_evaluated(method, tmp_path, *data):
    """The metadata of the trained file, and what evaluating it measures."""
    train, evaluate, *as_float = METHODS[method]
    run(train, *data, "--epochs", 1, "--batch_size", 6, "--output_dir", tmp_path / "run", "--mode", "pynative")
    (file,) = [path for path in (tmp_path / "run").glob("*.ckpt") if path.stem not in ("last", "final")]
    words = ("--checkpoint_path", file, "--json", tmp_path / "found.json", "--mode", "pynative")
    run(evaluate, *data, *words, *as_float)
    return checkpoint.load(file).metadata, json.loads((tmp_path / "found.json").read_text())


@pytest.mark.training
@pytest.mark.parametrize("method", METHODS)
def test_own_folders_of_three_and_of_twelve_classes(method, tmp_path):
    for names in (("ant", "bee", "cow"), [f"c{number}" for number in range(12)]):
        folder = tmp_path / str(len(names))
        data = ("--dataset", "cifar10", "--dataset_path", class_folders(folder / "data", dict.fromkeys(names, 2)))
        metadata, found = trained_and_evaluated(method, folder, *data)
        assert metadata["num_classes"] == len(names) and metadata["class_names"] == sorted(names)
        assert found["samples"] == 2 * len(names)


@pytest.mark.training
@pytest.mark.parametrize("write", [write_binary, write_python])
@pytest.mark.parametrize("method", METHODS)
def test_cifar_100(method, write, tmp_path):
    (tmp_path / "data").mkdir()
    data = ("--dataset", "cifar100", "--dataset_path", cifar100(tmp_path / "data", write))
    metadata, found = trained_and_evaluated(method, tmp_path, *data)
    assert metadata["num_classes"] == 100 and metadata["class_names"][:2] == ["apple", "aquarium_fish"]
    assert found["samples"] == 12


def test_published_weights_of_a_thousand_classes_begin_with_a_new_head(capsys, shared, tmp_path):
    data = class_folders(tmp_path / "data", {"ant": 1, "bee": 1}, 64, ("train", "val"))
    words = ["--arch", "mobilenetv2", "--dataset", "imagenet", "--dataset_path", data, "--output_dir", tmp_path / "run"]
    line = refused(capsys, proqha_train, *words, "--pretrained", shared / "checkpoints" / MOBILENET)
    assert "training images of 1000 classes" in line and "found 2 classes (ant, bee)" in line and "--new_head" in line
    network = float_of_classes(shared / "checkpoints" / MOBILENET, "mobilenet_v2", 2, new_head=True)
    assert [len(parameter) for parameter in network.get_parameters()][-1] == 2


@pytest.mark.slow
def test_ten_of_a_thousand_classes_are_matched_by_name(shared, tmp_path):
    every = sorted((shared / "data" / "imagenet_val" / "val").iterdir())
    for folder in every[2::47][:10]:
        (tmp_path / "data" / "val").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "val" / folder.name).symlink_to(folder)
    words = ("--arch", "mobilenetv2", "--dataset", "imagenet", "--dataset_path", tmp_path / "data", "--batch_size", 7)
    file = shared / "checkpoints" / MOBILENET
    lines = run(proqha_eval, *words, "--checkpoint_path", file, "--json", tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert any("labels matched by name: 10 classes of the test images, among 1000 classes" in line for line in lines)
    assert (round(found["acc"] * 14), found["samples"]) == (9, 14)
