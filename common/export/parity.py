"""Parity of an exported file with its network: logits on real images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mindspore import Tensor, nn

from common.data import ImageSource, Preprocessing, batches, eval_dataset
from common.errors import ExportError
from common.report.progress import Progress


@dataclass(frozen=True)
class Tolerance:
    """What an exported file may differ by.

    Attributes:
        typical: median over the images of the largest difference of a logit, as a share of the largest logit.
        top_1: share of the images whose largest logit may be of another class.
    """

    typical: float
    top_1: float


# Other operators sum in another order, by which float logits differ by 1e-6 of the largest. Where activations are
# rounded, that can move one which lies between two levels to the other of them: such an image differs by up to some
# percent, so that the median over the images is judged. Top-1 may change where classes are near.
EXACT = Tolerance(0.005, 0.01)
# Where sums are rounded to 8 bits too, every image differs; more than this is a mistake, not rounding.
FAST = Tolerance(0.1, 0.1)


@dataclass(frozen=True)
class Parity:
    """Logits of an exported file against those of the network.

    Attributes:
        typical: median over the images of the largest absolute difference of a logit.
        difference: the largest absolute difference of any logit.
        largest: the largest absolute logit of the network.
        same_top_1: number of images whose largest logit is of the same class.
        samples: number of images N.
        tolerance: what is allowed.
    """

    typical: float
    difference: float
    largest: float
    same_top_1: int
    samples: int
    tolerance: Tolerance = EXACT

    def check(self) -> None:
        """Make sure that the file may be kept.

        Raises:
            ExportError: the median, or the number of images whose top-1 differs, is over what is allowed, or a logit is
                not a number.
        """
        allowed, others = self.tolerance.typical * self.largest, self.samples - self.same_top_1
        if not self.typical <= allowed or np.isnan(self.difference) or others > self.tolerance.top_1 * self.samples:
            raise ExportError(
                f"expected a median difference of at most {allowed:.3g} and another top-1 on at most "
                f"{self.tolerance.top_1:.0%} of the images, found {self.typical:.3g} and {others} of {self.samples}; "
                "no file was written"
            )

    def record(self) -> dict[str, float | int]:
        """The figures of a report."""
        differences = {"median_difference": self.typical, "largest_difference": self.difference}
        return {**differences, "largest_logit": self.largest, "same_top_1": self.same_top_1, "samples": self.samples}

    def __str__(self) -> str:
        share = f"{self.same_top_1} images ({self.same_top_1 / self.samples:.1%})"
        top = "all images" if self.same_top_1 == self.samples else share
        return (
            f"parity on {self.samples} images: logits up to {self.largest:.4g} differ by {self.typical:.2g} in the "
            f"median image, {self.difference:.2g} at most (median allowed: {self.tolerance.typical:.1%} of the "
            f"largest); top-1 is the same on {top}"
        )


def compare_arrays(
    network: nn.Cell,
    exported: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    batch_size: int,
    tolerance: Tolerance = EXACT,
) -> Parity:
    """Run both on images (N, 3, S, S) in batches of one size; what does not fill one is left out.

    Raises:
        ExportError: there is no whole batch.
    """
    network.set_train(False)
    if len(images) < batch_size:
        raise ExportError(f"expected at least {batch_size} images to compare on, a batch, found {len(images)}")
    starts = range(0, len(images) - batch_size + 1, batch_size)
    parts = [images[start : start + batch_size] for start in starts]
    expected = np.concatenate([network(Tensor(part)).asnumpy() for part in parts])
    logits = np.concatenate([exported(part) for part in parts])
    differences, same = np.abs(logits - expected).max(1), logits.argmax(1) == expected.argmax(1)
    largest = float(np.abs(expected).max())
    return Parity(
        float(np.median(differences)), float(differences.max()), largest, int(same.sum()), len(expected), tolerance
    )


def compare(
    network: nn.Cell,
    exported: Callable[[np.ndarray], np.ndarray],
    source: ImageSource,
    preprocessing: Preprocessing,
    batch_size: int,
    tolerance: Tolerance = EXACT,
) -> Parity:
    """Run both on every image of a source.

    Args:
        network: network from images to logits.
        exported: function of the file from arrays (B, 3, H, W) to (B, classes), always of ``batch_size`` images.
        source: images to compare on.
        preprocessing: preprocessing of the network.
        batch_size: number B of images per step.
        tolerance: what is allowed.
    """
    network.set_train(False)
    differences, largest, same = [], 0.0, 0
    with Progress(len(source), label="parity") as progress:
        for batch in batches(eval_dataset(source, preprocessing, batch_size)):
            valid = batch["valid"]
            expected = network(Tensor(batch["image"])).asnumpy()[valid]
            logits = exported(batch["image"])[valid]
            differences.append(np.abs(logits - expected).max(1))
            largest = max(largest, float(np.abs(expected).max()))
            same += int((logits.argmax(1) == expected.argmax(1)).sum())
            progress.update(len(logits), top_1=same)
    every = np.concatenate(differences)
    return Parity(float(np.median(every)), float(every.max()), largest, same, len(source), tolerance)
