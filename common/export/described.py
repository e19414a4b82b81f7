"""A stored network as a description: of the zoo by its name, any other by its recorded forward pass."""

from common.checkpoint import network_state
from common.engine.description import Description
from common.engine.networks.describe import NETWORKS, describe
from common.export.lowbit_recorded import describe_recorded
from common.stored.network import StoredNetwork


def describe_network(stored: StoredNetwork, side: int) -> Description:
    """The description of a packed or a float network on images of so many pixels.

    Raises:
        QuantizationError: a layer that descriptions have no steps for.
        ConfigError: a ``construct`` that cannot be recorded.
    """
    parameters = network_state.state(stored.network)
    if stored.metadata["network"] in NETWORKS:
        return describe(stored.metadata["network"], parameters, stored.layers, (side, side), floats=True)
    return describe_recorded(stored.network, parameters, stored.layers, side)
