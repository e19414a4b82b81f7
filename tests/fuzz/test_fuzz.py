"""A few thousand damaged files of all formats: what ``python -m tests.fuzz`` tries more of."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.errors import CheckpointError
from tests.fuzz import run
from tests.fuzz.mutate import damaged, damaged_document
from tests.fuzz.targets import Target

ROOT = Path(__file__).resolve().parents[2]


def fuzz(*words):
    command = [sys.executable, "-m", "tests.fuzz", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)


def test_no_damaged_file_does_more_than_be_refused_or_read():
    done = fuzz("--mutations", "2500", "--seed", "7")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert re.search(r"^25\d\d mutations, 0 faults\n$", done.stdout)


def planted(read, tmp_path, checksum=False):
    target = Target("planted", [b"0123456789" * 20], "file", read, checksum=checksum)
    return run.fuzz(target, range(20), 1, tmp_path)


def changed(folder):
    return (folder / "file").read_bytes() != b"0123456789" * 20


def raising(error):
    def read(folder):
        if changed(folder):
            raise error

    return read


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ValueError("x"), "ValueError: 'x'"),
        (SystemExit(2), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (CheckpointError(""), "not one line"),
        (CheckpointError("damaged (MemoryError: )"), "out of memory, caught"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_planted_fault_is_seen(tmp_path, error, fault):
    outcome = planted(raising(error), tmp_path)
    assert outcome.faults and all(fault in line for line in outcome.faults)


def test_a_refusal_is_no_fault(tmp_path):
    outcome = planted(raising(CheckpointError("one line")), tmp_path)
    assert not outcome.faults and outcome.counts["refused"] >= 15


def test_a_silent_change_is_a_fault_where_a_checksum_is(tmp_path):
    def read(folder):
        return (folder / "file").read_bytes()

    assert not planted(read, tmp_path).faults
    assert "changed in silence" in planted(read, tmp_path, checksum=True).faults[0]


def test_what_takes_long_or_much_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "SECONDS", -1.0)
    assert "took 0.0 s" in planted(changed, tmp_path).faults[0]
    monkeypatch.setattr(run, "BYTES", -1)
    assert "MiB" in planted(changed, tmp_path).faults[0]


def test_a_mutation_depends_on_its_number_and_the_seed_alone(tmp_path):
    seen = []

    def read(folder):
        seen.append((folder / "file").read_bytes())

    target = Target("planted", [bytes(range(200))], "file", read)
    run.fuzz(target, range(30), 3, tmp_path)
    run.fuzz(target, range(20, 30), 3, tmp_path)
    assert seen[20:30] == seen[30:] and len(set(seen)) > 25


@pytest.mark.parametrize("content", [b"", b"a", bytes(1000)])
def test_every_content_can_be_damaged(content):
    rng = np.random.default_rng(0)
    assert sum(damaged(content, rng, [b"token"]) != content for _ in range(200)) > 100


def test_documents_are_damaged_and_the_given_one_stays():
    rng, document = np.random.default_rng(0), {"a": [1, {"b": 2}], "c": "x"}
    assert sum(damaged_document(document, rng) != document for _ in range(50)) > 40
    assert document == {"a": [1, {"b": 2}], "c": "x"}
