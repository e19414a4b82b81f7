"""The pictures of a training."""

from dataclasses import replace

import pytest
import training_run as run
from matplotlib.image import imread

from common.errors import ConfigError
from common.report import curves, figure

HISTORY = [
    {"epoch": 1, "loss": 2.0, "acc": 0.25, "validation_acc": 0.2},
    {"epoch": 2, "loss": 1.0, "acc": 0.5, "validation_acc": 0.6, "test_acc": 0.7},
]


def check_picture(path):
    picture = imread(path)
    assert picture.ndim == 3 and min(picture.shape[:2]) > 100 and picture[..., :3].std() > 0.01


def test_a_run_draws_its_curves(tmp_path, pynative):
    run.trainer(tmp_path, replace(run.CONFIG, epochs=1)).run()
    check_picture(tmp_path / "curves.png")


def test_curves_of_what_epochs_record(tmp_path, monkeypatch):
    drawn, save = [], figure.save
    monkeypatch.setattr(figure, "save", lambda picture, path: (drawn.append(picture), save(picture, path)))
    curves.plot(HISTORY, tmp_path / "curves.png")
    check_picture(tmp_path / "curves.png")
    loss, accuracy = drawn[0].axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in accuracy.lines}
    assert lines == {"training": [[1, 0.25], [2, 0.5]], "validation": [[1, 0.2], [2, 0.6]], "test": [[2, 0.7]]}
    assert [line.get_xydata().tolist() for line in loss.lines] == [[[1, 2], [2, 1]]]
    curves.plot([{**HISTORY[0]}, {"epoch": 2, "loss": 1, "acc": 0.5}], tmp_path / "curves.png")
    lines = {line.get_label(): line.get_xydata().tolist() for line in drawn[1].axes[1].lines}
    assert lines == {"training": [[1, 0.25], [2, 0.5]], "validation": [[1, 0.2]]}  # not every epoch is validated


@pytest.mark.parametrize("place", ["folder", "absent/curves.png", "file/curves.png"])
def test_picture_that_cannot_be_written(tmp_path, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("no folder")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=f"cannot write .*{place}.*--output_dir") as caught:
        curves.plot(HISTORY, tmp_path / place)
    assert "\n" not in str(caught.value) and sorted(tmp_path.rglob("*")) == before
