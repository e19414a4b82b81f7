"""Unfinished files of processes that were killed."""

import os
import subprocess
import sys
import time

import pytest

from common.files import temporary
from common.files.atomic_file import write_atomically


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def named(path, process=None, machine=None):
    name = temporary.beside(path).name
    name = name.replace(f"-{os.getpid()}-", f"-{process or os.getpid()}-")
    return path.with_name(name.replace(temporary._machine(), machine or temporary._machine()))


def test_those_of_dead_processes_go_and_others_stay(tmp_path, dead):
    stale = [named(tmp_path / name, dead) for name in ("last.ckpt", "a.b c.json", "ß")]
    alive = [named(tmp_path / "last.ckpt"), named(tmp_path / "last.ckpt", 1)]
    alive += [named(tmp_path / "last.ckpt", dead, "00000000")]
    users = [tmp_path / name for name in ("notes.tmp", ".notes.tmp", ".x.12345678.tmp", "last.ckpt", ".x.lock")]
    for path in (*stale, *alive, *users):
        path.write_text("")
    temporary.remove_stale(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (*alive, *users)}


def test_old_ones_of_another_machine_go(tmp_path, dead):
    path = named(tmp_path / "last.ckpt", dead, "00000000")
    path.write_text("")
    yesterday = time.time() - 25 * 3600
    os.utime(path, (yesterday, yesterday))
    temporary.remove_stale(tmp_path)
    assert not path.exists()


def test_a_write_cleans_its_folder(tmp_path, dead):
    named(tmp_path / "last.ckpt", dead).write_text("half of")
    write_atomically(tmp_path / "other.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["other.json"]


def test_a_killed_writer_leaves_a_name_that_says_whose_it_is(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path; from common.files import atomic_file\n"
        "atomic_file.put_in_place = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic_file.write_atomically(Path(sys.argv[1]), b'data')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "last.ckpt")], env=environment, check=False)
    assert len(list(tmp_path.iterdir())) == 1 and not (tmp_path / "last.ckpt").exists()
    temporary.remove_stale(tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_folder_is_no_error(tmp_path):
    temporary.remove_stale(tmp_path / "absent")
