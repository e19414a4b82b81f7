"""The launch scripts of several processes."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(script, *words, cwd=ROOT, **environment):
    command = ["bash", str(ROOT / "scripts" / script), *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=500, env=os.environ | environment, check=False
    )


@pytest.mark.parametrize("script", ["run_distribute_eval.sh", "run_distribute_train.sh"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "expected a METHOD and the number of PROCESSES"),
        (("LDNQ",), "expected a METHOD and the number of PROCESSES"),
        (("LDNQ", "--batch_size", 2), "found 'LDNQ' '--batch_size'"),
        (("LDNQ", 0), "found 'LDNQ' '0'"),
        (("Nonesuch", 2), "expected a METHOD among: AdderQuant DAMBQ"),
    ],
)
def test_what_is_missing_is_said_in_one_line(script, words, expected):
    done = run(script, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1) and expected in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("method", ["AdderQuant", "DAMBQ", "DynamicQuant", "LDNQ", "ProQHA"])
def test_two_processes_evaluate_to_the_integers_of_one(tmp_path, method):
    records = []
    for words in (("run_eval.sh", method), ("run_distribute_eval.sh", method, 2)):
        done = run(*words, "--num_samples", 101, "--batch_size", 16, "--json", "found.json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("result: ") == 1
        records.append(json.loads((tmp_path / "found.json").read_text()))
    one, two = records
    assert [one[key] for key in ("acc", "top_5_acc", "samples")] == [
        two[key] for key in ("acc", "top_5_acc", "samples")
    ]
    assert one["samples"] == 101 and one["loss"] == pytest.approx(two["loss"], rel=1e-5)


@pytest.mark.slow
def test_a_mistake_is_the_one_line_of_the_program(tmp_path):
    done = run("run_distribute_eval.sh", "LDNQ", 2, "--checkpoint_path", "absent.ckpt", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: ") and "absent.ckpt" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("node", [0, 1])
def test_a_node_that_waits_for_another_in_vain_ends_in_time(tmp_path, node):
    begun = time.monotonic()
    done = run("run_distribute_eval.sh", "LDNQ", 1, cwd=tmp_path, NODES="2", NODE=str(node), START_SECONDS="20")
    assert time.monotonic() - begun < 20
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "not all 2 processes" in done.stderr or "no scheduler answers at 127.0.0.1:8118" in done.stderr
