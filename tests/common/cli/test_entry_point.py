"""How scripts end: mistakes, Ctrl-C, closed pipes and full disks."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.cli.entry_point import entry_point, kept

ROOT = Path(__file__).resolve().parents[3]
PRINTS = """
from common.cli.entry_point import entry_point
@entry_point
def main():
    for number in range({lines}):
        print(number)
main()
"""
LIST = [sys.executable, "-m", "lowbitzoo", "list"]


def run(words, **settings):
    settings = {"stderr": subprocess.PIPE, "text": True, "timeout": 120, "check": False, **settings}
    return subprocess.run(words, env=os.environ | {"PYTHONPATH": str(ROOT)}, **settings)


def printing(lines):
    return [sys.executable, "-c", PRINTS.format(lines=lines)]


def ended(raised):
    """Status with which a script ends that raises something."""

    @entry_point
    def main():
        raise raised

    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


@pytest.mark.parametrize("words", [printing(1), printing(100_000), LIST], ids=["short", "long", "list"])
def test_a_closed_pipe_is_a_quiet_end(words):
    reading, writing = os.pipe()
    os.close(reading)
    done = run(words, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [printing(1), printing(100_000), LIST], ids=["short", "long", "list"])
def test_a_full_disk_is_one_line(words):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = run(words, stdout=full)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr == "error: what is printed cannot be written (No space left on device)\n"


def test_no_stdout_and_no_stderr_at_all():
    for closing in (">&-", "2>&-", ">&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"):
        line = " ".join(["exec", *(f"'{word}'" for word in LIST), closing])
        done = run(["bash", "-c", line], stdout=subprocess.PIPE)
        assert done.returncode == (1 if ">/dev/full 2" in closing else 0) and not done.stderr, closing
    done = run(["bash", "-c", f"exec '{sys.executable}' -m lowbitzoo nonesuch 2>&-"], stdout=subprocess.PIPE)
    assert done.returncode == 2


def test_other_faults_of_files_are_not_hidden(tmp_path):
    @entry_point
    def main():
        (tmp_path / "absent").read_bytes()

    with pytest.raises(FileNotFoundError):
        main()


def test_ctrl_c_is_one_line(capsys):
    assert ended(KeyboardInterrupt()) == 130 and capsys.readouterr().err == "interrupted\n"


@pytest.fixture
def not_ignored():
    """SIGINT as in a terminal: tests that a shell runs in the background inherit that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("not_ignored")
def test_ctrl_c_says_what_is_kept(capsys):
    @entry_point
    def main():
        with kept(Path("runs/a")):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 130
    assert capsys.readouterr().err == (
        "interrupted; what is finished is kept in runs/a; give the same command again to go on from there\n"
    )


def test_the_handler_of_others_comes_back():
    def other(*_):
        pass

    before = signal.signal(signal.SIGINT, other)
    try:
        assert ended(KeyboardInterrupt()) == 130 and signal.getsignal(signal.SIGINT) is other
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        entry_point(lambda: os.kill(os.getpid(), signal.SIGINT))()  # under nohup nothing happens
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.training
@pytest.mark.parametrize("seconds", [0, 2])
def test_ctrl_c_in_a_training(tmp_path, seconds):
    command = [sys.executable, str(ROOT / "DAMBQ" / "train.py"), "--train_samples", "256", "--num_samples", "36"]
    command += ["--epochs", "200", "--batch_size", "32", "--output_dir", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        end = time.monotonic() + 300
        while not list(tmp_path.rglob("metrics.jsonl")) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    last = errors.decode().splitlines()[-1]
    assert process.returncode == 130, errors.decode()
    assert last.rpartition("\r")[2].startswith("interrupted; what is finished is kept in ") and "go on" in last
