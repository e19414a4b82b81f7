"""Quantization settings of DAMBQ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import ConfigError
from DAMBQ.tables import MAX_BITS, TABLES


@dataclass(frozen=True)
class QuantConfig:
    """Settings that a network is quantized by; the bits of single channels are parameters of the network.

    Attributes:
        table: name of the weights' level table, ``v2``, ``v1-cifar`` or ``int8``.
        bits: bits of all weights and activations to begin with, first and last layer apart; 0 to 4.
        activation_clip: first value of the activations' clips, > 0.
        signed: names of the layers whose inputs may be negative; None finds them by a trace.
        ends: names of the first and the last layer, which have 8 bits; None: as they are described or called.

    Raises:
        ConfigError: a value outside its range.
    """

    table: str = "v2"
    bits: int = MAX_BITS
    activation_clip: float = 3.0
    signed: tuple[str, ...] | None = None
    ends: tuple[str, str] | None = None

    def __post_init__(self):
        if self.table not in TABLES or not 0 <= self.bits <= MAX_BITS or self.activation_clip <= 0:
            tables = ", ".join(TABLES)
            raise ConfigError(
                f"expected a table of {tables}, 0 to {MAX_BITS} bits and an activation_clip > 0, found {self}"
            )

    @classmethod
    def recorded(cls, values: Mapping[str, Any]) -> "QuantConfig":
        """The configuration that the metadata of a file hold; older ones have no signed inputs.

        Raises:
            TypeError: values of something else.
        """
        ends = values.get("ends")
        return cls(**{**values, "signed": tuple(values.get("signed") or ()), "ends": tuple(ends) if ends else None})
