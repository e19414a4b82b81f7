"""Find logic that stands in two places: runs of more than six equal lines outside of tests.

usage: python scripts/check_duplicates.py

Lines are compared without indentation and comments. Imports, docstrings, ``__all__``, blank lines and lines of
punctuation are no logic and are passed over. Prints each pair of places; exit status 1 if there is one.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
MOST = 6  # lines that two places may share
_WORD = re.compile(r"\w")


class Line(NamedTuple):
    """A line of logic: its number in the file, from 1, and what it says."""

    number: int
    text: str


def logic(source: str) -> list[Line]:
    """The lines of a Python file that count."""
    lines, passed = source.splitlines(), _passed_over(ast.parse(source))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    kept = [Line(number, " ".join(line.split())) for number, line in enumerate(lines, 1) if number not in passed]
    return [line for line in kept if _WORD.search(line.text)]


def _passed_over(tree: ast.Module) -> set[int]:
    """Numbers of the lines of imports, docstrings and ``__all__``."""
    nodes: list[ast.stmt] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ):
            nodes.append(node)
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            nodes.append(node.body[0])
    return {number for node in nodes for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def pairs(files: Mapping[str, str]) -> list[str]:
    """Logic that stands twice in files, by name: a line for each pair of places."""
    lines = {name: logic(text) for name, text in files.items()}
    places: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for name, content in lines.items():
        for start in range(len(content) - MOST):
            places[tuple(line.text for line in content[start : start + MOST + 1])].append((name, start))
    shared = {pair for group in places.values() for pair in combinations(group, 2)}
    return [
        f"{_place(one, lines[one], first, length)} ~ {_place(other, lines[other], second, length)}"
        for (one, first), (other, second) in sorted(shared)
        if ((one, first - 1), (other, second - 1)) not in shared  # it begins here
        for length in [_length(lines[one][first:], lines[other][second:])]
    ]


def _length(one: Sequence[Line], other: Sequence[Line]) -> int:
    return next((index for index, (a, b) in enumerate(zip(one, other)) if a.text != b.text), min(len(one), len(other)))


def _place(name: str, content: Sequence[Line], start: int, length: int) -> str:
    return f"{name}:{content[start].number}-{content[start + length - 1].number}"


def sources() -> dict[str, str]:
    """Every Python file that git tracks or would, but the tests."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [name for name in names if name and not name.startswith("tests/") and (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in files}


def main() -> None:
    """Print the pairs of the repository."""
    twice = pairs(sources())
    print(*twice, sep="\n", end="\n" if twice else "")
    sys.exit(bool(twice))


if __name__ == "__main__":
    main()
