"""ImageNet at full size, by trial and arithmetic: a part of it is timed, the hours of all of it follow.

Timed are decoding, the step of a network, and both together as evaluation and training run them, on images of a folder
that is repeated until there are enough. A folder of links to one image shows what indexing ImageNet's 50,000
validation images takes, and the comparison of their classes with a network's.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import data, our_steps, selection
from benchmarks.harness import Candidate, take_turns
from common.errors import ConfigError

TRAIN, VALIDATION = 1_281_167, 50_000  # images of ImageNet's parts
NETWORKS = ("mobilenet_v2", "resnet18")
_BATCH, _SIDE, _CLASSES = 32, 224, 1000
_TOGETHER = 4  # batches of a pass that decodes and computes
_PAGE = os.sysconf("SC_PAGE_SIZE") / 2**20  # MiB


def together(images: str, network: str, training: bool, batch_size: int, threads: int) -> Callable[[], object]:
    """A pass of some batches from files through a network: evaluation, or steps of training."""
    from mindspore import Tensor

    from common.data import IMAGENET, batches, eval_dataset, imagenet, train_dataset
    from common.distributed import processors

    processors.choose(threads)
    run = our_steps.step_of_images(network, training, threads)
    source = imagenet.load(images, "test")
    source = source.take(np.arange(_TOGETHER * batch_size) % len(source))

    def passes():
        first = source, IMAGENET, batch_size
        made = train_dataset(*first, 0, 0) if training else eval_dataset(*first)
        for batch in batches(made):
            run(Tensor(batch["image"]), Tensor(batch["label"].astype(np.int32)))

    return passes


def run(args: argparse.Namespace) -> list[dict]:
    """Rows of all works, or of the one that ``--work`` names.

    Raises:
        ConfigError: no folder of images was given, or no work of that name.
    """
    if args.images is None:
        raise ConfigError("scale: expected --images with a folder of class folders, found none; give one")
    works = dict(_works(args))
    return [works[name]() for name in selection.works(works, args.work)]


def _works(args: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict]]]:
    """Each work's name, and what measures it."""
    shared = {"batch_size": args.batch_size or _BATCH, "threads": args.threads}
    for training, part in ((False, "evaluation"), (True, "training")):
        arguments = {"images": str(args.images), "training": training, **shared}
        yield _timed(f"{part}: decoding", data.our_images, arguments, args.rounds)
        for network in NETWORKS:
            step = {"network": network, "training": training, "side": _SIDE, **shared}
            yield _timed(f"{part}: step of {network}", our_steps.step, step, args.rounds)
            yield _timed(f"{part}: decoding and {network}", together, {**arguments, "network": network}, args.rounds)
    yield "index", lambda: indexed(args.images)


def _timed(
    name: str, setup: Callable, arguments: dict[str, Any], rounds: int
) -> tuple[str, Callable[[], dict[str, Any]]]:
    def measure() -> dict[str, Any]:
        candidate = Candidate(name, setup, arguments)
        take_turns([candidate], rounds)
        images = _images(setup, arguments)
        speed = images / candidate.median
        whole = TRAIN if arguments["training"] else VALIDATION
        return {
            "work": name,
            "batch": arguments["batch_size"],
            "threads": arguments["threads"],
            "images_per_s": round(speed, 1),
            "peak_mib": round(candidate.peak_mib),
            "images": whole,
            "hours": round(whole / speed / 3600, 2),
        }

    return name, measure


def _images(setup: Callable, arguments: dict[str, Any]) -> int:
    """How many of them one turn takes in."""
    batch = arguments["batch_size"]
    if setup is not data.our_images:
        return batch * (_TOGETHER if setup is together else 1)
    from common.data import imagenet

    count = data.passed(len(imagenet.load(arguments["images"], "test")))
    return data.whole_batches(count, batch) if arguments["training"] else count


def indexed(images: Path, count: int = VALIDATION) -> dict[str, Any]:
    """Seconds and MiB of opening a folder of links to ``count`` images, and of comparing its classes."""
    from common.cli.classes import fit, open_images
    from common.data import DataSelection, imagenet
    from common.data.class_names import known_names

    target = Path(imagenet.load(images, "test").files[0]).resolve()
    names = known_names("imagenet")
    with tempfile.TemporaryDirectory() as folder:
        for i in range(count):
            place = Path(folder, "val", names[i % _CLASSES])
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{i:05d}{target.suffix}").symlink_to(target)
        before, start = _resident(), time.perf_counter()
        source = open_images(DataSelection("imagenet", Path(folder)), "test")
        opened = time.perf_counter()
        fit(source, {"num_classes": _CLASSES, "class_names": list(names)})
        checked, after = time.perf_counter(), _resident()
    print(f"{len(source):,} links", file=sys.stderr)
    return {
        "work": f"index of {len(source):,} links",
        "threads": 1,
        "images": len(source),
        "seconds": round(opened - start, 2),
        "class check seconds": round(checked - opened, 3),
        "index_mib": round(after - before, 1),
    }


def _resident() -> float:
    """Resident memory of this process, in MiB."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
