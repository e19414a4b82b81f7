"""Device, execution mode, seed and threads: the only place that touches MindSpore's global state."""

import contextlib
import functools
import gc
import os
from collections.abc import Iterator

import mindspore as ms

from common import distributed
from common.distributed import processors
from common.errors import ConfigError
from common.kernels import build, compiler
from common.runtime import thread_limits

MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}


def prepare_onednn() -> None:
    """Keep oneDNN off its reference convolution on processors with AVX-512.

    There the oneDNN inside MindSpore 2.10 picks ``jit_uni_ncsp:conv+ref`` (about 1 GFLOP/s) for float convolutions;
    held to AVX2 it picks ``gemm:jit`` (50-100 GFLOP/s). It reads the variable at the first operator, so this must run
    before. A value that the user has set is kept; processors without AVX-512 are left alone.
    """
    if "avx512f" in compiler.processor_features().split():
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")


@functools.cache
def freeze_imports() -> None:
    """Leave what has been imported out of all garbage collections.

    MindSpore collects at each compilation; with the libraries' objects, which live on anyway, that took a fifth of a
    training of two epochs on the digits. Only the first call counts: later ones would keep garbage.
    """
    gc.freeze()


def run_synchronously() -> None:
    """Let the thread that calls an operator wait until it is done.

    Otherwise MindSpore hands operators from thread to thread, each of which waits by spinning: on a CPU these take the
    cores that the operators need. A step of training in PYNATIVE mode takes 1.2 times as long on two cores and 1.5
    times as long on one, in GRAPH mode as long on two cores and 1.2 times as long on one.
    """
    ms.runtime.launch_blocking()


def setup(
    device_target: str = "CPU",
    mode: str = "graph",
    seed: int = 0,
    threads: int | None = None,
    device_id: int | None = None,
) -> None:
    """Choose where and how everything runs, and join the other processes; call once, before the first operator.

    Args:
        device_target: ``CPU``, ``GPU`` or ``Ascend``.
        mode: ``graph`` (compiled, the default) or ``pynative`` (eager).
        seed: seed of MindSpore's generators (parameter initialisation).
        threads: limit for all that computes on the CPU; None or 0: as many as the system allows this process.
        device_id: number of the GPU or NPU; None leaves it to MindSpore.

    Raises:
        ConfigError: unknown mode, or a device that this installation of MindSpore does not have.
    """
    if mode not in MODES:
        raise ConfigError(f"mode: expected one of {', '.join(MODES)}, found {mode!r}")
    prepare_onednn()
    try:
        if device_id is not None and device_target != "CPU":
            ms.set_device(device_target, device_id)
        elif device_target != ms.get_context("device_target"):  # MindSpore refuses even the same one once it runs
            ms.set_device(device_target)
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"device_target: {device_target!r} is not available here ({reason}); try CPU") from error
    freeze_imports()
    if device_target == "CPU":
        run_synchronously()
    ms.set_context(mode=MODES[mode])
    processors.choose(threads)
    if processors.is_limited():
        thread_limits.set_limits(processors.count())
    distributed.start()
    ms.set_seed(seed)
    if device_target == "CPU" and processors.is_limited():
        build.set_threads(processors.count())


@contextlib.contextmanager
def execution_mode(mode: str) -> Iterator[None]:
    """Run a block in ``graph`` or ``pynative`` mode and return to the mode before."""
    before = ms.get_context("mode")
    ms.set_context(mode=MODES[mode])
    try:
        yield
    finally:
        ms.set_context(mode=before)
