"""Write the tables of the READMEs from recorded results, between two marks: methods, comparison, speed, fuzz, ..."""

import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import train_from_scratch as scratch
from comparison import recorded
from imagenet import sizes
from imagenet import table as imagenet

from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.errors import ConfigError
from common.files.atomic_file import write_text
from common.report import markdown_table, read_rows

ROOT = Path(__file__).resolve().parents[1]
FUZZED = ROOT / "tests" / "fuzz" / "results.csv"
MEASURED = ROOT / "scripts" / "benchmarks" / "measured"
METHODS = MEASURED / "methods"  # JSON files of the methods' own benchmarks
DATA = MEASURED / "data.json"
LATENCY = MEASURED / "latency.json"
SCALE = MEASURED / "scale.json"
EXPORTS = MEASURED / "exports.json"
KILLED = ROOT / "scripts" / "killing" / "results.csv"


def updated(readme: str, name: str, table: str) -> str:
    """The README with the table between the marks of a name replaced.

    Raises:
        ConfigError: a mark that is missing or repeated.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if (readme.count(begin), readme.count(end)) != (1, 1):
        raise ConfigError(f"expected one {begin} and one {end} in a README with results, found others")
    before, rest = readme.split(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}"


def fuzzed(rows: Sequence[Mapping[str, str]]) -> str:
    """Markdown: a line per format with its counts, and their sum."""
    columns = ("mutations", "refused", "read", "faults")
    lines = [{"format": row["format"], **{name: f"{int(row[name]):,}" for name in columns}} for row in rows]
    sums = {name: f"{sum(int(row[name]) for row in rows):,}" for name in columns}
    return markdown_table([*lines, {"format": "all", **sums}], ["format", *columns])


def killed(rows: Sequence[Mapping[str, str]]) -> str:
    """Markdown: a line per job with its kills and what differed afterwards, and their sum."""
    columns = ("job", "kills", "rounds", "seconds", "but for")
    total = {"job": "all", "kills": str(sum(int(row["kills"]) for row in rows))}
    return markdown_table([*rows, total], columns)


def benchmarked(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: the candidates of every work, side by side, with the speed against PyTorch's usual mode."""
    eager = {row["work"]: row["ms"] for row in rows if row["candidate"] == "PyTorch eager"}
    lines = [
        {
            "work": row["work"],
            "candidate": row["candidate"],
            "batch": str(row["batch"]),
            "ms": f"{row['ms']:,.1f}",
            "images/s": f"{row['images_per_s']:,.0f}",
            "/ PyTorch eager": f"{eager[row['work']] / row['ms']:.2f}" if row["work"] in eager else "-",
            "MAC/cycle": f"{row['mac_per_cycle']:.1f}",
            "peak MiB": f"{row['peak_mib']:,.0f}",
        }
        for row in rows
    ]
    return markdown_table(lines, list(lines[0]))


def on_integers(runs: Iterable[Sequence[Mapping[str, Any]]]) -> str:
    """Markdown: each network's candidates, a batch and a single image, with the speed against OpenVINO's at 8 bits."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for rows in runs:
        limits = {row["isa"] for row in rows} - {"native"}  # of candidates that can be limited
        named = [{**row, "work": ", ".join([row["work"], *limits])} for row in rows]
        _beside_openvino(lines, named, lambda row: "1 image" if row["batch"] == 1 else "batch", 2)
    return markdown_table(list(lines.values()), list(next(iter(lines.values()))))


def of_single_images(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: milliseconds of an image on each number of threads, and the speed against OpenVINO's at 8 bits."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    _beside_openvino(lines, rows, lambda row: f"{row['threads']} thread{'s' if row['threads'] > 1 else ''}", 3)
    return markdown_table(list(lines.values()), list(next(iter(lines.values()))))


def _beside_openvino(
    lines: dict[tuple[str, str], dict[str, str]],
    rows: Sequence[Mapping[str, Any]],
    which: Callable[[Mapping[str, Any]], str],
    digits: int,
) -> None:
    """Add two columns for each group ``which`` of rows to the lines of networks and candidates."""
    peers = {(row["work"], which(row)): row["ms"] for row in rows if row["candidate"] == "OpenVINO int8"}
    for row in rows:
        network, group = row["work"], which(row)
        line = lines.setdefault((network, row["candidate"]), {"network": network, "candidate": row["candidate"]})
        line[f"ms, {group}"] = f"{row['ms']:,.{digits}f}"
        line[f"x OpenVINO int8, {group}"] = f"{peers[network, group] / row['ms']:.2f}"


def of_exports(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: each exported file's size, and its milliseconds beside the float network's in the same runtime."""
    floats = {(row["work"], row["batch"]): row["ms"] for row in rows if row["candidate"] == "float"}
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        group = f"{row['work'].split(', ')[1]}, {'1 image' if row['batch'] == 1 else 'batch'}"
        line = lines.setdefault(row["candidate"], {"ResNet-20": row["candidate"], "kB": f"{row['kb']:,}"})
        line[f"ms, {group}"] = f"{row['ms']:,.{2 if row['batch'] == 1 else 1}f}"
        line[f"x float, {group}"] = f"{floats[row['work'], row['batch']] / row['ms']:.2f}"
    return markdown_table(list(lines.values()), list(next(iter(lines.values()))))


def loaded(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: images per second of the data pipelines and of what they feed."""
    columns = ("work", "candidate", "batch", "threads")
    lines = [
        {name: str(row[name]) for name in columns}
        | {"images/s": f"{row['images_per_s']:,.0f}", "peak MiB": f"{row['peak_mib']:,.0f}"}
        for row in rows
    ]
    return markdown_table(lines, list(lines[0]))


def at_full_size(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: images per second of what evaluation and training do, and the hours of all of ImageNet's images."""
    lines = [
        {
            "work": row["work"],
            "batch": str(row["batch"]),
            "images/s": f"{row['images_per_s']:,.0f}",
            "peak MiB": f"{row['peak_mib']:,.0f}",
            "images": f"{row['images']:,}",
            "hours": f"{row['hours']:,.2f}",
        }
        for row in rows
        if "hours" in row
    ]
    return markdown_table(lines, list(lines[0]))


def of_a_method(file: Path) -> str:
    """Markdown: the rows of a method's own benchmark, and the machine that they are of."""
    content = json.loads(file.read_text("utf-8"))
    rows = [{column: _number(value) for column, value in row.items()} for row in content["rows"]]
    machine = "; ".join(f"{key} {value}" for key, value in content["machine"].items())
    return f"{markdown_table(rows, list(rows[0]))}\n\n{machine}"


def _number(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def measured(file: Path) -> list[dict[str, Any]]:
    """The rows of a benchmark's JSON file."""
    return json.loads(file.read_text("utf-8"))


def tables() -> Iterator[tuple[Path, str, str]]:
    """The READMEs that show results, each with the name of the marks and what stands between them."""
    for results in sorted(ROOT.glob("*/results.csv")):
        method = importlib.import_module(f"{results.parent.name}.reproduce")
        yield results.with_name("README.md"), "results", method.table(read_rows(results))
    if rows := recorded.RESULTS.rows():
        yield ROOT / "README.md", "results", recorded.sections(rows)
    if rows := read_rows(FUZZED):
        yield ROOT / "README.md", "fuzz", fuzzed(rows)
    engines = sorted(MEASURED.glob("engine*.json"))
    files = [file for file in sorted(MEASURED.glob("*.json")) if file not in (DATA, LATENCY, SCALE, EXPORTS, *engines)]
    if rows := [row for file in files for row in measured(file)]:
        yield ROOT / "README.md", "speed", benchmarked(rows)
    if engines:
        yield ROOT / "README.md", "engine", on_integers(map(measured, engines))
    if LATENCY.is_file():
        yield ROOT / "README.md", "latency", of_single_images(measured(LATENCY))
    for file in sorted(METHODS.glob("*.json")):
        yield ROOT / "README.md", file.stem, of_a_method(file)
    if DATA.is_file():
        yield ROOT / "README.md", "data", loaded(measured(DATA))
    if EXPORTS.is_file():
        yield ROOT / "README.md", "exports", of_exports(measured(EXPORTS))
    if SCALE.is_file():
        yield ROOT / "README.md", "scale", at_full_size(measured(SCALE))
    for name, results, shown in (
        ("imagenet", imagenet.RECORDED, imagenet.table),
        ("sizes", sizes.RECORDED, sizes.table),
        ("scratch", scratch.RESULTS, scratch.table),
    ):
        if rows := results.rows():
            yield ROOT / "README.md", name, shown(rows)
    if rows := read_rows(KILLED):
        yield ROOT / "README.md", "kills", killed(rows)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Update or check all of them."""
    parser = OptionParser("Write the tables of the READMEs from recorded results.")
    parser.add_argument("--check", action="store_true", help="fail if a table is stale, change nothing")
    check, stale = parser.parse_args(argv).check, []
    for path, name, table in tables():
        readme = path.read_text(encoding="utf-8")
        if (new := updated(readme, name, table)) != readme:
            stale.append(f"{path.relative_to(ROOT)} ({name})")
            if not check:
                write_text(path, new)
                print(f"{stale[-1]}: updated")
    if check and stale:
        raise ConfigError(f"stale tables in {', '.join(stale)}; run python scripts/update_tables.py")


if __name__ == "__main__":
    main()
