"""The rows of networks of random weights: sizes, bit operations, speed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from common import report
from common.evaluation import cost
from common.report.results import Results
from common.stored.network import StoredNetwork

KEYS = ("network", "method")
RECORDED = Results(Path(__file__).parent / "sizes.csv", KEYS)
SPEEDS = {"float_speed": "images/s float", "integer_speed": "images/s integers"}
_FLOAT = 32


def cost_of(stored: StoredNetwork, side: int) -> dict[str, str]:
    """Bits and bit operations of a packed network's layers, of a dynamic one's as if each width were as frequent."""
    bits = {
        name: (
            sum(float(weight.bits.mean()) for weight in layer.weights) / len(layer.weights),
            sum(float(grid.bits.mean()) for grid in layer.grids) / len(layer.grids) if layer.grids else _FLOAT,
        )
        for name, layer in stored.layers.items()
    }
    layers = cost.trace(stored.network, (3, side, side), bits=bits, products=list(bits))
    found = cost.summary(layers, 0)
    return {
        "weight_bits": f"{found['average_weight_bits']:.2f}",
        "activation_bits": f"{found['average_activation_bits']:.2f}",
        "bit_operations": str(round(found["bit_operations"])),
    }


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Markdown, a line per network and method."""
    lines = [
        {
            "network": row["network"],
            "method": row["method"],
            "W bits": row["weight_bits"],
            "A bits": row["activation_bits"],
            "bytes": f"{int(row['file_bytes']):,}",
            "bit operations (G)": f"{int(row['bit_operations']) / 1e9:,.1f}",
            **{title: row.get(name) or "-" for name, title in SPEEDS.items() if any(other.get(name) for other in rows)},
            "top-1 %": "not measured",
        }
        for row in rows
    ]
    return report.markdown_table(lines, list(lines[0])) if lines else ""
