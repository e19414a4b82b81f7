"""Address and undefined-behaviour sanitizers over random programs, and over one whose memory is too small."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.engine.library import recipe
from common.kernels import compiler

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parent
FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """The library with sanitizers, and the run-time library that Python must load first."""
    words = compiler.compiler()
    if words is None:
        pytest.skip("needs a C++ compiler")
    asked = subprocess.run([*words, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    runtime = asked.stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("the compiler has no libasan.so")
    path = tmp_path_factory.mktemp("sanitized") / "engine.so"
    recipe(FLAGS).make(path)
    return path, runtime


def run(sanitized, first, last, missing=0):
    path, runtime = sanitized
    environment = os.environ | {
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": os.pathsep.join([str(FOLDER), str(FOLDER.parents[2])]),
    }
    words = [sys.executable, str(FOLDER / "sanitized_run.py"), str(path), str(first), str(last), str(missing)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def test_random_programs_are_clean(sanitized):
    done = run(sanitized, 0, 60)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "clean"


def test_too_small_a_memory_is_seen(sanitized):
    done = run(sanitized, 0, 1, missing=10**4)
    assert done.returncode != 0 and "AddressSanitizer" in done.stderr
