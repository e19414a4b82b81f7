"""Quantization settings of LDNQ."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import ConfigError
from LDNQ.levels import LEVEL_COUNTS

GRANULARITIES = ("channel", "layer")
ACT_BITS = (8, 16)
PACKED_ACT_BITS = 8  # that a file can hold


@dataclass(frozen=True)
class QuantConfig:
    """Levels of a quantized network's weights; the way to them is the cascade's :class:`LDNQ.plan.Plan`.

    Attributes:
        levels: number of levels, 3, 5, 7, 9 or 11.
        granularity: unit of one scale, output ``channel`` or ``layer``.
        first_and_last: whether the first and the last layer are quantized too.
        ends: names of these two; None: as they are described.

    Raises:
        ConfigError: a value that is none of these.
    """

    levels: int = 3
    granularity: str = "channel"
    first_and_last: bool = True
    ends: tuple[str, str] | None = None

    def __post_init__(self):
        if self.levels not in LEVEL_COUNTS or self.granularity not in GRANULARITIES:
            raise ConfigError(
                f"expected levels of {', '.join(map(str, LEVEL_COUNTS))} and granularity "
                f"{' or '.join(GRANULARITIES)}, found {self.levels}, {self.granularity!r}"
            )


@dataclass(frozen=True)
class ActivationConfig:
    """Grids of a network's activations; their clips are parameters of the network.

    Attributes:
        bits: of all, 8 or 16.
        float_inputs: names of the quantized layers whose inputs stay float, such as the first one.
        signed: names of those whose inputs go below 0: their levels are on both sides of it.

    Raises:
        ConfigError: a value that is none of these.
    """

    bits: int = PACKED_ACT_BITS
    float_inputs: Sequence[str] = ()
    signed: Sequence[str] = ()

    def __post_init__(self):
        names = (*self.float_inputs, *self.signed)
        if self.bits not in ACT_BITS or not all(isinstance(name, str) for name in names):
            raise ConfigError(f"expected activations of 8 or 16 bits and names of layers, found {self}")
