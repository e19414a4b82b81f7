"""Quantization settings of AdderQuant."""

from dataclasses import dataclass

from common.errors import ConfigError

SCHEMES = ("two-sided", "paper")
MAX_GROUPS = 8
# The share of inputs that the paper's published table leaves unclamped.
PAPER_QUANTILE = 0.9997


@dataclass(frozen=True)
class QuantConfig:
    """Settings that a network is quantized by.

    Attributes:
        bits: bits of weights and activations, 2 to 8.
        scheme: ``two-sided`` or ``paper``, see :mod:`AdderQuant.quant`.
        groups: scale groups per layer of ``paper``, 1 to 8.
        quantile: share of each layer's inputs that the clamp leaves as they are; None takes the scheme's own:
            ``PAPER_QUANTILE`` for ``paper``, the least squared error of each layer's inputs for ``two-sided``.
        reestimate: whether BatchNorm statistics are taken anew.
        seed: seed of the grouping, of the calibration images and of their augmentation.
        signed: names of the layers whose inputs may be negative, see :class:`AdderQuant.shifted.ShiftedAdder`.

    Raises:
        ConfigError: a value outside its range.
    """

    bits: int = 8
    scheme: str = "two-sided"
    groups: int = 4
    quantile: float | None = None
    reestimate: bool = False
    seed: int = 0
    signed: tuple[str, ...] = ()

    def __post_init__(self):
        check_choice(self.bits, self.groups, self.scheme)

    @property
    def scale_groups(self) -> int:
        """Groups that a layer can have: ``two-sided`` uses one range for the whole layer."""
        return self.groups if self.scheme == "paper" else 1


def check_choice(bits: int, groups: int, scheme: str) -> None:
    """Make sure that a layer can be quantized so.

    Raises:
        ConfigError: a value outside its range.
    """
    if not 2 <= bits <= 8:
        raise ConfigError(f"bits: expected 2 to 8 (or 32 for float), found {bits}")
    if not 1 <= groups <= MAX_GROUPS:
        raise ConfigError(f"groups: expected 1 to {MAX_GROUPS}, found {groups}")
    if scheme not in SCHEMES:
        raise ConfigError(f"scheme: expected {' or '.join(SCHEMES)}, found {scheme!r}")
