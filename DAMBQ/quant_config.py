"""Quantization settings of DAMBQ."""

from dataclasses import dataclass

from common.errors import ConfigError
from DAMBQ.tables import MAX_BITS, TABLES


@dataclass(frozen=True)
class QuantConfig:
    """Settings that a network is quantized by; the bits of single channels are parameters of the network.

    Attributes:
        table: name of the weights' level table, ``v2``, ``v1-cifar`` or ``int8``.
        bits: bits of all weights and activations to begin with, first and last layer apart; 0 to 4.
        activation_clip: first value of the activations' clips, > 0.

    Raises:
        ConfigError: a value outside its range.
    """

    table: str = "v2"
    bits: int = MAX_BITS
    activation_clip: float = 3.0

    def __post_init__(self):
        if self.table not in TABLES or not 0 <= self.bits <= MAX_BITS or self.activation_clip <= 0:
            tables = ", ".join(TABLES)
            raise ConfigError(
                f"expected a table of {tables}, 0 to {MAX_BITS} bits and an activation_clip > 0, found {self}"
            )
