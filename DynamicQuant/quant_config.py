"""Quantization settings of DynamicQuant, as the metadata of files record them."""

from dataclasses import dataclass

from common.errors import ConfigError
from common.quant.dorefa import MAX_BITS, MIN_BITS

QUANTIZERS = ("dorefa", "pact")


@dataclass(frozen=True)
class QuantConfig:
    """Settings that a network is quantized by.

    Attributes:
        bits: target bits t; a dynamic layer has the candidates t - 1, t, t + 1, all others have t bits.
        quantizer: name of the quantizer, ``dorefa`` or ``pact``.
        static: whether all layers have t bits.
        image_size: side of the images, H and W, in pixels.
        temperature: tau of the Gumbel-softmax, > 0.
        preference: lead of t bits in the controller's first scores; at 0 all candidates are equal.
        stage: name of the cell whose output the controller sees, of a network that is none of the zoo's; None: a ResNet
            of the zoo.
        signed: names of its layers whose inputs may be negative.
        ends: names of its first and last layer, which stay float.
        dynamic_shortcuts: whether the 1 x 1 convolutions of shortcuts choose too, as in the published network.

    Raises:
        ConfigError: bits outside 2 to 8, also those of a candidate; another quantizer or temperature.
    """

    bits: int = 4
    quantizer: str = "dorefa"
    static: bool = False
    image_size: int = 32
    temperature: float = 1.0
    preference: float = 0.0
    dynamic_shortcuts: bool = False
    stage: str | None = None
    signed: tuple[str, ...] = ()
    ends: tuple[str, str] | None = None

    def __post_init__(self):
        for name in ("signed", "ends"):  # files record them as lists
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        reach = 0 if self.static else 1
        low, high = MIN_BITS + reach, MAX_BITS - reach
        if not low <= self.bits <= high:
            why = "" if self.static else " of a dynamic network, whose candidates have one bit more and less"
            raise ConfigError(f"bits: expected {low} to {high}{why}, found {self.bits}")
        if self.quantizer not in QUANTIZERS or self.temperature <= 0:
            raise ConfigError(f"expected a quantizer of {', '.join(QUANTIZERS)} and a temperature > 0, found {self}")

    @property
    def candidates(self) -> tuple[int, ...]:
        """The widths that a dynamic layer chooses from."""
        return (self.bits - 1, self.bits, self.bits + 1)

    @property
    def learned_clip(self) -> bool:
        """Whether the clips of activations are trained."""
        return self.quantizer == "pact"
