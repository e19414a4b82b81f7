"""Write the tables of the READMEs from results.csv of the methods and of the comparison, between two marks.

usage: python scripts/update_tables.py [--check]     (--check changes nothing and fails where a table is stale)
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from comparison import recorded

from common.atomic_file import write_text
from common.report import read_rows

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def updated(readme: str, table: str) -> str:
    """The README with the table between the marks replaced."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def tables() -> Iterator[tuple[Path, str]]:
    """The READMEs that show results, each with what stands between its marks."""
    for results in sorted(ROOT.glob("*/results.csv")):
        method = importlib.import_module(f"{results.parent.name}.reproduce")
        yield results.with_name("README.md"), method.table(read_rows(results))
    if rows := recorded.RESULTS.rows():
        yield ROOT / "README.md", recorded.sections(rows)


def main(argv: list[str]) -> int:
    """Update or check all of them; 1 if a checked table is stale."""
    stale = []
    for path, table in tables():
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
