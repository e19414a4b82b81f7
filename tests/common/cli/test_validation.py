"""``--validation``: which images a training sees, which ones choose its epoch, and what is said of it."""

import json

import numpy as np
import pytest
from export_tiny import Tiny, seeded

from common import checkpoint
from common.cli import config, training
from common.cli.option_parser import OptionParser
from common.cli.run_options import run_options
from common.cli.training_options import add_training, train_config
from common.cli.validation import Validation, validation_of
from common.data import open_dataset
from common.errors import CheckpointError, DataError
from common.evaluation import evaluate_images

pytestmark = pytest.mark.usefixtures("pynative", "no_picture")
EPOCHS = 4


@pytest.fixture
def no_picture(monkeypatch):
    monkeypatch.setattr("common.report.curves.plot", lambda *_: None)


def make_parser() -> OptionParser:
    parser = config.build_parser("", evaluates=False)
    add_training(parser, epochs=EPOCHS, schedule="constant", milestones=(), warmup_epochs=0)
    return parser


def pixels(source) -> set[bytes]:
    return {image.tobytes() for image in source.images}


def train(folder, *words, seen=None, save=training.save_float):
    """A training of a network of one layer on 100 digits; ``seen`` gets its training and test images."""
    few = ["--train_samples", 100, "--num_samples", 30, "--batch_size", 10, "--mode", "pynative", "--lr", 0.05]
    args = config.parse(make_parser(), [str(word) for word in (*few, "--output_dir", folder, *words)])
    options = training.TrainingOptions(train_config(args), folder, "tiny", validation=validation_of(args))

    def start(images):
        if seen is not None:
            seen.append(images)
        return training.Start(seeded(Tiny()), {"method": "Test", "kind": "float", "network": "Tiny"})

    return training.run(run_options(args), options, start=start, save=save)


def test_images_that_are_kept_are_not_trained_on_and_choose_the_epoch(tmp_path, capsys):
    seen = []
    trainer = train(tmp_path, "--validation", 20, "--validate_every", 2, seen=seen)
    lines, kept = capsys.readouterr().out.splitlines(), trainer.data.validation
    assert "validation images: 20, spread over the classes; 80 are left to train with" in lines
    assert (len(seen[0].train), len(kept), len(seen[0].test)) == (80, 20, 30)
    assert seen[0].train is trainer.data.source and not pixels(kept) & pixels(seen[0].train)
    whole = open_dataset("digits", None, "train").sample(100, 0)
    assert pixels(kept) | pixels(seen[0].train) == pixels(whole) and set(np.bincount(kept.labels)) == {2}
    validated = {r["epoch"]: r["validation_acc"] for r in trainer.history if "validation_acc" in r}
    best = max(validated, key=lambda epoch: (validated[epoch], epoch))
    assert list(validated) == [2, 4] and trainer.chosen["epoch"] == best
    rule = "best of 2 epochs on 20 validation images"
    assert (
        lines[-1].startswith(f"{tmp_path}/tiny.ckpt: float, test accuracy ") and f"on 30 images, {rule}, " in lines[-1]
    )
    saved = checkpoint.load(tmp_path / "tiny.ckpt")
    assert saved.metadata["training"] == {"epochs": EPOCHS, "seed": 1, "selection": rule}
    for file in ("best.ckpt", "final.ckpt"):
        tensors = checkpoint.load(tmp_path / file).tensors
        assert all(np.array_equal(tensors[name], value) for name, value in saved.tensors.items()), file
    assert "validation: 20\n" in (tmp_path / "config.yaml").read_text()


def test_the_recorded_accuracies_are_those_of_the_images(tmp_path):
    trainer = train(tmp_path, "--validation", 20)
    record, preprocessing = trainer.chosen, trainer.data.preprocessing
    for word, source in (("validation", trainer.data.validation), ("test", open_dataset("digits", None, "test"))):
        source = source.spread(30) if word == "test" else source
        metrics = evaluate_images(trainer.network, source, preprocessing, 7)
        assert (record[f"{word}_acc"], record[f"{word}_samples"]) == (metrics.accuracy, len(source))


def test_the_seed_chooses_them_whatever_else_changes(tmp_path):
    kept = [
        pixels(train(tmp_path / str(number), *words, "--validation", 20).data.validation)
        for number, words in enumerate(
            (["--epochs", 1], ["--epochs", 2, "--batch_size", 5], ["--epochs", 1, "--seed", 2], ["--epochs", 0])
        )
    ]
    assert kept[0] == kept[1] == kept[3] != kept[2]


def test_test_images_are_seen_once(tmp_path, monkeypatch):
    measured, real = [], training.evaluator

    def counted(source, *, label, **options):
        measure = real(source, label=label, **options)
        return lambda network: (measured.append(label), measure(network))[1]

    monkeypatch.setattr(training, "evaluator", counted)
    train(tmp_path / "with", "--validation", 20)
    train(tmp_path / "without")
    assert measured == ["validation"] * EPOCHS + ["test"] + ["test"]
    lines = (tmp_path / "without" / "metrics.jsonl").read_text().splitlines()
    assert ["test_acc" in json.loads(line) for line in lines] == [False, False, False, True]
    assert not any("validation_acc" in line for line in lines)


def test_another_number_is_another_run(tmp_path):
    train(tmp_path, "--validation", 20, "--epochs", 1)
    with pytest.raises(CheckpointError, match="another run"):
        train(tmp_path, "--validation", 10, "--epochs", 1)


@pytest.mark.parametrize(("count", "message"), [(9, "keep more of them"), (100, "keep fewer"), (101, "holds 100")])
def test_numbers_that_cannot_be_kept_are_refused_before_anything_is_written(tmp_path, count, message):
    with pytest.raises(DataError, match=message):
        train(tmp_path / "run", "--validation", count)
    assert not list((tmp_path / "run").iterdir())


def test_no_validation_leaves_the_images_as_they_are():
    source = open_dataset("digits", None, "train")
    assert Validation().split(source, 1) == (source, None)
