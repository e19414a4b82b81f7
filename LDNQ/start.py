"""The two ends of a float training: the network that it begins with, and the file that it leaves."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from common import checkpoint
from common.checkpoint import network_state
from common.cli.training import Images, Start, TrainingOptions
from common.models.registry import model
from common.stored.float_network import float_of_classes
from common.training import Trainer
from LDNQ import storage


def further(options: TrainingOptions, pretrained: Path | None) -> tuple[TrainingOptions, Path | None]:
    """The run to make and the network it starts from, where the folder may hold a run of another configuration.

    As the original release's ``--resume --lr``: the best network of such a run is trained further, in a folder below.

    Args:
        options: run that the user asked for.
        pretrained: file of the float network that the user gave; None for none.
    """
    last = options.folder / "last.ckpt"
    if not options.go_on or not last.exists():
        return options, pretrained
    recorded = checkpoint.load(last).metadata.get("run", {}).get("config")
    if recorded is None or recorded == json.loads(json.dumps(asdict(options.config))):
        return options, pretrained
    best = options.folder / "best.ckpt"  # a run of 0 epochs has none
    start = pretrained or (best if best.exists() else options.path)
    folder = options.folder / f"lr_{options.config.schedule.base:g}"
    print(f"another configuration: training {start} further, in {folder}")
    return replace(options, folder=folder), start


def start(architecture: str, pretrained: Path | None, images: Images) -> Start:
    """The network to train: that of a file, or a new one.

    Raises:
        CheckpointError: the file is not a float network of this model and of the data's number of classes.
    """
    classes = images.train.num_classes
    about = {"method": storage.METHOD, "kind": "float", "network": architecture}
    if pretrained is None:
        return Start(model(architecture).build(classes), about)
    return Start(float_of_classes(pretrained, architecture, classes, images.new_head), about)


def save(path: Path, trainer: Trainer) -> str:
    """Write the trained network; returns a short description of it."""
    about = {"training": {"epochs": trainer.config.epochs, "seed": trainer.config.seed}}
    checkpoint.save(path, network_state.state(trainer.network), {**trainer.metadata, **about})
    return "float"
