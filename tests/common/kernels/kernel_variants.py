"""The kernels as they are compiled for other processors."""

import pytest

from common.kernels.compiler import NATIVE

PLAIN = ("-march=native", "-DLOWBIT_LANES=4", "-DLOWBIT_PLAIN_SAD")
# Flags, the processor features that they need, and the instructions that the integer adder must then have chosen.
VARIANTS = {
    NATIVE: ((), None),
    ("-march=x86-64-v3",): (("avx2", "fma", "bmi2"), "avx2"),
    ("-march=native", "-DLOWBIT_LANES=16"): ((), None),  # the tiles of AVX-512, on any processor
    PLAIN: ((), "plain"),
}
_QUICK = (NATIVE, PLAIN)  # the others are compiled where slow tests run

each_variant = pytest.mark.parametrize(
    "flags",
    [pytest.param(flags, marks=() if flags in _QUICK else pytest.mark.slow) for flags in VARIANTS],
    ids=" ".join,
)
