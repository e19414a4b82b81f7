"""Quantization settings of LDNQ."""

from dataclasses import dataclass

from common.errors import ConfigError
from LDNQ.levels import LEVEL_COUNTS

GRANULARITIES = ("channel", "layer")


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
