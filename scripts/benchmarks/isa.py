"""Limits of the instructions that candidates may use: all of the processor's, or AVX2 alone.

Compilers and libraries read variables of the environment. g++ takes ``-mno-avx512f`` before or after
``-march=native``, and without it has none of AVX-512's parts. oneDNN (in MindSpore, PyTorch and OpenVINO), ATen,
TorchInductor and MKL each have a variable. onnxruntime's own kernels (MLAS) ask the processor and cannot be limited.
"""

import os
import shlex
import sys
from collections.abc import Mapping

from common.kernels import compiler

NATIVE, AVX2 = "native", "avx2"
CHOICES = (NATIVE, AVX2)
UNLIMITED = ("onnxruntime",)  # packages
_LIBRARIES = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",  # TorchInductor reads it too
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


def own_environment(isa: str) -> dict[str, str]:
    """Variables that limit the project's kernels and MindSpore."""
    words = compiler.compiler()
    if isa == NATIVE or words is None:
        return {}
    return {**_LIBRARIES, "CXX": shlex.join([*words, "-mno-avx512f"])}


def peers_environment(isa: str, before: Mapping[str, str]) -> dict[str, str]:
    """All variables of the processes of others: those ``before`` the limit of ours, and their own limits."""
    return {**before, **(_LIBRARIES if isa == AVX2 else {})}


def limit(isa: str) -> dict[str, str]:
    """Limit this process and all that it starts; the environment of the others' processes.

    To be called before the kernels are loaded.
    """
    before = dict(os.environ)
    os.environ.update(own_environment(isa))
    if isa != NATIVE:
        print(f"instructions: {isa}; {', '.join(UNLIMITED)} cannot be limited and uses all", file=sys.stderr)
    return peers_environment(isa, before)


def of(isa: str, package: str) -> str:
    """What the rows of a package's candidates name as instructions."""
    return NATIVE if package in UNLIMITED else isa
