"""Write the tables of the methods' READMEs from their results.csv, between two marks.

usage: python scripts/update_tables.py [--check]     (--check changes nothing and fails where a table is stale)
"""

import csv
import importlib
import sys
from pathlib import Path

from common.atomic_file import write_text

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def updated(readme: str, table: str) -> str:
    """The README with the table between the marks replaced."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def main(argv: list[str]) -> int:
    """Update or check all methods that have results; 1 if a checked table is stale."""
    stale = []
    for results in sorted(ROOT.glob("*/results.csv")):
        method = importlib.import_module(f"{results.parent.name}.reproduce")
        with results.open(newline="", encoding="utf-8") as file:
            table = method.table(list(csv.DictReader(file)))
        path = results.with_name("README.md")
        readme = path.read_text(encoding="utf-8")
        if updated(readme, table) != readme:
            stale.append(path)
            if "--check" not in argv:
                write_text(path, updated(readme, table))
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'stale' if '--check' in argv else 'updated'}")
    return int("--check" in argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
