"""A search with ``--validation``: what it measures after its steps, what it keeps from training, and its end."""

import csv

import numpy as np
import pytest
from script_runs import KilledError, kill_in_step, run

from common.report import figure
from ProQHA import plots, search, searching

ROWS = [{"step": step, "cost": 0.25 - step / 16} for step in range(3)]


@pytest.fixture(scope="module")
def even_cifar(tmp_path_factory):
    """Options that name 60 training and 20 test images, as many of each class."""
    root, rng = tmp_path_factory.mktemp("even"), np.random.default_rng(0)
    parts = (("cifar-10-batches-bin", "data_batch_1.bin", 60), ("cifar-10-verify-bin", "test_batch.bin", 20))
    for folder, name, count in parts:
        labels = np.arange(count) % 10
        pixels = np.clip(rng.normal(25 * labels[:, None], 20, (count, 3072)), 0, 255)
        (root / folder).mkdir()
        (root / folder / name).write_bytes(np.c_[labels, pixels].astype(np.uint8).tobytes())
    return ["--dataset_path", root, "--batch_size", 20]


@pytest.fixture
def validated(even_cifar, tiny_float, tmp_path):
    """A command of a search in a folder of this name."""

    def words(name: str) -> list:
        words = [*even_cifar, "--arch", "tiny", "--mode", "pynative", "--output_dir", tmp_path, "--run_name", name]
        words += ["--resume", tiny_float / "final.ckpt", "--lr", 0.01, "--step", 2, "--lam", 5, "--score_images", 16]
        return [*words, "--search_epochs", 1, "--validation", 20]

    return words


def log(folder) -> list[dict[str, str]]:
    with (folder / "search_log.csv").open() as file:
        return list(csv.DictReader(file))


def test_each_step_is_validated_and_the_last_one_tested(validated, tmp_path, monkeypatch, quickly):
    kept, real = [], searching.make_search

    def seen(options, chosen, images, parts):
        kept.append((images.train, parts))
        return real(options, chosen, images, parts)

    monkeypatch.setattr(searching, "make_search", seen)
    lines = run(search, *validated("run"), "--score", "acc", "--held_out", 10)
    ((train, parts),) = kept
    assert (len(train), len(parts.validation), len(parts.scoring)) == (30, 20, 10)
    pixels = [{image.tobytes() for image in part.images} for part in (train, parts.validation, parts.scoring)]
    assert len(set.union(*pixels)) == 60 and set(np.bincount(parts.validation.labels)) == {2}
    rows = log(tmp_path / "run")
    assert all(0 <= float(row["validation_acc"]) <= 1 for row in rows)
    assert [bool(row["test_acc"]) for row in rows] == [False, False, True]
    assert "on 20 images, last step, " in lines[-1]


def test_a_killed_search_ends_as_one_that_was_not(validated, tmp_path, quickly):
    run(search, *validated("straight"))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        kill_in_step(patch, 3)
        run(search, *validated("killed"))
    run(search, *validated("killed"))
    assert log(tmp_path / "killed") == log(tmp_path / "straight")
    for name in ("search.ckpt", "straight.ckpt"):
        other = name.replace("straight", "killed")
        assert (tmp_path / "killed" / other).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_another_number_is_another_search(capsys, validated, quickly):
    run(search, *validated("run"))
    with pytest.raises(SystemExit):
        run(search, *validated("run")[:-2])
    assert "belongs to another search" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["validation_acc", "test_acc"])
def test_the_picture_says_what_it_shows(tmp_path, monkeypatch, key):
    drawn, save = [], figure.save
    monkeypatch.setattr(figure, "save", lambda picture, path: (drawn.append(picture), save(picture, path)))
    rows = [*ROWS[:2], {**ROWS[2], key: 0.5}]
    plots.plot_accuracy(tmp_path / "accuracy.png", rows)
    (axes,) = drawn[0].axes
    assert {line.get_label(): line.get_xydata().tolist() for line in axes.lines} == {key[:-4]: [[0.125, 50]]}
    assert ("--validation N" in axes.get_title()) == (key == "test_acc")
