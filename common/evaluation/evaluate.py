"""Exact evaluation: every image counts once at any batch size, and accuracy is an integer count over N."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TextIO

import numpy as np
from mindspore import Tensor, nn

from common import distributed
from common.data import ImageSource, Preprocessing, batches, eval_dataset
from common.errors import QuantizationError
from common.report.progress import Progress

# Called with each batch as the data gave it, and the network's outputs (B, ...), logits first, as NumPy arrays. Rows
# that batch["valid"] says no to fill the batch up and are not counted.
OnBatch = Callable[[Mapping[str, np.ndarray], tuple[np.ndarray, ...]], None]


@dataclass(frozen=True)
class Metrics:
    """Sums over the images of an evaluation; all rates follow from them.

    Attributes:
        correct: images whose label has the largest logit.
        correct_top5: images whose label is among the five largest logits.
        loss_sum: sum of the cross-entropies, in nats.
        samples: number of images N.
        seconds: wall time, without the first batch (which compiles the network) where there are more.
        timed_samples: images that ``seconds`` covers.
    """

    correct: int
    correct_top5: int
    loss_sum: float
    samples: int
    seconds: float
    timed_samples: int

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy in [0, 1]."""
        return self.correct / self.samples

    @property
    def images_per_second(self) -> float:
        """Speed of the whole evaluation step: network, transfer, scoring and whatever the data had to be waited for."""
        return self.timed_samples / self.seconds

    def result(self) -> dict[str, float | int]:
        """The metrics of the ``result:`` line."""
        return {
            "acc": self.accuracy,
            "top_5_acc": self.correct_top5 / self.samples,
            "loss": self.loss_sum / self.samples,
            "samples": self.samples,
        }


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[int, int, float]:
    """Top-1 and top-5 counts and summed cross-entropy of logits (N, K) against labels (N,).

    The rank of a label is the number of larger logits plus the equal ones before it, so ties count as argmax does.
    """
    logits = logits.astype(np.float64)
    target = logits[np.arange(len(labels)), labels][:, None]
    before = np.arange(logits.shape[1]) < labels[:, None]
    rank = (logits > target).sum(1) + ((logits == target) & before).sum(1)
    top = logits.max(1)
    loss = np.log(np.exp(logits - top[:, None]).sum(1)) + top - target[:, 0]
    return int((rank == 0).sum()), int((rank < 5).sum()), float(loss.sum())


def evaluate(
    network: nn.Cell,
    data: Iterable[Mapping[str, np.ndarray]],
    samples: int,
    label: str = "",
    stream: TextIO | None = None,
    on_batch: OnBatch | None = None,
    classes: int | None = None,
) -> Metrics:
    """Evaluate ``network`` on batches of ``image`` (B, 3, H, W), ``label`` (B,) and ``valid`` (B,).

    All batches have the same size, so that the network compiles once; only the images marked valid are counted.

    Args:
        network: network from images to logits (B, K), or to a tuple that begins with them.
        data: batches as above.
        samples: number of images, for the progress line.
        label: text in front of the progress line.
        stream: stream that the progress line is written to; stderr for None.
        on_batch: function that is called with each batch and the network's outputs, see :data:`OnBatch`.
        classes: number of classes that labels refer to; None: no more than there are logits.

    Raises:
        QuantizationError: a logit that is not finite, another number of logits than of classes, or a label that the
            network has no logit for.
    """
    network.set_train(False)
    correct = top5 = seen = timed = 0
    loss, start = 0.0, time.perf_counter()
    progress = Progress(samples, stream=stream, label=label)
    for index, batch in enumerate(data):
        valid = batch["valid"]
        outputs = outputs_of(network, Tensor(batch["image"]))
        logits, labels = outputs[0][valid], batch["label"][valid]
        _check(logits, labels, classes)
        if on_batch is not None:
            on_batch(batch, outputs)
        counts = score(logits, labels)
        correct, top5, loss = correct + counts[0], top5 + counts[1], loss + counts[2]
        seen += len(labels)
        if index == 0 and seen < samples:
            start = time.perf_counter()
        else:
            timed += len(labels)
        progress.update(len(labels), acc=correct / max(seen, 1))
    progress.close()
    return Metrics(correct, top5, loss, seen, time.perf_counter() - start, timed)


def outputs_of(network: nn.Cell, images: Tensor) -> tuple[np.ndarray, ...]:
    """Logits (N, classes) for images (N, 3, H, W), and what else a network gives with them."""
    given = network(images)
    return tuple(part.asnumpy() for part in (given if isinstance(given, tuple) else (given,)))


def evaluate_images(
    network: nn.Cell,
    source: ImageSource,
    preprocessing: Preprocessing,
    batch_size: int,
    label: str = "",
    on_batch: OnBatch | None = None,
) -> Metrics:
    """:func:`evaluate` on every image of a source, once, by all processes together; ``batch_size`` of each of them.

    Each process tells its own ``on_batch`` of its own batches.
    """
    count, number = distributed.size(), distributed.rank()
    if count > 1:
        batch_size = min(batch_size, -(-len(source) // count))  # a part for each of them
    data = eval_dataset(source, preprocessing, batch_size, count, number)
    part = batch_size * data.get_dataset_size()
    samples = min(part, max(0, len(source) - number * part))
    part_metrics = evaluate(network, batches(data), samples, label, on_batch=on_batch, classes=source.num_classes)
    return _together(part_metrics)


def _together(part: Metrics) -> Metrics:
    """The metrics of all processes; they took as long as the slowest."""
    names = [field.name for field in fields(part)]
    values = distributed.gathered([getattr(part, name) for name in names])
    sums, seconds = dict(zip(names, values.sum(0).tolist())), values[:, names.index("seconds")].max()
    counts = {name: round(sums[name]) for name in ("correct", "correct_top5", "samples", "timed_samples")}
    return Metrics(**counts, loss_sum=sums["loss_sum"], seconds=float(seconds))


def evaluator(
    source: ImageSource, preprocessing: Preprocessing, batch_size: int, label: str = "test"
) -> Callable[[nn.Cell], Metrics]:
    """Function from a network to its metrics on these images, as the training engine takes it."""
    return lambda network: evaluate_images(network, source, preprocessing, batch_size, label)


def _check(logits: np.ndarray, labels: np.ndarray, classes: int | None) -> None:
    if classes not in (None, logits.shape[1]):
        raise QuantizationError(f"the data has {classes} classes, but the network has {logits.shape[1]}")
    if not np.isfinite(logits).all():
        raise QuantizationError("the network's output is not finite: the checkpoint does not fit the network or data")
    if labels.size and labels.max() >= logits.shape[1]:
        raise QuantizationError(f"the data has label {labels.max()}, but the network has {logits.shape[1]} classes")
