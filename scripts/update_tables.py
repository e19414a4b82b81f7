"""Write the tables of the READMEs from results.csv of the methods and of the comparison, between two marks."""

import importlib
from collections.abc import Iterator
from pathlib import Path

from comparison import recorded

from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.errors import ConfigError
from common.files.atomic_file import write_text
from common.report import read_rows

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def updated(readme: str, table: str) -> str:
    """The README with the table between the marks replaced.

    Raises:
        ConfigError: a mark that is missing or repeated.
    """
    if (readme.count(BEGIN), readme.count(END)) != (1, 1):
        raise ConfigError(f"expected one {BEGIN} and one {END} in a README with results, found others")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def tables() -> Iterator[tuple[Path, str]]:
    """The READMEs that show results, each with what stands between its marks."""
    for results in sorted(ROOT.glob("*/results.csv")):
        method = importlib.import_module(f"{results.parent.name}.reproduce")
        yield results.with_name("README.md"), method.table(read_rows(results))
    if rows := recorded.RESULTS.rows():
        yield ROOT / "README.md", recorded.sections(rows)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Update or check all of them."""
    parser = OptionParser("Write the tables of the READMEs from recorded results.")
    parser.add_argument("--check", action="store_true", help="fail if a table is stale, change nothing")
    check, stale = parser.parse_args(argv).check, []
    for path, table in tables():
        readme = path.read_text(encoding="utf-8")
        if (new := updated(readme, table)) != readme:
            stale.append(str(path.relative_to(ROOT)))
            if not check:
                write_text(path, new)
                print(f"{stale[-1]}: updated")
    if check and stale:
        raise ConfigError(f"stale tables in {', '.join(stale)}; run python scripts/update_tables.py")


if __name__ == "__main__":
    main()
