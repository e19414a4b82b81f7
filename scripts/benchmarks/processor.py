"""The processor: its name, its measured frequency, and its measured peak of fused multiply-adds.

The frequency is that of a loop of additions, each of which needs the one before (one a cycle), in the shortest of many
runs: what /proc/cpuinfo says may be a constant of a virtual machine. Without a C++ compiler /proc/cpuinfo is asked. The
peak is that of a loop of independent multiply-adds on as many threads as the candidates have, compiled as the kernels
are.
"""

import ctypes
import functools
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common.kernels import compiler

SOURCE = Path(__file__).with_name("processor.cc")
_ADDITIONS, _PRODUCTS = 32, 12  # of a pass of the loops in SOURCE
_ADD_PASSES, _PRODUCT_PASSES, _RUNS = 100_000, 1_000_000, 15


def cpuinfo(key: str) -> str | None:
    """The first value of a key in /proc/cpuinfo, where there is one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def name() -> str:
    """The processor's name, or its kind where the system does not tell."""
    return cpuinfo("model name") or platform.machine()


@functools.cache
def _loops() -> ctypes.CDLL | None:
    try:
        words = compiler.command(compiler.NATIVE)
    except compiler.BuildError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "processor.so"
        line = [*words, f"-I{compiler.SOURCES}", str(SOURCE), "-o", str(library)]
        if subprocess.run(line, capture_output=True, check=False).returncode:
            return None
        loops = ctypes.CDLL(str(library))
    loops.DependentAdds.argtypes, loops.DependentAdds.restype = [ctypes.c_int64], ctypes.c_uint64
    loops.MultiplyAdds.argtypes = [ctypes.c_int64, ctypes.c_float, ctypes.c_float]
    loops.MultiplyAdds.restype = ctypes.c_float
    return loops


def shortest(run: Callable[[], object], runs: int = _RUNS) -> float:
    """Seconds of the shortest of several runs."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@functools.cache
def frequency() -> float | None:
    """Cycles per second; None where neither a compiler nor the system tells."""
    loops = _loops()
    if loops:
        return _ADDITIONS * _ADD_PASSES / shortest(lambda: loops.DependentAdds(_ADD_PASSES))
    megahertz = cpuinfo("cpu MHz")
    return float(megahertz) * 1e6 if megahertz else None


def multiply_adds(threads: int) -> float | None:
    """Multiply-adds of float32 per second on several threads at once; None without a compiler."""
    loops = _loops()
    if loops is None:
        return None

    def run(_) -> None:
        loops.MultiplyAdds(_PRODUCT_PASSES, 0.999, 0.001)

    with ThreadPoolExecutor(threads) as pool:
        seconds = shortest(lambda: list(pool.map(run, range(threads))))
    return threads * loops.Lanes() * _PRODUCTS * _PRODUCT_PASSES / seconds
