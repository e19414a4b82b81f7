"""Classes in the sequences of the scripts: what is said, what is recorded, and new last layers."""

from types import SimpleNamespace

import numpy as np
import pytest
from export_tiny import Tiny, seeded
from PIL import Image

from common import checkpoint
from common.checkpoint import network_state
from common.cli import config, training
from common.cli.classes import open_both, open_images
from common.cli.run_options import run_options
from common.data import DataSelection, notices
from common.data.matching import Classes
from common.errors import CheckpointError, ConfigError
from common.models.registry import MODELS, Model
from common.report import curves
from common.stored import float_network
from common.stored.float_network import NEW_NETWORK, StartFile
from common.training import Schedule, TrainConfig

pytestmark = pytest.mark.usefixtures("pynative")


@pytest.fixture
def folders(tmp_path):
    """Two training images and one test image of three animals."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 2), ("test", 1)):
        for name in ("ant", "bee", "cow"):
            folder = tmp_path / "data" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "data"


def train(folder, data, start, new_head=False, begins=NEW_NETWORK):
    words = ["--dataset_path", data, "--batch_size", 3, "--mode", "pynative"]
    options = run_options(config.parse(config.build_parser("", evaluates=False), list(map(str, words))))
    chosen = training.TrainingOptions(TrainConfig(1, 3, Schedule("constant", 0.01)), folder, "tiny", new_head=new_head)
    return training.run(options, chosen, start=start, save=training.save_float, begins=begins)


def begin(images):
    network = seeded(Tiny(images.train.num_classes))
    return training.Start(network, {"method": "Test", "kind": "float", "network": "Tiny"})


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(curves, "plot", lambda *_: None)
    monkeypatch.setitem(MODELS, "Tiny", Model(lambda classes: seeded(Tiny(classes)), str, ("cifar10",)))


def test_own_classes_are_trained_and_recorded(tiny, folders, tmp_path):
    train(tmp_path / "run", folders, begin)
    for name in ("tiny", "final"):
        metadata = checkpoint.load(tmp_path / "run" / f"{name}.ckpt").metadata
        assert (metadata["num_classes"], metadata["class_names"]) == (3, ["ant", "bee", "cow"])
    assert float_network.classes_in_file(tmp_path / "run" / "tiny.ckpt", "Tiny") == Classes(3, ("ant", "bee", "cow"))


def test_some_of_the_classes_of_the_start_are_trained_with_its_labels(tiny, folders, tmp_path, capsys):
    seen = []

    def start(images):
        seen.extend([images.train.labels.tolist(), images.test.labels.tolist()])
        return begin(images)

    network = Classes(5, ("elk", "cow", "bee", "ant", "dog"))
    trainer = train(tmp_path / "run", folders, start, begins=SimpleNamespace(path=None, classes=lambda: network))
    assert seen == [[3, 3, 2, 2, 1, 1], [3, 2, 1]] and trainer.metadata["class_names"] == list(network.names)
    assert "labels matched by name: 3 classes of the training images, among 5 classes (elk" in capsys.readouterr().out


def test_a_new_head_takes_any_classes(tiny, folders, tmp_path):
    wide = seeded(Tiny(7), 5)
    file = tmp_path / "wide.ckpt"
    about = {"kind": "float", "network": "Tiny", "num_classes": 7, "dataset": "cifar10"}
    checkpoint.save(file, network_state.state(wide), about)

    def start(images):
        network = float_network.float_of_classes(file, "Tiny", images.train.num_classes, images.new_head)
        old, new = network_state.state(wide), network_state.state(network)
        head = {name for name in new if new[name].shape != old[name].shape}
        assert head and all(np.array_equal(new[name], old[name]) for name in new if name not in head)
        return training.Start(network, begin(images).metadata)

    begins = StartFile(file, "Tiny")
    with pytest.raises(ConfigError, match=r"of 7 classes, found 3 classes \(ant, bee, cow\); .* --new_head"):
        train(tmp_path / "run", folders, start, begins=begins)
    assert train(tmp_path / "run", folders, start, new_head=True, begins=begins).metadata["num_classes"] == 3
    with pytest.raises(CheckpointError, match="expected a network of the data's 3 classes, found one of 7"):
        float_network.float_of_classes(file, "Tiny", 3)


def test_a_new_head_of_as_many_other_classes_is_new(tiny, tmp_path):
    trained = seeded(Tiny(4), 5)
    about = {"kind": "float", "network": "Tiny", "num_classes": 4}
    checkpoint.save(tmp_path / "a.ckpt", network_state.state(trained), about)
    network = float_network.float_of_classes(tmp_path / "a.ckpt", "Tiny", 4, new_head=True)
    old, new, fresh = map(network_state.state, (trained, network, seeded(Tiny(4))))
    other = {name for name in new if not np.array_equal(new[name], old[name])}
    assert other and all(name.startswith("head") and np.array_equal(new[name], fresh[name]) for name in other)


def test_what_is_said_of_the_images(folders, capsys):
    (folders / "classes.txt").write_text("cow\nbee\nant\ndog\n")
    open_images(DataSelection("cifar10", folders, num_samples=2), "test")
    assert capsys.readouterr().out.splitlines() == [
        f"test images: labels by {folders / 'classes.txt'}, 4 classes",
        "test images: 2, spread over 2 classes",
    ]


def test_a_folder_without_parts_is_both_and_said(folders, capsys):
    open_both(DataSelection("cifar10", folders / "train"), None)
    assert capsys.readouterr().out == f"warning: {folders / 'train'} has no train and test parts: its images are both\n"
    open_both(DataSelection("cifar10", train_path=folders / "train", eval_path=folders / "test"), None)
    assert capsys.readouterr().out == ""


def test_shared_images_are_said(folders, capsys):
    notices.forget()
    (folders / "train" / "ant" / "0.png").replace(folders / "train" / "bee" / "copy.png")
    target = folders / "test" / "cow" / "copy.png"
    target.write_bytes((folders / "train" / "bee" / "copy.png").read_bytes())
    open_both(DataSelection("cifar10", folders), None)
    assert capsys.readouterr().err.startswith("warning: 1 of 4 test images are training images too")


def test_parts_of_different_classes_are_refused(folders, small_cifar):
    selection = DataSelection("cifar10", train_path=folders / "train", eval_path=small_cifar)
    with pytest.raises(ConfigError, match=r"test images of 3 classes \(ant, bee, cow\), found 10 classes \(airplane"):
        open_both(selection, None)
