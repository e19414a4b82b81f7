"""Thousands of damaged runtime files under sanitizers; ``python -m tests.fuzz.runtime_files`` tries more."""

import re

import pytest

from common.engine.library import library
from common.kernels.compiler import BuildError
from tests.fuzz import runtime_files

pytestmark = pytest.mark.slow  # the driver is compiled


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    if library() is None:
        pytest.skip("needs a C++ compiler")
    try:
        return runtime_files.build(tmp_path_factory.mktemp("driver") / "driver")
    except BuildError as error:
        pytest.skip(str(error))


def test_no_damaged_file_does_more_than_be_refused_or_computed_alike(driver, tmp_path):
    files = runtime_files.write_intact(tmp_path)
    done = runtime_files.run(driver, files, 5, 0, 5000)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    counts = dict(re.findall(r"(\w+) (\d+)", done.stdout))
    refused, opened, computed = (int(counts[name]) for name in ("refused", "opened", "computed"))
    assert refused + opened == 5000 and opened >= computed > 50  # what is right by chance, or changes no bound


def test_an_intact_file_that_is_refused_is_a_fault(driver, tmp_path):
    (tmp_path / "net.lowbit").write_bytes(runtime_files.intact()[0][:-1])
    done = runtime_files.run(driver, [tmp_path / "net.lowbit"], 1, 0, 1)
    assert done.returncode == 1 and done.stdout.startswith("fault: an intact file is refused")
