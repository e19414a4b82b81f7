"""The formats of all methods, each with its shipped packed files and a configuration to quantize a network with."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import AdderQuant.storage
import DAMBQ.storage
import DynamicQuant.storage
import LDNQ.storage
import ProQHA.storage
from common.stored.format import Format

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class FormatCase:
    """A method's format.

    Attributes:
        format: of the method.
        packed: a packed file that ships with it; LDNQ has them with and without clips of activations.
        settings: of a latent network to make; None where the method has none, for it is not trained.
    """

    format: Format
    packed: Path
    settings: Callable[[], dict] | None

    @property
    def name(self) -> str:
        """Of the method."""
        return self.format.method


def _settings(module: str, **values) -> Callable[[], dict]:
    def make() -> dict:
        config = __import__(f"{module}.quant_config", fromlist=["QuantConfig"]).QuantConfig
        return asdict(config(**values))

    return make


FORMATS = [
    FormatCase(AdderQuant.storage.FORMAT, ROOT / "AdderQuant/checkpoints/adder_resnet20_4bits_cifar10.ckpt", None),
    FormatCase(DAMBQ.storage.FORMAT, ROOT / "DAMBQ/checkpoints/resnet20_w2a2_digits.ckpt", _settings("DAMBQ", bits=3)),
    FormatCase(
        DynamicQuant.storage.FORMAT,
        ROOT / "DynamicQuant/checkpoints/resnet20_dynamic3_digits.ckpt",
        _settings("DynamicQuant", bits=3, quantizer="pact"),
    ),
    FormatCase(LDNQ.storage.FORMAT, ROOT / "LDNQ/checkpoints/ternary_resnet20_digits.ckpt", None),
    FormatCase(LDNQ.storage.FORMAT, ROOT / "LDNQ/checkpoints/ternary_resnet20_a8_digits.ckpt", None),
    FormatCase(
        ProQHA.storage.FORMAT,
        ROOT / "ProQHA/checkpoints/resnet20_w4_digits.ckpt",
        _settings("ProQHA", bits=4, signed=()),
    ),
]
