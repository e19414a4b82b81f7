"""From the start of a process to its first prediction: the runtime's file beside the same network through MindSpore.

Processes are started in turns, each classifies one picture and ends; what is timed is the whole process.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

NETWORK = "dambq-resnet20-digits-w2a2"  # ships, as the networks of all methods do
_RUNTIME = """
import sys
from lowbitzoo import runtime
runtime.load(sys.argv[1], threads=1).predict([sys.argv[2]])
"""
_MINDSPORE = f"""
import sys
import lowbitzoo
from common.cli.engine import choose_engine
from common.data import Preprocessing
from common.data.image_file import read_rgb
from common.runtime import context
from mindspore import Tensor
import numpy as np
context.prepare_onednn()
stored = lowbitzoo.load("{NETWORK}")
preprocessing = Preprocessing.from_dict(stored.metadata["preprocessing"])
image = preprocessing.normalize(np.asarray(read_rgb(sys.argv[2]))[None])
choose_engine(None, stored, 32).network(Tensor(image)).asnumpy().argmax(1)
"""
_COMMAND = "import sys; from lowbitzoo.__main__ import main; sys.argv[1:] = ['predict', *sys.argv[1:]]; main()"
PATHS = {"lowbitzoo.runtime": _RUNTIME, "python -m lowbitzoo predict": _COMMAND, "MindSpore": _MINDSPORE}
_WARM = 1  # rounds that fill the caches of files and libraries, and are not counted


def run(args: argparse.Namespace) -> list[dict]:
    """Rows of the paths."""
    with tempfile.TemporaryDirectory() as folder:
        words = prepare(Path(folder))
        seconds: dict[str, list[float]] = {path: [] for path in PATHS}
        for number in range(_WARM + args.rounds):
            for path, code in PATHS.items():
                taken = time_process([sys.executable, "-c", code, *words])
                if number >= _WARM:
                    seconds[path].append(taken)
    return list(rows(seconds))


def prepare(folder: Path) -> list[str]:
    """The network's file and a picture."""
    import lowbitzoo
    from common.checkpoint import network_state
    from common.data import Preprocessing
    from common.engine.about import About
    from common.engine.compiler import compile_network
    from common.engine.networks.describe import describe
    from common.engine.runtime_file import encode

    stored = lowbitzoo.load(NETWORK)
    preprocessing = Preprocessing.from_dict(stored.metadata["preprocessing"])
    side = preprocessing.image_size
    parameters = network_state.state(stored.network)
    program = compile_network(describe(stored.metadata["network"], parameters, stored.layers, (side, side)), plain=True)
    (folder / "net.lowbit").write_bytes(encode(program, About.of(stored.metadata, preprocessing)))
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return [str(folder / "net.lowbit"), str(folder / "a.png")]


def time_process(words: list[str]) -> float:
    """Seconds from its start to its end."""
    start = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def rows(seconds: dict[str, list[float]]) -> Iterator[dict]:
    """Medians, extremes, and shares of MindSpore's."""
    slow = statistics.median(seconds["MindSpore"])
    for path, taken in seconds.items():
        median = statistics.median(taken)
        yield {
            "path": path,
            "seconds": round(median, 3),
            "least": round(min(taken), 3),
            "most": round(max(taken), 3),
            "share": f"{100 * median / slow:.1f} %",
            "processes": len(taken),
        }
