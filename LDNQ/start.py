"""What a float training begins with: a run, and its network."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from common import checkpoint
from common.cli.training import Images, Start, TrainingOptions
from common.errors import ConfigError
from common.models.registry import model
from common.stored.float_network import float_of_classes
from common.training.run_files import RunFiles
from LDNQ import storage


def further(options: TrainingOptions, pretrained: Path | None) -> tuple[TrainingOptions, Path | None]:
    """The run to make and the network it starts from, where the folder may hold a run of another configuration.

    As the original release's ``--resume --lr``: the network that such a run has ended with is trained further, in a
    folder below.

    Args:
        options: run that the user asked for.
        pretrained: file of the float network that the user gave; None for none.

    Raises:
        ConfigError: such a run has not ended, and no network is given.
    """
    last = RunFiles(options.folder).last
    if not options.go_on or not last.exists():
        return options, pretrained
    recorded = checkpoint.load(last).metadata.get("run", {}).get("config")
    if recorded is None or recorded == json.loads(json.dumps(asdict(options.config))):
        return options, pretrained
    start = pretrained or RunFiles(options.folder).final
    if pretrained is None and not start.exists():
        raise ConfigError(
            f"{options.folder}: expected a run that has ended, to train its network further, found one of another "
            "configuration that was stopped; give its options to end it, --pretrained FILE, or --no-continue"
        )
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
