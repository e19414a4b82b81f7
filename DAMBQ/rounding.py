"""A trained network with the levels of table ``v2`` rounded to 8-bit integers, its codes as they are; no training.

Levels move by at most 0.0007 of a channel's scale; the integer engine then takes half the multiplications.
"""

from dataclasses import replace

from common.checkpoint import network_state
from common.errors import ConfigError
from common.quant.integer_weight import IntegerLayer
from common.stored.network import StoredNetwork
from common.stored.quantized_layers import layer_tensors
from DAMBQ.tables import LEVELS, LEVELS_ZERO

EXACT, ROUNDED = "v2", "int8"
_LEVELS = {tables[EXACT].name: tables[ROUNDED] for tables in (LEVELS, LEVELS_ZERO)}


def rounded(stored: StoredNetwork) -> StoredNetwork:
    """The packed network with levels of table ``int8`` in the places of those of ``v2``, in place.

    Raises:
        ConfigError: a network that is not packed, or of another table.
    """
    settings = stored.metadata.get("settings", {})
    if stored.kind != "packed" or settings["table"] != EXACT:
        found = f"one of table {settings['table']}" if stored.kind == "packed" else f"a {stored.kind} one"
        raise ConfigError(f"table: expected a packed network of table {EXACT} to round to {ROUNDED}, found {found}")
    layers = {name: _rounded(layer) for name, layer in stored.layers.items()}
    state = network_state.state(stored.network) | layer_tensors(stored.network, layers)
    network_state.restore(stored.network, state)
    return replace(stored, layers=layers, metadata={**stored.metadata, "settings": {**settings, "table": ROUNDED}})


def _rounded(layer: IntegerLayer) -> IntegerLayer:
    weights = (replace(weight, levels=_LEVELS.get(weight.levels.name, weight.levels)) for weight in layer.weights)
    return replace(layer, weights=tuple(weights))
