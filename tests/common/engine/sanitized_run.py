"""Runs random programs in a library that was compiled with sanitizers; a process of its own, started by the test.

usage: python sanitized_run.py LIBRARY FIRST LAST MISSING

MISSING bytes of every program's arena are kept back, so that the test sees the sanitizer complain.
"""

import ctypes
import sys

import numpy as np
from random_networks import random_network

from common.engine import tensors
from common.engine.compiler import compile_network
from common.engine.interpreter import interpret
from common.engine.layout import HEADER
from common.engine.library import declare, instruction_sets
from common.engine.run import run


def main(library, first, last, missing):
    handle = declare(ctypes.CDLL(library))
    for seed in range(int(first), int(last)):
        tensors._LARGE = 1 if seed % 2 else 2**18  # images in groups, and one after the other
        description = random_network(seed)
        program = compile_network(description)
        program.words[HEADER.index("arena")] -= int(missing)
        x = np.random.default_rng(seed).normal(0, 1, (3, *description.steps[0].shape)).astype(np.float32)
        for name in instruction_sets(handle):
            assert np.array_equal(run(program, x, name, handle=handle), interpret(program, x)), (seed, name)
    print("clean")


if __name__ == "__main__":
    main(*sys.argv[1:])
