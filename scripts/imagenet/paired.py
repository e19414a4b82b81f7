"""Two networks on the same images: what a few hundred images can tell of their difference."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """A quantized network beside its float one, image by image.

    Attributes:
        samples: number of images N.
        same: images that both give the same class.
        lost: images that the float network alone gives their label.
        won: images that the quantized network alone does.
    """

    samples: int
    same: int
    lost: int
    won: int

    @property
    def agreement(self) -> float:
        """Share of the images that both give the same class."""
        return self.same / self.samples

    @property
    def drop(self) -> float:
        """Fall of the top-1 accuracy, (lost - won) / N."""
        return (self.lost - self.won) / self.samples

    @property
    def error(self) -> float:
        """Standard error of the drop: that of the mean of N differences of -1, 0 and 1."""
        mean = self.drop
        return math.sqrt(max((self.lost + self.won) / self.samples - mean**2, 0) / self.samples)

    @property
    def p(self) -> float:
        """Two-sided sign test: how probable at least so uneven a split of lost + won images is if both are as good."""
        count, less = self.lost + self.won, min(self.lost, self.won)
        tail = sum(math.comb(count, k) for k in range(less + 1)) / 2**count
        return min(1.0, 2 * tail)


def compared(before: Sequence[Mapping[str, str]], after: Sequence[Mapping[str, str]]) -> Pair:
    """The pair of two files of ``eval.py --predictions``.

    Raises:
        ValueError: they are not of the same images.
    """
    if [row["label"] for row in before] != [row["label"] for row in after]:
        raise ValueError(f"expected predictions for the same images, found {len(before)} and {len(after)} of others")
    pairs = [(one["predicted"], two["predicted"], one["label"]) for one, two in zip(before, after)]
    return Pair(
        samples=len(pairs),
        same=sum(one == two for one, two, _ in pairs),
        lost=sum(one == label != two for one, two, label in pairs),
        won=sum(two == label != one for one, two, label in pairs),
    )
