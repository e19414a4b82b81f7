"""The rows of the ImageNet networks as tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from common import report
from common.report.results import Results

RECORDED = Results(Path(__file__).parent / "results.csv", ("name",))
_PLAIN = {"method": "method", "label": "bits", "training": "learns by", "top1": "top-1 %"}


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Markdown, a line per network; drops with their standard errors, p by the two-sided sign test."""
    lines = []
    for row in rows:
        alone = row["name"] == "float"
        line = {title: row[name] for name, title in _PLAIN.items()}
        line["same class as float %"] = "-" if alone else row["agreement"]
        line["drop"] = "-" if alone else f"{row['drop']} ± {row['drop_error']}"
        line["p"] = "-" if alone else f"{float(row['p']):.3f}"
        line["bytes"] = f"{int(row['file_bytes']):,}"
        line["bit operations (G)"] = f"{int(row['bit_operations']) / 1e9:,.2f}"
        line["images/s float"] = row.get("float_speed") or "-"
        line["images/s integers"] = row.get("integer_speed") or "-"
        line["seconds to make"] = row.get("seconds") or "-"
        lines.append(line)
    return report.markdown_table(lines, list(lines[0])) if lines else ""
