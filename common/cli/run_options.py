"""What every script reads from the command line, as values that nobody changes afterwards."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from common.cli.preprocessing_options import PreprocessingOptions, preprocessing_options
from common.cli.saved_config import as_dict
from common.data import DataSelection
from common.runtime import context


@dataclass(frozen=True)
class DeviceOptions:
    """Where and how a script computes.

    Attributes:
        target: ``CPU``, ``GPU`` or ``Ascend``.
        mode: ``graph`` or ``pynative``.
        seed: of MindSpore's generators.
        threads: of the C++ operators; None: all processors.
        number: of the GPU or NPU; None: MindSpore's choice.
    """

    target: str = "CPU"
    mode: str = "graph"
    seed: int = 0
    threads: int | None = None
    number: int | None = None

    def set_up(self) -> None:
        """Choose device, mode, seed and threads, and join the other processes.

        Raises:
            ConfigError: a device that is not available here.
        """
        context.setup(self.target, self.mode, self.seed, self.threads, self.number)


@dataclass(frozen=True)
class RunOptions:
    """The options of :func:`common.cli.config.build_parser`, resolved.

    Attributes:
        data: which images.
        device: where to compute.
        batch_size: images per step.
        seed: of every random number.
        output_dir: where files are put.
        json: file for the result as one JSON object; None: none.
        checkpoint_path: file to evaluate; None: the shipped one, or a script that trains.
        values: all options as plain values, to be saved and reported.
        preprocessing: what is given of it.
        engine: ``integer`` or ``float``; None: what the network allows.
        predictions: file for the class of each image; None: none.
    """

    data: DataSelection
    device: DeviceOptions
    batch_size: int
    seed: int
    output_dir: Path
    json: Path | None
    checkpoint_path: Path | None
    values: Mapping[str, Any]
    preprocessing: PreprocessingOptions = field(default_factory=PreprocessingOptions)
    engine: str | None = None
    predictions: Path | None = None

    def on_dataset(self, dataset: str) -> "RunOptions":
        """The same on another data set."""
        return replace(self, data=replace(self.data, dataset=dataset), values={**self.values, "dataset": dataset})


def data_selection(args: Namespace) -> DataSelection:
    """The images that the options choose."""
    return DataSelection(
        args.dataset,
        args.dataset_path,
        args.train_dataset_path,
        args.eval_dataset_path,
        args.classes,
        args.num_samples,
        args.train_samples,
    )


def run_options(args: Namespace) -> RunOptions:
    """What :func:`common.cli.config.parse` resolved."""
    return RunOptions(
        data=data_selection(args),
        device=DeviceOptions(args.device_target, args.mode, args.seed, args.threads, args.device_id),
        batch_size=args.batch_size,
        seed=args.seed,
        output_dir=args.output_dir,
        json=getattr(args, "json", None),  # of scripts that measure a network from a file
        checkpoint_path=getattr(args, "checkpoint_path", None),
        values=as_dict(args),
        preprocessing=preprocessing_options(args),
        engine=getattr(args, "engine", None),  # of eval.py
        predictions=getattr(args, "predictions", None),
    )
