"""Processes that fetch the same checkpoint at once, or are killed while they do."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest
from zoo_server import CONTENT

from common.zoo.registry import ROOT

# The command line of a process in which ``published-net`` is registered as in the fixture ``entry``.
COMMAND = """
import sys
from dataclasses import replace
from common.cli import program
from common.zoo import registry
digest, size, *words = sys.argv[1:]
known = registry.find("resnet20-cifar10")
registry.entries()["published-net"] = replace(
    known, name="published-net", file="net.ckpt", size=int(size), sha256=digest
)
program.main(words, None)
"""


@pytest.fixture
def start(cache, server):
    """Start a download from the server in a process of its own."""

    def run():
        digest = hashlib.sha256(CONTENT).hexdigest()
        words = [digest, str(len(CONTENT)), "download", "published-net", "--mirrors", server.address]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-c", COMMAND, *words], env=environment, **pipes)

    return run


def test_one_of_two_processes_fetches_and_both_get_the_file(start, server, cache):
    server.faults = ["slow", "slow"]
    processes = [start(), start()]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert [out.strip() for out, _ in outputs] == [str(cache / "net.ckpt")] * 2
    assert server.requests == [0] and (cache / "net.ckpt").read_bytes() == CONTENT


def test_a_killed_process_leaves_the_lock_free_and_the_next_continues(start, server, cache):
    server.faults = ["stall"]
    server.stall_seconds = 20
    process, part = start(), cache / ".net.ckpt.part"
    end = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size == len(CONTENT) // 2) and time.monotonic() < end:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (cache / "net.ckpt").exists()
    again = start()
    out, err = again.communicate(timeout=120)
    assert (again.returncode, out.strip()) == (0, str(cache / "net.ckpt")), err
    assert server.requests == [0, len(CONTENT) // 2] and (cache / "net.ckpt").read_bytes() == CONTENT


def test_ctrl_c_keeps_what_arrived_and_ends_with_one_line(start, server, cache):
    server.faults = ["stall"]
    server.stall_seconds = 20
    process, part = start(), cache / ".net.ckpt.part"
    end = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.strip().endswith("interrupted")
    assert not (cache / "net.ckpt").exists() and part.stat().st_size > 0
