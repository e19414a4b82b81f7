"""The engine of 64-bit ARM processors, cross-compiled and run under an emulator: the interpreter's bits."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network

from common.engine import library
from common.engine.compiler import compile_network
from common.engine.interpreter import interpret

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
PROGRAMS = 150
SETS = {"max": ["neon_dot", "neon", "plain"], "cortex-a53": ["neon", "plain"]}  # the latter lacks products of bytes


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    """The program of ``run_programs.cc`` for such a processor."""
    if not (shutil.which(COMPILER) and shutil.which(EMULATOR)):
        pytest.skip(f"needs {COMPILER} and {EMULATOR}, Debian's g++-aarch64-linux-gnu and qemu-user")
    folder, objects = tmp_path_factory.mktemp("neon"), []
    sources = {library.SOURCES / name: flags for name, flags in library.units_of("aarch64").items()}
    for source, flags in {**sources, Path(__file__).with_name("run_programs.cc"): ()}.items():
        objects.append(folder / f"{source.stem}.o")
        subprocess.run([COMPILER, *library.FLAGS, *flags, "-c", source, "-o", objects[-1]], check=True)
    subprocess.run([COMPILER, "-static", "-pthread", *objects, "-o", folder / "run"], check=True)
    return folder / "run"


def written(program, images, results):
    """A program as ``run_programs.cc`` reads it."""
    arrays = [program.words, program.weights, program.constants, np.ascontiguousarray(images)]
    sizes = np.array([*(array.size for array in arrays), len(images), results], np.int64)
    return b"".join(array.tobytes() for array in (sizes, *arrays))


@pytest.mark.slow
@pytest.mark.parametrize("processor", SETS)
def test_bits_are_the_interpreters(runner, images, processor):
    sent, expected = [], []
    for seed in range(PROGRAMS):
        description = random_network(seed)
        program, x = compile_network(description), images(description, seed=seed)
        expected.append(interpret(program, x))
        sent.append(written(program, x, expected[-1].size))
    command = [EMULATOR, "-cpu", processor, str(runner)]
    output = subprocess.run(command, input=b"".join(sent), capture_output=True, check=True).stdout
    for seed, results in enumerate(expected):
        for name in SETS[processor]:
            head = f"{name}\n".encode()
            assert output.startswith(head), seed
            assert output[len(head) :][: results.nbytes] == results.tobytes(), (seed, name)
            output = output[len(head) + results.nbytes :]
    assert not output
