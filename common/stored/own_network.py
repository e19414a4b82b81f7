"""What ``lowbitzoo.quantize`` asks of a method, and what it gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mindspore import nn

from common.data import ImageSource, Preprocessing
from common.errors import ConfigError
from common.quant.integer_weight import IntegerLayer


@dataclass(frozen=True, eq=False)
class Request:
    """What a network is quantized with, beside the method's own options.

    Attributes:
        image_size: side in pixels of the network's images.
        preprocessing: of the images.
        images: training images, unlabelled ones too: what inputs look like; None where the method needs none.
        seed: of all draws.
        folder: of a long run, which goes on there when it was killed; None keeps nothing.
    """

    image_size: int
    preprocessing: Preprocessing
    images: ImageSource | None = None
    seed: int = 0
    folder: Path | None = None

    def needed_images(self, method: str) -> ImageSource:
        """The images, of a method that cannot do without.

        Raises:
            ConfigError: there are none.
        """
        if self.images is None:
            raise ConfigError(
                f"images: {method} quantizes by some training images, expected an ImageSource, found none"
            )
        return self.images


@dataclass(frozen=True, eq=False)
class Quantized:
    """A network that was quantized.

    Attributes:
        network: the network that was given, changed, or another one around its cells.
        kind: ``latent`` or ``packed``.
        settings: of the method, which rebuild the network when its file is loaded.
        layers: integers of a packed one.
    """

    network: nn.Cell
    kind: str
    settings: dict[str, Any]
    layers: Mapping[str, IntegerLayer] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """Bits of each layer.

    Attributes:
        bits_file: file of them, see :mod:`common.quant.bits_file`; None: all layers have the same bits.
    """

    bits_file: Path | None = None


def configured(options: Mapping[str, Any], *kinds: type) -> tuple[Any, ...]:
    """Dataclasses made of options, each of those that are its fields.

    Raises:
        ConfigError: an option that none of them has.
    """
    names = [{entry.name for entry in fields(kind)} for kind in kinds]
    known = sorted(set().union(*names))
    if unknown := sorted(set(options) - set(known)):
        raise ConfigError(f"expected options of {', '.join(known)}, found {', '.join(unknown)}")
    return tuple(
        kind(**{name: value for name, value in options.items() if name in wanted}) for kind, wanted in zip(kinds, names)
    )
