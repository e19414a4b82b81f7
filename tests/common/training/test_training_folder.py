"""What a run does with a folder that holds another run, or a damaged one."""

import shutil
from dataclasses import replace

import pytest
import training_run as run

from common.errors import CheckpointError
from common.runtime.context import execution_mode
from common.training import OtherRunError, Schedule


@pytest.fixture(autouse=True, scope="module")
def quickly():
    """PyNative mode has nothing to compile for a network of this size."""
    with execution_mode("pynative"):
        yield


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    run.trainer(folder).run()
    return folder


@pytest.mark.parametrize(
    "change",
    [
        {"config": replace(run.CONFIG, epochs=4)},
        {"config": replace(run.CONFIG, seed=6)},
        {"config": replace(run.CONFIG, schedule=Schedule("cosine", 0.06, warmup_epochs=1))},
        {"config": replace(run.CONFIG, optimizer="adam")},
        {"source": run.images(21)},
        {"metadata": {"network": "other"}},
    ],
    ids=["epochs", "seed", "rate", "optimizer", "data", "network"],
)
def test_another_run_in_the_folder(straight, tmp_path, change):
    shutil.copytree(straight, tmp_path / "copy")
    before = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    with pytest.raises(OtherRunError, match="belongs to another run"):
        run.trainer(tmp_path / "copy", **change).run()
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == before


def damaged(content, kind):
    if kind == "empty":
        return b""
    if kind == "half":
        return content[: len(content) // 2]
    if kind == "short":
        return content[:-1]
    if kind == "byte":
        return content[:-300] + bytes([content[-300] ^ 1]) + content[-299:]
    return b"not a checkpoint " * 100


@pytest.mark.parametrize("kind", ["empty", "half", "short", "byte", "text"])
def test_damaged_checkpoint(straight, tmp_path, kind):
    last = tmp_path / "last.ckpt"
    last.write_bytes(damaged((straight / "last.ckpt").read_bytes(), kind))
    before = last.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        run.trainer(tmp_path).run()
    assert "last.ckpt" in str(caught.value) and "\n" not in str(caught.value)
    assert last.read_bytes() == before


def test_checkpoint_of_something_else(straight, tmp_path):
    shutil.copy(straight / "final.ckpt", tmp_path / "last.ckpt")
    with pytest.raises(OtherRunError, match="belongs to another run"):
        run.trainer(tmp_path).run()


def test_starting_anew(straight, tmp_path):
    (tmp_path / "last.ckpt").write_bytes(b"damaged")
    run.trainer(tmp_path).run(go_on=False)
    run.check_equal(tmp_path, straight)
