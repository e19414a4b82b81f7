"""The sequence that every ``eval.py`` shares: device, file, check, images, summary, measurement, report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mindspore import nn

from common.cli.classes import fit, open_images
from common.cli.engine import Engine, add_engine, choose_engine
from common.cli.option_parser import OptionParser
from common.cli.predictions import Predictions, add_predictions
from common.cli.preprocessing import with_preprocessing
from common.cli.result import finish
from common.cli.run_options import RunOptions
from common.data import ImageSource, Preprocessing
from common.evaluation import Metrics, OnBatch, evaluate_images
from common.models.registry import model, preprocessing_of
from common.stored.network import StoredNetwork as Stored


@dataclass(frozen=True)
class Summary:
    """What is said of a network beside its accuracy.

    Attributes:
        headline: printed before the measurement.
        label: of the progress line, a word or two.
        record: what the JSON object says: method, network, bits, cost.
    """

    headline: str
    label: str
    record: Mapping[str, Any]


def add_options(parser: OptionParser) -> OptionParser:
    """The options that every ``eval.py`` has beside those of its network: what computes, and what it leaves."""
    return add_engine(add_predictions(parser))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A network and the images that it is to be measured on.

    Attributes:
        options: what the user chose.
        path: file of the network.
        stored: the network.
        images: test images.
        preprocessing: of the images.
        summary: of the network.
        engine: what computes the network.
    """

    options: RunOptions
    path: Path
    stored: Stored
    images: ImageSource
    preprocessing: Preprocessing
    summary: Summary
    engine: Engine

    def measure(self, network: nn.Cell | None = None, on_batch: OnBatch | None = None) -> Metrics:
        """Metrics of the stored network, or of another in its place; ``on_batch`` is told of each batch."""
        measured = network or self.engine.network
        size, label = self.options.batch_size, self.summary.label
        if self.options.predictions is None:
            return evaluate_images(measured, self.images, self.preprocessing, size, label, on_batch)
        predictions = Predictions(self.options.predictions, on_batch)
        metrics = evaluate_images(measured, self.images, self.preprocessing, size, label, predictions)
        predictions.write()
        return metrics


Measured = tuple[Metrics, Mapping[str, Any]]


def measure_accuracy(evaluation: Evaluation) -> Measured:
    """Metrics of the network, and nothing to add to the summary's record."""
    return evaluation.measure(), {}


def measure_and_save(evaluation: Evaluation, path: Path | None, save: Callable[[Path, Stored], object]) -> Measured:
    """The same; the network is then written with its accuracy where a file is named.

    Args:
        evaluation: of the network.
        path: file to write; None: none.
        save: writes a network of the method to a file.
    """
    metrics = evaluation.measure()
    if path:
        save(path, with_accuracy(evaluation.stored, metrics))
    return metrics, {}


def with_accuracy(stored: Stored, metrics: Metrics) -> Stored:
    """The network whose metadata record its accuracy and N."""
    return replace(stored, metadata={**stored.metadata, "accuracy": metrics.accuracy, "samples": metrics.samples})


def run(
    options: RunOptions,
    *,
    shipped: Callable[[str], Path],
    load: Callable[[Path], Stored],
    ready: Callable[[Stored], Stored] = lambda stored: stored,
    summarize: Callable[[Stored, Path, int], Summary],
    check: Callable[[str, str], object] = model,
    measure: Callable[[Evaluation], Measured] = measure_accuracy,
) -> None:
    """Evaluate a network from a file and report it.

    Args:
        options: of :func:`~common.cli.run_options.run_options`.
        shipped: file of the network that ships for a data set, taken where no file is given.
        load: the network of a file; the device is set up when it is called.
        ready: turns what the file holds into the network to measure, where that takes long.
        summarize: of the network, its file and the side of its images in pixels.
        check: refuses a network's name that does not take a data set's images, with a ConfigError.
        measure: what the method measures, and what it adds to the record.

    Raises:
        ConfigError: network, images and options do not fit each other.
        CheckpointError: the file is missing or damaged.
    """
    options.device.set_up()
    path = options.checkpoint_path or shipped(options.data.dataset)
    stored = load(path)
    check(stored.metadata["network"], options.data.dataset)
    stored = ready(with_preprocessing(options, stored, path))
    preprocessing = preprocessing_of(options.data.dataset, stored.metadata)
    summary = summarize(stored, path, preprocessing.image_size)
    images = fit(open_images(options.data, "test"), stored.metadata)
    engine = choose_engine(options.engine, stored, preprocessing.image_size, options.device.target)
    training = stored.metadata.get("training", {})
    print(", ".join([summary.headline, *([training["selection"]] if "selection" in training else [])]))
    if engine.line:
        print(engine.line)
    metrics, added = measure(Evaluation(options, path, stored, images, preprocessing, summary, engine))
    about = {**engine.record, "preprocessing": preprocessing.to_dict(), "training": training}
    finish(options, metrics, path, {**summary.record, **about, **added})
