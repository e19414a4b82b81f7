"""Validation images: training images that are kept from training and choose its best epoch."""

from argparse import Namespace, _ActionsContainer
from dataclasses import dataclass

from common.cli.typed import positive_int
from common.data import ImageSource


@dataclass(frozen=True)
class Validation:
    """What a training is validated on.

    Attributes:
        images: number of training images that are kept from training; None: none, and the last epoch counts.
        every: number of epochs from one validation to the next.
    """

    images: int | None = None
    every: int = 1

    def split(self, source: ImageSource, seed: int) -> tuple[ImageSource, ImageSource | None]:
        """Images to train with, and those that are kept from it; the seed alone chooses them.

        Raises:
            DataError: a class would have no image among these or those.
        """
        if self.images is None:
            return source, None
        train, kept = source.hold_out(self.images, seed)
        print(f"validation images: {len(kept)}, spread over the classes; {len(train)} are left to train with")
        return train, kept


def add_validation_images(group: _ActionsContainer) -> None:
    """Add ``--validation``, the number of training images that are kept from training."""
    kept = "keep N training images, as many of each class, from training; --seed chooses them"
    group.add_argument("--validation", type=positive_int, metavar="N", help=kept)


def add_validation(group: _ActionsContainer) -> None:
    """Add ``--validation`` and ``--validate_every``, the epochs from one validation to the next."""
    add_validation_images(group)
    every = "number of epochs from one validation to the next; the last epoch always has one"
    group.add_argument("--validate_every", type=positive_int, default=1, metavar="N", help=every)


def validation_of(args: Namespace) -> Validation:
    """The validation that the options of :func:`add_validation` describe."""
    return Validation(args.validation, args.validate_every)
