"""Cost of the bits of a network that a user names, as a table, a line and a JSON object."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import nn

from common import report
from common.cli.run_options import RunOptions
from common.errors import ConfigError
from common.models.registry import PREPROCESSING, model
from ProQHA import storage
from ProQHA.cost_model import MixedBits, cost_model, table
from ProQHA.quant import get_bits

_CLASSES = {"imagenet": 1000, "cifar100": 100}


@dataclass(frozen=True)
class BitsChoice:
    """The bits that a user wants.

    Attributes:
        each: widths of weights and input of each layer in turn; None: those of the file, else ``mixed``.
        mixed: widths in a network that has none.
    """

    each: tuple[int, ...] | None
    mixed: MixedBits

    def of_network(self, network: nn.Cell, names: Sequence[str]) -> np.ndarray:
        """Bits (L, 2) of the L named layers of a network.

        Raises:
            ConfigError: another number of bits.
        """
        if self.each is None:
            present = get_bits(network)
            return present if len(present) else self.mixed.of_network(names)
        layers = len(names)
        if len(self.each) != 2 * layers:
            raise ConfigError(
                f"layer_bits: expected {2 * layers} numbers, of weights and input of {layers} layers in turn, "
                f"found {len(self.each)}"
            )
        return np.array(self.each).reshape(layers, 2)


def run(options: RunOptions, architecture: str, choice: BitsChoice) -> None:
    """Print the table and the totals of the file that the options name, or of a network of the registry."""
    options.device.set_up()
    dataset = options.data.dataset
    if options.checkpoint_path:
        stored = storage.load(options.checkpoint_path, architecture)
        name, network = stored.metadata["network"], stored.network
        dataset = stored.metadata.get("dataset", dataset)
    else:
        name, network = architecture, model(architecture).build(_CLASSES.get(dataset, 10))
    sizes = cost_model(network, PREPROCESSING[dataset].image_size)
    bits = choice.of_network(network, sizes.names)
    print(table(sizes, bits))
    totals = sizes.summary(bits)
    print(f"{name}: " + ", ".join(f"{key} {value:.6g}" for key, value in totals.items()))
    if options.json:
        layers = [{"layer": layer, "bits": pair.tolist()} for layer, pair in zip(sizes.names, bits)]
        report.write_json(options.json, {"network": name, **totals, "layers": layers})
