"""Variables of the launcher that were left in the environment of a single process, and processes that never come."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.distributed import launch
from common.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
COMPLETE = {"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "2", "MS_SCHED_HOST": "127.0.0.1", "MS_SCHED_PORT": "1"}


@pytest.fixture
def environment(monkeypatch):
    """Sets variables of the launcher, and no others."""
    for name in (*COMPLETE, "START_BY", "START_SECONDS", "MS_TOPO_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)

    def apply(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return apply


def test_a_process_without_them_runs_alone(environment):
    assert launch.launched() is None
    environment(MS_SCHED_HOST="127.0.0.1", MS_WORKER_NUM="2")
    assert launch.launched() is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"MS_SCHED_PORT": ""}, "MS_ROLE=MS_WORKER is set in the environment, but MS_SCHED_PORT is not"),
        ({"MS_SCHED_HOST": ""}, "but MS_SCHED_HOST is not"),
        ({"MS_WORKER_NUM": ""}, "but MS_WORKER_NUM is not"),
        ({"MS_ROLE": ""}, "MS_ROLE: expected MS_WORKER or MS_SCHED in the environment, found ''"),
        ({"MS_ROLE": "MS_PSERVER"}, "found 'MS_PSERVER'"),
        ({"MS_ROLE": "MS_SCHED"}, "MS_ROLE=MS_SCHED is set in the environment, but no launcher"),
        ({"MS_SCHED_PORT": "http"}, "MS_SCHED_PORT: expected a number"),
        ({"MS_WORKER_NUM": "-1"}, "MS_WORKER_NUM: expected a number"),
    ],
)
def test_what_no_launcher_can_have_set_is_refused_at_once(environment, changes, words):
    environment(**{**COMPLETE, **changes})
    with pytest.raises(ConfigError, match=words) as caught:
        launch.launched()
    assert "unset it" in str(caught.value)


@pytest.mark.parametrize("address", [("127.0.0.1", "1"), ("127.0.0.1", "99999"), ("nonesuch.invalid", "80")])
def test_a_scheduler_that_does_not_answer_is_refused_in_time(environment, address):
    environment(**{**COMPLETE, "MS_SCHED_HOST": address[0], "MS_SCHED_PORT": address[1], "START_SECONDS": "1"})
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=f"MS_ROLE=MS_WORKER.*no scheduler answers at {address[0]}.*unset it"):
        launch.launched().wait_for_scheduler()
    assert time.monotonic() - begun < 5


def test_a_scheduler_that_answers_is_enough(environment):
    with socket.create_server(("127.0.0.1", 0)) as server:
        environment(**{**COMPLETE, "MS_SCHED_PORT": str(server.getsockname()[1]), "START_SECONDS": "30"})
        launch.launched().wait_for_scheduler()
    assert 25 < int(os.environ["MS_TOPO_TIMEOUT"]) <= 30


def test_the_end_is_that_of_the_start_script(environment):
    environment(**COMPLETE, START_BY="1000", START_SECONDS="30")
    assert launch.launched().end == 1000
    with pytest.raises(ConfigError):
        launch.launched().wait_for_scheduler()


@pytest.mark.parametrize(("seconds", "expected"), [(0.1, -9), (60, 0)])
def test_a_wait_that_lets_no_thread_run_ends(environment, seconds, expected):
    program = (
        "import ctypes, time; from common.distributed.launch import Launch\n"
        f"with Launch('MS_WORKER', 'h', 1, time.time() + {seconds}).bounded():\n"
        "    ctypes.PyDLL(None).usleep(2_000_000)"  # keeps the interpreter's lock
    )
    words = os.environ | {"PYTHONPATH": str(ROOT), "MS_WORKER_NUM": "2"}
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], env=words, capture_output=True, text=True, timeout=60)
    assert done.returncode == expected and time.monotonic() - begun < 20
    assert done.stderr.startswith("error: not all 2 processes") == (expected != 0) and done.stderr.count("\n") < 2


@pytest.mark.parametrize("script", ["DAMBQ/eval.py"])
def test_a_role_left_behind_is_one_line_of_a_script(script, tmp_path):
    words = {**os.environ, "PYTHONPATH": str(ROOT), **COMPLETE, "START_SECONDS": "1"}
    command = [sys.executable, str(ROOT / script), "--num_samples", "10"]
    done = subprocess.run(command, cwd=tmp_path, env=words, capture_output=True, text=True, timeout=120)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("[WARNING]")]
    assert done.returncode == 2 and len(lines) == 1 and "MS_ROLE" in lines[0]
