"""Images per second of the data pipelines, ours and that of PyTorch's DataLoader with torchvision's transforms.

A turn is a pass over a folder of images, repeated until there are enough of them: files are read, decoded, cut,
resized, perhaps mirrored and normalised, and every batch is taken as an array. CIFAR-10's pipeline, whose images lie in
memory, stands beside a step of training that needs its batches.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks import our_steps, peer_steps, peers, side_by_side
from benchmarks.harness import Candidate, take_turns
from common.errors import ConfigError

LEAST = 512  # images of a pass
ARRAYS = 12_544  # images of a pass over those in memory, a quarter of CIFAR-10
OURS, THEIRS = "ours", "PyTorch DataLoader"
WORKS = {"ImageNet evaluation data": False, "ImageNet training data": True}  # and whether they are training's
CIFAR10, STEP = "CIFAR-10 training data", "ResNet-20 training"


def our_images(images: str, training: bool, batch_size: int, threads: int) -> Callable[[], object]:
    """A pass of ``batches`` over the images of a folder of class folders."""
    from common.data import IMAGENET, batches, eval_dataset, imagenet, train_dataset
    from common.distributed import processors

    processors.choose(threads)
    source = imagenet.load(images, "train" if training else "test")
    source = source.take(np.arange(passed(len(source))) % len(source))

    def passes():
        if training:
            return train_dataset(source, IMAGENET, batch_size, 0, 0)
        return eval_dataset(source, IMAGENET, batch_size)

    return lambda: _drain(batches(passes()))


def our_arrays(training: bool, batch_size: int, threads: int) -> Callable[[], object]:
    """A pass over images of CIFAR-10's size that lie in memory, with its crops and flips."""
    from common.data import CIFAR10, ImageArrays, batches, train_dataset
    from common.distributed import processors

    processors.choose(threads)
    pixels = np.random.default_rng(0).integers(0, 256, (ARRAYS, 32, 32, 3), np.uint8)
    source = ImageArrays(pixels, np.zeros(len(pixels), np.int32), 10)

    return lambda: _drain(batches(train_dataset(source, CIFAR10, batch_size, 0, 0)))


def _drain(rows: Iterable[object]) -> None:
    for _ in rows:
        pass


def passed(count: int) -> int:
    """Images of a pass over a folder that holds ``count``: a multiple, at least ``LEAST``."""
    return count * -(-LEAST // count)


def whole_batches(count: int, batch_size: int) -> int:
    """Those of ``count`` images that training sees in an epoch."""
    return count // batch_size * batch_size


def run(args: argparse.Namespace) -> list[dict]:
    """Rows of all works; the machine and what is left out on standard error.

    Raises:
        ConfigError: no folder of images was given.
    """
    if args.images is None:
        raise ConfigError("data: expected --images with a folder of class folders, found none; give one")
    from common.data import imagenet

    count = passed(len(imagenet.load(args.images, "test")))
    installed = peers.versions(args.peers)
    print(side_by_side.caption(installed, args), file=sys.stderr)
    rows = []
    for work, training in WORKS.items():
        arguments = {"images": str(args.images), "training": training, "batch_size": args.batch_size or 64}
        candidates = make_candidates(arguments | {"threads": args.threads}, args, installed)
        take_turns(candidates, args.rounds)
        images = whole_batches(count, arguments["batch_size"]) if training else count
        rows += [row(work, candidate, images) for candidate in candidates]
    return [*rows, *_cifar10(args)]


def make_candidates(
    arguments: Mapping[str, Any], args: argparse.Namespace, installed: Mapping[str, str]
) -> list[Candidate]:
    """Ours, and PyTorch's where it is installed; a line where it is not."""
    made = [Candidate(OURS, our_images, arguments)]
    if line := peers.missing(THEIRS, ("torch", "torchvision", "pillow"), installed):
        print(line, file=sys.stderr)
    else:
        made.append(
            Candidate(
                THEIRS, peer_steps.torch_images, {**arguments, "least": LEAST}, args.peers, args.peers_environment
            )
        )
    return made


def row(work: str, candidate: Candidate, images: int) -> dict[str, Any]:
    """The measurement of a candidate whose turn takes in a number of images."""
    return {
        "work": work,
        "candidate": candidate.name,
        "batch": candidate.arguments["batch_size"],
        "threads": candidate.arguments["threads"],
        "images_per_s": round(images / candidate.median, 1),
        "peak_mib": round(candidate.peak_mib),
    }


def _cifar10(args: argparse.Namespace) -> list[dict]:
    arguments = {"training": True, "batch_size": args.batch_size or 128, "threads": args.threads}
    data = Candidate(OURS, our_arrays, arguments)
    step = Candidate("ours", our_steps.step, {"network": "resnet20", "side": 32, **arguments})
    take_turns([data, step], args.rounds)
    images = whole_batches(ARRAYS, arguments["batch_size"])
    return [row(CIFAR10, data, images), row(STEP, step, arguments["batch_size"])]
