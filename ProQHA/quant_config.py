"""Quantization settings of ProQHA."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.quant.dorefa import MAX_BITS, check_bits

PAPERS_CLIP = 10.0


@dataclass(frozen=True)
class QuantConfig:
    """Settings that a network is quantized by; bits and clips are parameters of the network from then on.

    Attributes:
        bits: bits of all weights and activations at the beginning, 2 to 8.
        activation_clip: first value of PACT's clips, > 0; the paper's is 10.
        signed: names of the layers whose inputs may be negative; None finds them by a trace.
        ends: names of the first and the last layer, which stay float; None: as they are described.

    Raises:
        ConfigError: bits outside 2 to 8.
    """

    bits: int = MAX_BITS
    activation_clip: float = PAPERS_CLIP
    signed: tuple[str, ...] | None = None
    ends: tuple[str, str] | None = None

    def __post_init__(self):
        check_bits(self.bits)

    @classmethod
    def recorded(cls, values: Mapping[str, Any]) -> "QuantConfig":
        """The configuration that the metadata of a file hold.

        Raises:
            KeyError, TypeError: values of something else.
        """
        settings = {"ends": None, **values}
        ends = settings["ends"]
        return cls(**{**settings, "signed": tuple(settings["signed"]), "ends": tuple(ends) if ends else None})
