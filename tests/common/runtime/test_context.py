"""The global settings, each looked at in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import pytest

from common.kernels import compiler
from common.runtime import context

ROOT = Path(__file__).resolve().parents[3]
CONVOLUTION = """
import numpy as np
from mindspore import Tensor, nn
from common.runtime import context
context.setup(mode="pynative", seed=3)
conv = nn.Conv2d(16, 16, 3, pad_mode="pad", padding=1)
conv(Tensor(np.ones((2, 16, 16, 16), np.float32))).asnumpy()
"""
MISTAKES = """
import os
import mindspore as ms
from common.runtime import context
from common.errors import ConfigError
for wrong in ({"mode": "eager"}, {"device_target": "GPU"}, {"device_target": "Ascend"}, {"device_target": "TPU"}):
    try:
        context.setup(**wrong)
    except ConfigError as error:
        print("caught", error)
context.setup(mode="pynative")
print("then", ms.get_context("mode") == ms.PYNATIVE_MODE, ms.get_context("device_target"), ms.get_seed())
"""
SETTINGS = """
import gc
from mindspore._c_expression import RuntimeConf
from common.runtime import context
def state():
    return RuntimeConf.get_instance().is_launch_blocking(), gc.get_freeze_count() > 100_000
before = state()
context.setup()
count = gc.get_freeze_count()
garbage = [[] for _ in range(1000)]
context.setup()
print(*before, *state(), gc.get_freeze_count() <= count)
"""
needs_avx512 = pytest.mark.skipif(
    "avx512f" not in compiler.processor_features().split(), reason="the setting is for processors with AVX-512"
)


def python(code, **environment):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ONEDNN", "DNNL"))}
    environment = {**kept, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True).stdout


def chosen_convolutions(output):
    """Names of the implementations in oneDNN's report of what it executed."""
    lines = [line.split(",") for line in output.splitlines() if ",exec,cpu,convolution," in line]
    return [line[line.index("convolution") + 1] for line in lines]


@needs_avx512
def test_convolutions_do_not_run_on_the_reference_implementation():
    output = python(CONVOLUTION, ONEDNN_VERBOSE="1")
    chosen = chosen_convolutions(output)
    assert len(chosen) == 1 and "isa:Intel AVX2" in output
    assert "ref" not in chosen[0] and "jit" in chosen[0]


@needs_avx512
def test_a_setting_of_the_user_is_kept():
    output = python(CONVOLUTION, ONEDNN_VERBOSE="1", ONEDNN_MAX_CPU_ISA="SSE41")
    assert "isa:Intel SSE4.1" in output and len(chosen_convolutions(output)) == 1


@pytest.mark.parametrize(
    ("features", "before", "after"),
    [
        ("flags : fpu avx2 avx512f", None, "AVX2"),
        ("flags : fpu avx2 avx512f", "AVX512_CORE", "AVX512_CORE"),
        ("flags : fpu avx2", None, None),
        ("", None, None),
    ],
)
def test_setting_by_processor(monkeypatch, features, before, after):
    monkeypatch.setattr(compiler, "processor_features", lambda: features)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", before or "")
    if before is None:
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    context.prepare_onednn()
    assert os.environ.get("ONEDNN_MAX_CPU_ISA") == after


def test_operators_run_in_their_caller_and_imports_are_frozen_once():
    assert python(SETTINGS).split() == ["False", "False", "True", "True", "True"]


def test_mistakes_are_one_line_and_leave_a_process_that_works():
    lines = [line for line in python(MISTAKES).splitlines() if line.startswith(("caught", "then"))]
    assert len(lines) == 5
    assert lines[0] == "caught mode: expected one of graph, pynative, found 'eager'"
    for line, device in zip(lines[1:4], ("GPU", "Ascend", "TPU"), strict=True):
        assert line.startswith(f"caught device_target: '{device}' is not available here (") and "try CPU" in line
    assert lines[4] == "then True CPU 0"


def test_mode_of_a_block_ends_with_it():
    before = ms.get_context("mode")
    for mode, constant in (("graph", ms.GRAPH_MODE), ("pynative", ms.PYNATIVE_MODE)):
        with context.execution_mode(mode):
            assert ms.get_context("mode") == constant
        with pytest.raises(KeyError), context.execution_mode(mode):
            raise KeyError
        assert ms.get_context("mode") == before


LIMITED = """
import ctypes, os
from common.runtime import context
from common.kernels import build
from common.distributed import processors
processors._visible = lambda: 16
context.setup(mode="pynative", threads=1)
import mindspore.dataset as ds
from threadpoolctl import threadpool_info
from mindspore._c_expression import RuntimeConf
pools = {pool["num_threads"] for pool in threadpool_info()}
conf = RuntimeConf.get_instance().is_op_threads_num_configured()
print(processors.count(), pools, ds.config.get_num_parallel_workers(), conf)
"""


def test_threads_are_those_of_everything_that_computes():
    pytest.importorskip("threadpoolctl")
    assert python(LIMITED).split("\n")[0] == "1 {1} 1 True"


def test_all_processors_leave_the_libraries_alone():
    """The settings, and so the numbers, of a run without limits are those of MindSpore alone."""
    program = LIMITED.replace("lambda: 16", "lambda: 1")
    assert python(program).rstrip().endswith("False")
