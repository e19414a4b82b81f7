"""The comparison of endings, on folders that differ in one way each; and one kill of the shortest job."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from killing.endings import Ending
from killing.jobs import jobs

from common import checkpoint

ROOT = Path(__file__).resolve().parents[1]


def fill(folder, seconds=1.0, loss=0.5, accuracy=0.9, weight=1.0, epoch=3):
    folder.mkdir()
    history = [{"epoch": epoch, "acc": accuracy, "loss": loss, "seconds": seconds}]
    checkpoint.save(folder / "last.ckpt", {"w": np.full(4, weight, np.float32)}, {"history": history})
    (folder / "metrics.jsonl").write_text(json.dumps(history[0]) + "\n")
    (folder / "results.json").write_text(json.dumps({"stages": {"admm": seconds}, "acc": accuracy}))
    (folder / "results.csv").write_text(f"dataset,method,budget,seed,seconds\na,b,4,1,{seconds}\na,c,4,1,2\n")
    (folder / "results.md").write_text(f"| method | s |\n|---|---|\n| a | {seconds} |\n")
    return folder


def ending(tmp_path, **changes):
    return Ending(fill(tmp_path / "one"), fill(tmp_path / "other", **changes))


def test_the_same_is_the_same(tmp_path):
    found = ending(tmp_path)
    assert not found.faults and not found.allowed


def test_times_are_listed_by_name(tmp_path):
    found = ending(tmp_path, seconds=2.0)
    assert not found.faults and found.allowed >= {"seconds", "s"}


def test_the_last_bit_of_the_loss_is_listed(tmp_path):
    found = ending(tmp_path, loss=float(np.nextafter(np.float32(0.5), 1)))
    assert not found.faults and found.allowed == {"last bits of loss"}


@pytest.mark.parametrize(
    ("change", "files"),
    [
        ({"loss": 0.51}, {"last.ckpt", "metrics.jsonl"}),
        ({"accuracy": 0.91}, {"last.ckpt", "metrics.jsonl", "results.json"}),
        ({"epoch": 4}, {"last.ckpt", "metrics.jsonl"}),
        ({"weight": float(np.nextafter(np.float32(1), np.float32(2)))}, {"last.ckpt"}),
    ],
)
def test_all_else_is_a_fault(tmp_path, change, files):
    faults = ending(tmp_path, **change).faults
    assert {fault.partition("/")[0] for fault in faults} == files


def test_files_left_behind_missing_or_unknown(tmp_path):
    one, other = fill(tmp_path / "one"), fill(tmp_path / "other")
    (other / ".last.ckpt.00000000-1-00000000.tmp").write_text("")
    (one / "best.ckpt").write_text("")
    for folder, text in ((one, "1"), (other, "2")):
        (folder / "notes.txt").write_text(text)
        (folder / "blanks.json").write_text("{}" + " " * int(text))
    assert Ending(one, other).faults == [
        "best.ckpt: missing",
        ".last.ckpt.00000000-1-00000000.tmp: left behind",
        "blanks.json: differs in its bytes, not in its values",
        "notes.txt: differs",
    ]


def test_rows_of_results_may_come_in_any_order(tmp_path):
    one, other = fill(tmp_path / "one"), fill(tmp_path / "other")
    (other / "results.csv").write_text("dataset,method,budget,seed,seconds\na,c,4,1,2\na,b,4,1,9\n")
    found = Ending(one, other)
    assert not found.faults and found.allowed == {"seconds"}


def test_every_job_names_a_script():
    for name, job in jobs("http://127.0.0.1:1").items():
        assert (job.folder / job.words[0]).is_file(), name


@pytest.mark.slow
def test_a_download_that_is_killed(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "kill_test.py"), "--jobs", "download", "--kills", "3"]
    done = subprocess.run([*command, "--work_dir", str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("download: 3 kills in ") and done.stdout.endswith("but for: nothing\n")
