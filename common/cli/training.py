"""The sequence that every ``train.py`` shares: device, images, network, run, configuration, file to use, last line."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mindspore import nn

from common import checkpoint
from common.checkpoint import network_state
from common.cli import saved_config
from common.cli.classes import open_both
from common.cli.distillation import DistillationOptions, task_of
from common.cli.entry_point import kept
from common.cli.preprocessing import of_start
from common.cli.run_options import RunOptions
from common.cli.validation import Validation
from common.data import ImageSource, Preprocessing
from common.data.matching import class_record
from common.errors import CheckpointError
from common.evaluation import Metrics, evaluator
from common.models.registry import PREPROCESSING
from common.stored.float_network import NEW_NETWORK, StartFile
from common.training import (
    Callback,
    OtherRunError,
    Run,
    TrainConfig,
    TrainData,
    Trainer,
    selection_rule,
    training_summary,
)


class Tester(Protocol):
    """Makes functions from a network to its metrics on images; ``label`` stands before the progress line."""

    def __call__(self, source: ImageSource, *, label: str) -> Callable[[nn.Cell], Metrics]: ...


@dataclass(frozen=True)
class TrainingOptions:
    """What every training reads from the command line beside :class:`~common.cli.run_options.RunOptions`.

    Attributes:
        config: how to train.
        folder: of the run.
        name: of the network to use, ``NAME.ckpt`` in the folder.
        go_on: continue a run that was stopped; otherwise start it anew.
        validation: images that are kept from training, and how often they are looked at.
        new_head: begin with a new last layer, whatever classes the start tells apart.
        distillation: the float network whose logits are learned too; None: labels alone.
        tensorboard: folder of events for TensorBoard; None for none.
    """

    config: TrainConfig
    folder: Path
    name: str
    go_on: bool = True
    validation: Validation = field(default_factory=Validation)
    new_head: bool = False
    distillation: DistillationOptions | None = None
    tensorboard: Path | None = None

    @property
    def path(self) -> Path:
        """File of the network to use."""
        return self.folder / f"{self.name}.ckpt"


@dataclass(frozen=True, eq=False)
class Images:
    """What a network learns from and is tested on.

    Attributes:
        train: training images.
        test: test images, for the number at the end alone.
        preprocessing: of all.
        new_head: the network that a float file holds gets a new last layer for these classes.
    """

    train: ImageSource
    test: ImageSource
    preprocessing: Preprocessing
    new_head: bool = False


@dataclass(frozen=True, eq=False)
class Start:
    """What a method brings to a training.

    Attributes:
        network: to train.
        metadata: of its checkpoints: ``method``, ``kind``, ``network``, and whatever makes another run of it; number of
            classes, data set and preprocessing are added.
        callbacks: what else happens in each step and after each epoch.
        objective: makes of the task (see :mod:`common.training.task`) the cell from images and goal to loss and logits
            that is minimised; None: the task's loss of the logits is.
        tester: makes the functions that measure the network on validation and on test images; None:
            :func:`common.evaluation.evaluator`.
    """

    network: nn.Cell
    metadata: Mapping[str, Any]
    callbacks: Sequence[Callback] = field(default=())
    objective: Callable[[nn.Cell], nn.Cell] | None = None
    tester: Tester | None = None


def run(
    options: RunOptions,
    training: TrainingOptions,
    *,
    start: Callable[[Images], Start],
    save: Callable[[Path, Trainer], str],
    preprocessing: Mapping[str, Preprocessing] = PREPROCESSING,
    begins: StartFile = NEW_NETWORK,
) -> Trainer:
    """Train to the last epoch, then write the network to use beside the run's own files and say what it is.

    Args:
        options: of :func:`~common.cli.run_options.run_options`.
        training: of :func:`~common.cli.training_options.training_options`, or made by the method.
        start: the network to train on these images; the device is set up when it is called.
        save: writes the network to use to a path, and returns what it is in a few words.
        preprocessing: of the images, by data set.
        begins: the file that ``start`` reads its network from.

    Returns:
        The trainer, its run ended.

    Raises:
        ConfigError: the images are not of the classes of the start, or each part of its own.
        CheckpointError: the folder holds another run, or a damaged one.
    """
    options.device.set_up()
    data = options.data
    whole, test = open_both(data, None if training.new_head else begins.classes())
    train, validation = training.validation.split(whole, options.seed)
    prepared = of_start(options, preprocessing[data.dataset], begins.path)
    images = Images(train, test, prepared, training.new_head)
    begun = start(images)
    tester = begun.tester or partial(evaluator, preprocessing=prepared, batch_size=training.config.batch_size)
    about = {"num_classes": images.train.num_classes, "dataset": data.dataset, **class_record(images.train)}
    task, learned = task_of(training.distillation, training.config, images.train.num_classes)
    trainer = Trainer(
        network=begun.network,
        data=TrainData(train, prepared, validation),
        config=training.config,
        run=Run(training.folder, {**begun.metadata, **about, **learned}, training.tensorboard),
        callbacks=begun.callbacks,
        objective=begun.objective(task) if begun.objective else None,
        task=task,
        validate=tester(validation, label="validation") if validation else None,
        validate_every=training.validation.every,
        test=tester(test, label="test"),
    )
    run_or_advise(trainer, training.go_on)
    saved_config.save(options.values, training.folder)
    what, accuracy = save(training.path, trainer), trainer.chosen["test_acc"]
    figure = f"test accuracy {accuracy:.4f} on {len(test)} images, {selection_rule(trainer.history)}"
    print(f"{training.path}: {what}, {figure}, {training.path.stat().st_size} bytes")
    return trainer


class Runs(Protocol):
    """A trainer or a method's search, which goes on with a run that its folder holds."""

    folder: Path

    def run(self, go_on: bool) -> object:
        """To its end; raises OtherRunError where the folder holds another run."""


def run_or_advise(trainer: Runs, go_on: bool) -> None:
    """Run a trainer; where its folder holds another run, say by which options that is mended.

    Raises:
        CheckpointError: the folder holds another run, or a damaged one.
    """
    try:
        with kept(trainer.folder):
            trainer.run(go_on)
    except OtherRunError as error:
        raise CheckpointError(f"{error}; choose another --output_dir, or start anew with --no-continue") from None


def save_float(path: Path, trainer: Trainer) -> str:
    """Write a float network with the metadata of its run; returns ``float``."""
    about = {**trainer.metadata, "training": training_summary(trainer.history, trainer.config.seed)}
    checkpoint.save(path, network_state.state(trainer.network), about)
    return "float"


def finished_metadata(trainer: Trainer) -> dict[str, Any]:
    """Metadata of the network to use, at the end of a run: those of the run, test accuracy and N, epochs and seed."""
    record = trainer.chosen
    about = {"accuracy": record["test_acc"], "samples": record["test_samples"]}
    return {**trainer.metadata, **about, "training": training_summary(trainer.history, trainer.config.seed)}
