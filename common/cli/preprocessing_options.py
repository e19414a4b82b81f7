"""The options of the preprocessing, for files that record none or the wrong one."""

from argparse import Namespace, _ArgumentGroup
from dataclasses import dataclass, replace
from typing import Any

from common.cli.typed import positive_float, positive_int, share
from common.data import Preprocessing
from common.data.preprocessing import INTERPOLATIONS, PREPROCESSINGS


@dataclass(frozen=True)
class PreprocessingOptions:
    """What a user says of the preprocessing; None: nothing.

    Attributes:
        name: of a known one, a key of ``PREPROCESSINGS``.
        mean: per channel (red, green, blue), 0 to 1.
        std: per channel, above 0.
        crop: side of the network's input in pixels.
        resize: length of the shorter side before the crop.
        interpolation: how images are resized.
    """

    name: str | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    crop: int | None = None
    resize: int | None = None
    interpolation: str | None = None

    def over(self, usual: Preprocessing) -> Preprocessing:
        """``usual`` with what is given in its place.

        Without ``resize``, a crop of another size keeps the share of the resized image that it has in ``usual``.

        Raises:
            ConfigError: values that do not fit each other.
        """
        base = PREPROCESSINGS[self.name] if self.name else usual
        given: dict[str, Any] = {"mean": self.mean, "std": self.std, "image_size": self.crop, "resize": self.resize}
        given |= {"interpolation": self.interpolation}
        if self.crop and not self.resize and base.resize:
            given["resize"] = int(self.crop * base.resize / base.image_size)
        return replace(base, **{key: value for key, value in given.items() if value is not None})


def add_preprocessing(group: _ArgumentGroup) -> None:
    """The options of :class:`PreprocessingOptions`."""
    which = "a known preprocessing in the place of the file's"
    group.add_argument("--preprocessing", choices=list(PREPROCESSINGS), help=which)
    channels: dict[str, Any] = {"nargs": 3, "metavar": ("R", "G", "B")}
    group.add_argument("--mean", type=share, **channels, help="of the images' values, scaled to 0 to 1")
    group.add_argument("--std", type=positive_float, **channels, help="of the images' values, scaled to 0 to 1")
    group.add_argument("--crop", type=positive_int, metavar="N", help="side of the network's input in pixels")
    group.add_argument("--resize", type=positive_int, metavar="N", help="shorter side of an image before the crop")
    group.add_argument("--interpolation", choices=list(INTERPOLATIONS), help="how images are resized")


def preprocessing_options(args: Namespace) -> PreprocessingOptions:
    """What the options say."""
    mean, std = (tuple(values) if values else None for values in (args.mean, args.std))
    return PreprocessingOptions(args.preprocessing, mean, std, args.crop, args.resize, args.interpolation)
