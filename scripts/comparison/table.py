"""The rows of a comparison as a table."""

from collections.abc import Mapping, Sequence

from common import report

COLUMNS = {
    "method": "method",
    "budget": "bits",
    "weight_bits": "W bits",
    "activation_bits": "A bits",
    "top1": "top-1 %",
    "drop": "drop",
    "file_bytes": "bytes on disk",
    "bit_operations": "bit operations (G)",
    "seconds": "seconds to produce",
    "images_per_second": "images/s",
}
_FLOAT = "32"


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Markdown, a line per network; drops are from the float network where it is of the same kind."""
    floats = {row["network"]: float(row["top1"]) for row in rows if row["budget"] == _FLOAT}
    lines = []
    for row in rows:
        base = floats.get(row["network"])
        drop = "-" if base is None or row["budget"] == _FLOAT else f"{base - float(row['top1']):.2f}"
        cells = {**row, "drop": drop, "bit_operations": f"{float(row['bit_operations']) / 1e9:.3f}"}
        cells["file_bytes"] = f"{int(row['file_bytes']):,}"
        lines.append({title: cells.get(name) or "-" for name, title in COLUMNS.items()})
    return report.markdown_table(lines, list(lines[0])) if lines else ""
