"""The comparisons that the README shows: their rows, one file for all data sets, and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from common.report.results import Results
from comparison import pictures
from comparison.table import table

KEYS = ("dataset", "method", "budget", "seed")
FOLDER = Path(__file__).parent
RESULTS = Results(FOLDER / "results.csv", KEYS)


def keep(rows: Sequence[Mapping[str, str]]) -> None:
    """Take over the rows and draw the pictures of all rows of their data sets."""
    for row in rows:
        RESULTS.put(row)
    for dataset in {row["dataset"] for row in rows}:
        pictures.draw([row for row in RESULTS.rows() if row["dataset"] == dataset], FOLDER, f"{dataset}_")


def sections(rows: Sequence[Mapping[str, str]]) -> str:
    """Markdown: for each data set what was trained and measured, the table and the pictures."""
    parts = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        chosen = [row for row in rows if row["dataset"] == dataset]
        trained = next(row for row in chosen if row["epochs"])
        images = trained["train_images"] + (" training" if trained["train_images"].isdigit() else "")
        links = [f"![{name}](scripts/comparison/{dataset}_{name})" for name in pictures.NAMES]
        trained_on = f"{trained['epochs']} epochs of {images} images"
        title = f"{dataset}, N = {chosen[0]['samples']}, seed {chosen[0]['seed']}, {trained_on}:"
        parts += [title, table(chosen), " ".join(links)]
    return "\n\n".join(parts)
