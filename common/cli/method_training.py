"""The training of a method whose networks begin with a float file or with a quantized one."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from common.cli import training
from common.cli.run_options import run_options
from common.cli.training_options import training_options
from common.stored.float_network import StartFile
from common.training import TrainConfig, Trainer


class Chosen(Protocol):
    """What a method's options say of the start: the file and the architecture."""

    @property
    def arch(self) -> str: ...
    @property
    def pretrained(self) -> Path | None: ...
    @property
    def init_from(self) -> Path | None: ...


def run(
    args: Namespace,
    train_options: Callable[[Namespace], Chosen],
    start: Callable[[Any, TrainConfig, training.Images], training.Start],
    save: Callable[[Path, Trainer], str],
) -> None:
    """Train to the last epoch, then write the network to use beside the run's own files.

    Args:
        args: options of :func:`~common.cli.training_options.add_run` and the method's.
        train_options: the method's options as values.
        start: the network to train, from these values, the configuration and the images.
        save: as of :func:`common.cli.training.run`.
    """
    chosen = train_options(args)
    settings = training_options(args, chosen.arch)
    training.run(
        run_options(args),
        settings,
        start=lambda images: start(chosen, settings.config, images),
        save=save,
        begins=StartFile(chosen.init_from or chosen.pretrained, chosen.arch),
    )
