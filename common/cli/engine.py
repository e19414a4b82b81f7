"""What a packed network is evaluated with: the integer engine where it can be, else MindSpore's floats."""

import argparse
from dataclasses import dataclass
from typing import Any

from mindspore import nn

from common.checkpoint import network_state
from common.cli.option_parser import OptionParser
from common.engine.networks.describe import describe, has_grids
from common.engine.run import INTERPRETER
from common.errors import QuantizationError
from common.evaluation.integer import IntegerNetwork
from common.stored.network import StoredNetwork

INTEGER, FLOAT = "integer", "float"


def add_engine(parser: OptionParser) -> OptionParser:
    """The option of what computes a packed network."""
    group: argparse._ArgumentGroup = parser.add_argument_group("engine")
    default = "default: integer for packed networks with activation grids that it can run"
    group.add_argument("--engine", choices=[INTEGER, FLOAT], help=f"arithmetic of the evaluation; {default}")
    return parser


@dataclass(frozen=True, eq=False)
class Engine:
    """What computes.

    Attributes:
        name: ``integer`` or ``float``.
        network: cell from images to logits.
        about: for the report: instructions, or why floats compute what could be integers.
    """

    name: str
    network: nn.Cell
    about: str = ""

    @property
    def line(self) -> str:
        """What is said of it; nothing of networks that are float anyway."""
        return f"engine: {self.name} ({self.about})" if self.about else ""

    @property
    def record(self) -> dict[str, Any]:
        """What the JSON object says."""
        return {"engine": self.name, "engine_about": self.about}


def choose_engine(wanted: str | None, stored: StoredNetwork, image_size: int, target: str = "CPU") -> Engine:
    """The engine of a network: what is wanted where it can be had, else floats, with the reason.

    Args:
        wanted: ``integer``, ``float`` or None: integers where the network is packed with grids.
        stored: the network.
        image_size: side of its images in pixels.
        target: device.
    """
    if wanted == FLOAT:
        return Engine(FLOAT, stored.network, "as asked for")
    layers = stored.layers  # of a packed network alone
    if wanted is None and not has_grids(stored.metadata.get("network", ""), layers):
        return Engine(FLOAT, stored.network)
    try:
        return _integer(stored, image_size, target)
    except QuantizationError as error:
        return Engine(FLOAT, stored.network, str(error))


def _integer(stored: StoredNetwork, image_size: int, target: str) -> Engine:
    if stored.kind != "packed":
        raise QuantizationError(f"integer engine: expected a packed network, found a {stored.kind} one")
    if target != "CPU":
        raise QuantizationError(f"integer engine: expected the CPU as device, found {target}")
    size = (image_size, image_size)
    parameters = network_state.state(stored.network)
    network = IntegerNetwork(describe(stored.metadata["network"], parameters, stored.layers, size))
    if network.instruction_set == INTERPRETER:
        raise QuantizationError("integer engine: expected a C++ compiler, found none that works")
    return Engine(INTEGER, network, network.instruction_set)
