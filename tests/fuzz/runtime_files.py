"""Intact runtime files, and the driver that damages them in process under sanitizers.

usage: python -m tests.fuzz.runtime_files MUTATIONS [SEED [FIRST]]
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "common" / "engine"))

from random_networks import random_network

from common.data.preprocessing import Preprocessing
from common.engine import tensors
from common.engine.about import About
from common.engine.builder import Builder
from common.engine.compiler import compile_network
from common.engine.description import Description, Grid
from common.engine.library import recipe
from common.engine.runtime_file import SUFFIX, encode

DRIVER = Path(__file__).with_name("runtime_driver.cc")
SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
_SEEDS, _MOST_BYTES = range(60), 20_000


def intact() -> list[bytes]:
    """Small files of every instruction: random networks of three channels, and one of single channels."""
    descriptions = [made for made in map(random_network, _SEEDS) if made.steps[0].shape[0] == 3]
    files = [*map(_encoded, descriptions), single_channels()]
    with mock.patch.object(tensors, "_LARGE", 1):
        files += map(_encoded, descriptions[::3])  # images in groups
    return [content for content in files if len(content) <= _MOST_BYTES]


def _encoded(description: Description) -> bytes:
    return encode(compile_network(description, plain=True), About("tiny", "none", "digits", Preprocessing(), 0.5, 10))


def single_channels() -> bytes:
    """A float convolution, ReLU6, one of single channels, ReLU6, pooling, the last layer."""
    rng, builder = np.random.default_rng(0), Builder((3, 8, 8))
    grid = Grid(np.full(1, 15 / 6, np.float32), np.full(1, 15))
    x = builder.relu6(builder.float_conv(builder.image, rng.normal(0, 1, (20, 3, 3, 3)), 2, 1))
    weight = 2 * rng.integers(0, 16, (20, 1, 3, 3)) - 15
    y = builder.relu6(builder.depthwise_conv(builder.codes(x, grid), weight, np.full(20, 0.02), 1, 1))
    logits = builder.float_conv(builder.pool(y, (4, 4)), rng.normal(0, 1, (5, 20, 1, 1)))
    return _encoded(builder.finish(logits))


def write_intact(folder: Path) -> list[Path]:
    """The intact files, written into a folder."""
    paths = []
    for number, content in enumerate(intact()):
        paths.append(folder / f"{number}{SUFFIX}")
        paths[-1].write_bytes(content)
    return paths


def build(target: Path) -> Path:
    """The driver with the whole engine in it, under sanitizers.

    Raises:
        BuildError: no compiler, or one without sanitizers.
    """
    recipe(SANITIZERS, DRIVER).make(target)
    return target


def run(driver: Path, files: list[Path], seed: int, first: int, count: int) -> subprocess.CompletedProcess:
    """Mutations ``first`` to ``first + count - 1``; each depends on its number, the seed and the files alone."""
    words = [driver, *map(str, (seed, first, count)), *files]
    return subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)


def main(mutations: str, seed: str = "1", first: str = "0") -> int:
    """Damage so many; the driver's status."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        files = write_intact(folder)
        done = run(build(folder / "driver"), files, int(seed), int(first), int(mutations))
    print(f"{len(files)} files; {done.stdout.strip()}", done.stderr.strip()[-4000:], sep="\n")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
