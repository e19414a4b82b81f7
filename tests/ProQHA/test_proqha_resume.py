"""A search that was stopped ends as one that was not; another search in its folder is refused."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import proqha_tiny
import pytest
from proqha_tiny import records, state
from script_runs import KilledError, kill_in_step, refused, run

from common import checkpoint
from common.cli import config
from ProQHA import search
from ProQHA.progressive import Progressive

ROOT = Path(__file__).resolve().parents[2]


def contents(folder) -> dict[str, bytes]:
    """Files of a run but for its options and pictures, which a process of its own draws and these tests do not."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix not in (".yaml", ".png")}


@pytest.fixture(scope="module")
def straight(tmp_path_factory, data, tiny_float) -> Path:
    """Folder of a search of three steps that was not stopped."""
    root, patch = tmp_path_factory.mktemp("straight"), pytest.MonkeyPatch()
    patch.setattr("ProQHA.history.plots.plot_bits", lambda *_: None)
    patch.setattr("ProQHA.history.plots.plot_accuracy", lambda *_: None)
    patch.setattr("common.report.curves.plot", lambda *_: None)
    run(search, *stopped_command(data, tiny_float, root))
    patch.undo()
    return root / "run"


def stopped_command(data, tiny_float, root) -> list:
    words = [*data, "--arch", "tiny", "--mode", "pynative", "--output_dir", root, "--run_name", "run"]
    words += ["--resume", tiny_float / "final.ckpt", "--lr", 0.01, "--clip", "--step", 3, "--lam", 5]
    two_epochs = ["--train_batch_size", 32, "--search_epochs", 2]  # of one training step each
    return [*words, "--score_images", 16, *two_epochs]


def kill_before(name: str, count: int):
    """Stops at a call of a method of the search."""

    def use(patch):
        method, calls = getattr(Progressive, name), []

        def killed(*args):
            calls.append(args)
            if len(calls) == count:
                raise KilledError
            return method(*args)

        patch.setattr(Progressive, name, killed)

    return use


@pytest.mark.parametrize(
    "stop",
    [
        *[pytest.param(lambda patch, n=n: kill_in_step(patch, n), id=f"training step {n}") for n in (1, 6)],
        *[pytest.param(kill_before("_finish_step", n), id=f"before the state of step {n - 1}") for n in (1, 4)],
        *[pytest.param(kill_before("report", n), id=f"before the log of step {n - 1}") for n in (3, 4)],
        pytest.param(kill_before("_save", 5), id="before the state with the test"),
        pytest.param(kill_before("report", 5), id="before the log with the test"),
        pytest.param(kill_before("lower", 2), id="before the choice of step 2"),
    ],
)
def test_a_stopped_search_ends_as_one_that_was_not(data, tiny_float, straight, tmp_path, quickly, stop):
    words = stopped_command(data, tiny_float, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        stop(patch)
        with pytest.raises(KilledError):
            run(search, *words)
    assert not (tmp_path / "run" / "run.ckpt").exists()
    run(search, *words)
    assert contents(tmp_path / "run") == contents(straight)


def test_a_search_whose_process_is_killed_ends_as_one_that_was_not(data, tiny_float, straight, tmp_path, quickly):
    words = stopped_command(data, tiny_float, tmp_path)
    command = [sys.executable, proqha_tiny.__file__, 4, *words, "--threads", 1]
    places = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "ProQHA")))
    ended = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "PYTHONPATH": places},
        cwd=tmp_path,
        capture_output=True,
        timeout=600,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-2000:]
    assert [record["step"] for record in records(tmp_path / "run")] == [0, 1]
    assert (tmp_path / "run" / "step_02" / "last.ckpt").exists()
    run(search, *words)
    assert contents(tmp_path / "run") == contents(straight)


def test_a_finished_search_given_again_changes_nothing(data, tiny_float, straight, quickly):
    before = contents(straight)
    lines = run(search, *stopped_command(data, tiny_float, straight.parent))
    assert contents(straight) == before and "after 3 steps" in lines[-1]
    saved = config.parse(search.make_parser(), ["--config", str(straight / "config.yaml")])
    assert (saved.step, saved.lam, saved.clip, saved.search_epochs) == (3, 5, True, 2)


def test_a_finished_search_may_go_on_for_more_steps(data, tiny_float, straight, tmp_path, quickly):
    shutil.copytree(straight, tmp_path / straight.name)
    lines = run(search, *stopped_command(data, tiny_float, tmp_path), "--step", 4)
    assert "after 4 steps" in lines[-1]
    before, after = (
        checkpoint.load(folder / straight.name / "search.ckpt").metadata["search"]["records"]
        for folder in (straight.parent, tmp_path)
    )
    assert after[: len(before)] == before and len(after) == len(before) + 1


@pytest.mark.parametrize(
    "words",
    [
        ["--lr", 0.02],
        ["--lam", 6],
        ["--seed", 2],
        ["--cost", 0.2],
        ["--interval", 2],
        ["--score", "adam"],
        ["--train_batch_size", 16],
        ["--weight_decay", 0.1],
        ["--no-clip"],
        ["--score_images", 8],
        ["--activation_clip", 10],
        ["--bits", 7],
        ["--train_samples", 32],
    ],
    ids=lambda words: words[0],
)
def test_another_option_in_the_same_folder_is_refused(capsys, data, tiny_float, straight, quickly, words):
    before, command = contents(straight), stopped_command(data, tiny_float, straight.parent)
    if words == ["--no-clip"]:
        words = command.remove("--clip") or []
    line = refused(capsys, search, *command, *words)
    assert "belongs to another search" in line and "--no-continue" in line
    assert contents(straight) == before


def test_a_search_that_starts_anew_leaves_nothing_of_the_one_before(data, tiny_float, straight, tmp_path, quickly):
    words = stopped_command(data, tiny_float, tmp_path)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        kill_in_step(patch, 4)
        run(search, *words)
    assert (tmp_path / "run" / "step_02").exists()
    run(search, *words, "--lr", 0.02, "--no-continue")
    assert state(tmp_path / "run" / "search.ckpt")[1]["options"]["score"]["lr"] == 0.02
    assert {path.name for path in (tmp_path / "run").iterdir()} == {*contents(straight), "config.yaml"} and len(
        records(tmp_path / "run")
    ) == 4
