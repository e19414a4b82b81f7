"""The sequences that the methods' eval.py and train.py share, with a network of one layer."""

import json
from pathlib import Path

import numpy as np
import pytest
from export_tiny import Tiny, seeded

from common import checkpoint
from common.cli import config, evaluation, training
from common.cli.run_options import run_options
from common.data import DIGITS
from common.errors import CheckpointError, ConfigError
from common.report import curves
from common.stored.network import StoredNetwork
from common.training import Schedule, TrainConfig

pytestmark = pytest.mark.usefixtures("pynative")


def parsed(*words, evaluates=True):
    few = ["--num_samples", "6", "--train_samples", "8", "--batch_size", "4", "--mode", "pynative"]
    return run_options(config.parse(config.build_parser("", evaluates=evaluates), [*few, *map(str, words)]))


METADATA = {"network": "Tiny", "num_classes": 10, "preprocessing": DIGITS.to_dict()}


def evaluate(options, network=None, **special):
    stored = StoredNetwork(network or seeded(Tiny()), METADATA)
    steps = {
        "shipped": lambda dataset: Path(f"shipped for {dataset}"),
        "load": lambda path: stored,
        "summarize": lambda stored, path, size: evaluation.Summary(f"{path}, {size} pixels", "tiny", {"bits": 32}),
        "check": lambda name, dataset: None,
    }
    evaluation.run(options, **{**steps, **special})


def test_an_evaluation_reports_what_it_measured(tmp_path, capsys):
    evaluate(parsed("--json", tmp_path / "out.json"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["test images: 6, spread over 6 classes", "shipped for digits, 32 pixels"]
    assert lines[-1].endswith("ckpt= shipped for digits")
    record = json.loads((tmp_path / "out.json").read_text())
    assert (record["samples"], record["bits"], record["dataset"]) == (6, 32, "digits")
    assert record["config"]["batch_size"] == 4 and record["seed"] == 1


def test_a_method_may_measure_more(tmp_path):
    seen = []

    def measure(task):
        metrics = task.measure(on_batch=lambda batch, outputs: seen.append(outputs[0].shape))
        return metrics, {"bits": 5, "images": len(task.images)}

    evaluate(parsed("--json", tmp_path / "out.json"), measure=measure)
    record = json.loads((tmp_path / "out.json").read_text())
    assert seen == [(4, 10), (4, 10)] and (record["bits"], record["images"]) == (5, 6)


def test_images_of_other_classes_are_refused():
    with pytest.raises(ConfigError, match="expected test images of 7 classes, found 10 classes"):
        stored = StoredNetwork(None, METADATA | {"num_classes": 7})
        evaluate(parsed(), load=lambda path: stored)


def train(folder, rate=0.01, go_on=True, **special):
    options = training.TrainingOptions(TrainConfig(1, 4, Schedule("constant", rate)), folder, "tiny", go_on)

    def start(images):
        assert (len(images.train), len(images.test), images.preprocessing) == (8, 6, DIGITS)
        return training.Start(seeded(Tiny()), {"method": "Test", "kind": "float", "network": "Tiny"})

    return training.run(parsed(evaluates=False), options, **{"start": start, "save": training.save_float, **special})


def test_a_training_leaves_the_network_to_use(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(curves, "plot", lambda *_: None)
    trainer = train(tmp_path)
    path, last = tmp_path / "tiny.ckpt", trainer.history[-1]
    line, figure = capsys.readouterr().out.splitlines()[-1], f"test accuracy {last['test_acc']:.4f} on 6 images"
    assert line == f"{path}: float, {figure}, last epoch, {path.stat().st_size} bytes"
    saved = checkpoint.load(path)
    expected = {"method": "Test", "kind": "float", "network": "Tiny", "num_classes": 10, "dataset": "digits"}
    assert {key: saved.metadata[key] for key in expected} == expected
    final = checkpoint.load(tmp_path / "final.ckpt")
    assert all(np.array_equal(final.tensors[name], value) for name, value in saved.tensors.items())
    about = {"epochs": 1, "seed": 0, "selection": "last epoch"}
    assert saved.metadata["training"] == final.metadata["training"] == about
    assert "train_samples: 8\n" in (tmp_path / "config.yaml").read_text()


def test_another_run_in_the_folder_is_answered_with_the_options_that_help(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "plot", lambda *_: None)
    train(tmp_path)
    before = (tmp_path / "last.ckpt").read_bytes()
    with pytest.raises(
        CheckpointError, match=r"another run: .* choose another --output_dir, or start anew with --no-continue$"
    ):
        train(tmp_path, rate=0.02)
    assert (tmp_path / "last.ckpt").read_bytes() == before
    assert train(tmp_path, rate=0.02, go_on=False).history[-1]["epoch"] == 1
