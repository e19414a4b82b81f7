"""Folders that cannot keep a library, or must not, and libraries that do not load."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from stand_in_compilers import FAKE, file_names

# Compiles by copying a library that loads; refuses -march=native if REFUSE is set.
COPYING = """#!/bin/sh
[ "$1" = --version ] && { echo copy 1; exit; }
echo "$@" >>"$LOG"
case "$*" in *-march=native*) [ -z "$REFUSE" ] || { echo "error: bad value native" >&2; exit 1; } ;; esac
while [ "$1" != -o ]; do shift; done
cp "$LIBRARY" "$2"
"""


@pytest.fixture
def compiles(use_compiler, library, monkeypatch):
    """A compiler that is quick and right; returns its calls."""
    monkeypatch.setenv("LIBRARY", str(library))
    monkeypatch.delenv("REFUSE", raising=False)
    return use_compiler(COPYING)


def again(fresh):
    """What the next process would load."""
    fresh.library.cache_clear()
    return fresh.library()


def test_usual_rights_whatever_the_umask(fresh, cache, compiles):
    for mask, expected in ((0o022, 0o755), (0o000, 0o755), (0o077, 0o700)):
        shutil.rmtree(cache.parent, ignore_errors=True)
        before = os.umask(mask)
        try:
            path, _ = again(fresh)
        finally:
            os.umask(before)
        assert path.parent == cache and cache.stat().st_mode & 0o777 == expected
        assert path.stat().st_mode & 0o444 == expected & 0o444 and not path.stat().st_mode & 0o022


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "no digest", "wrong digest"])
def test_a_damaged_library_is_compiled_anew(fresh, cache, compiles, damage, capsys):
    path, _ = fresh.library()
    content, digest = path.read_bytes(), path.with_suffix(".sha256")
    damaged = {"cut": content[: len(content) // 2], "empty": b"", "changed": content[:-1] + b"?"}.get(damage, content)
    path.unlink()  # it is mapped into this process
    path.write_bytes(damaged)
    if damage.endswith("digest"):
        digest.unlink() if damage.startswith("no") else digest.write_text("0" * 64)
    assert again(fresh)[0] == path and path.read_bytes() == content and len(compiles()) == 2
    assert not capsys.readouterr().err


def test_a_compiler_without_native_is_said_once(fresh, cache, compiles, monkeypatch, capsys):
    monkeypatch.setenv("REFUSE", "1")
    path, _ = fresh.library()
    assert path.parent == cache and len(compiles()) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "bad value native" in said and "without -march=native" in said
    assert again(fresh)[0] == path and len(compiles()) == 2 and not capsys.readouterr().err
    for failed in cache.glob("*.failed"):
        yesterday = time.time() - 25 * 3600
        os.utime(failed, (yesterday, yesterday))
    assert again(fresh)[0] == path and len(compiles()) == 3 and "bad value native" in capsys.readouterr().err


def test_a_library_that_does_not_load_is_compiled_once(fresh, cache, use_compiler, capsys):
    calls = use_compiler(FAKE)
    for _ in range(2):
        assert again(fresh) is None
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "LOWBITZOO_CACHE" in said and "file too short" in said
        assert len(calls()) == 1


def test_a_place_from_which_nothing_loads_is_left_for_one_that_does(fresh, cache, compiles, monkeypatch, capsys):
    real = fresh.ctypes.CDLL

    def load(path):
        if path.startswith(str(cache)):
            raise OSError(f"{path}: failed to map segment from shared object: Operation not permitted")
        return real(path)

    monkeypatch.setattr(fresh.ctypes, "CDLL", load)
    path, _ = fresh.library()
    said = capsys.readouterr().err
    assert "home" in str(path) and said.count("\n") == 1 and "Operation not permitted" in said
    assert str(path.parent) in said and "LOWBITZOO_CACHE" in said
    assert again(fresh)[0] == path and len(compiles()) == 1 and not capsys.readouterr().err


@pytest.mark.parametrize("fault", ["open", "file", "colon", "other's"])
def test_a_place_that_is_not_fit_is_left_for_the_home_folder(fresh, cache, compiles, monkeypatch, capsys, fault):
    if fault == "open":
        cache.mkdir(parents=True)
        cache.chmod(0o777)
    elif fault == "file":
        cache.parent.write_text("not a folder")
    elif fault == "colon":
        monkeypatch.setenv("LOWBITZOO_CACHE", str(cache.parent) + ":more")
    elif os.getuid():
        pytest.skip("needs root, to give files to others")
    else:
        cache.mkdir(parents=True)
        os.chown(cache, 65534, 65534)
    path, _ = fresh.library()
    said = capsys.readouterr().err
    expected = {"open": "everybody may write", "file": "cannot be written", "colon": "colon", "other's": "another user"}
    assert "home" in str(path) and said.count("\n") == 1 and expected[fault] in said
    assert again(fresh)[0] == path and len(compiles()) == 1 and not capsys.readouterr().err
    assert fault not in ("open", "other's") or not file_names(cache)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give files to others")
def test_a_library_of_another_user_is_not_loaded(fresh, cache, compiles):
    path, _ = fresh.library()
    os.chown(path, 65534, 65534)
    assert again(fresh)[0] == path and len(compiles()) == 2 and path.stat().st_uid == 0


def test_a_full_cache_that_only_reads_is_used(fresh, cache, compiles, monkeypatch):
    path, _ = fresh.library()
    monkeypatch.setattr("common.kernels.library_file._make", None)
    assert again(fresh)[0] == path and len(compiles()) == 1


def test_the_temporary_folder_is_the_last_place(fresh, cache, compiles, monkeypatch, tmp_path):
    for name in ("LOWBITZOO_CACHE", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "compiler" / "x"))  # below a file
    path, _ = fresh.library()
    assert path.parent.parent.parent == tmp_path / "tmp" and tempfile.gettempdir() in str(path)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
def test_a_process_without_home_and_name_computes(library):
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o1777)
        for file, content in (("good.so", library.read_bytes()), ("c++", COPYING.encode())):
            (folder / file).write_bytes(content)
            (folder / file).chmod(0o755)
        program = "import os, pwd; from common.kernels import build; os.setuid(54321); print(build.library()[0])"
        places = {"LOG": "/dev/null", "LIBRARY": str(folder / "good.so"), "TMPDIR": name, "CXX": str(folder / "c++")}
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **places}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{folder}/lowbitzoo-54321/kernels/")
        assert done.stderr.count("\n") == 1 and done.stderr.startswith("warning: there is no home folder")
