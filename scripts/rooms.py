"""The rooms of ``common/`` from the top to the ground floor: the order that imports and the picture follow."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A room imports only from the rooms after it.
ROOMS = (
    "cli",
    "export",
    "stored",
    "training",
    "evaluation",
    "engine",
    "checkpoint",
    "quant",
    "models",
    "runtime",
    "zoo",
    "kernels",
    "report",
    "data",
    "files",
    "distributed",
    "errors",
)
METHODS = ("AdderQuant", "DAMBQ", "DynamicQuant", "LDNQ", "ProQHA")
DOOR = "lowbitzoo"


def sources() -> dict[str, str]:
    """The text of every Python file of the packages, by its path in the repository."""
    files = [path for package in ("common", DOOR, *METHODS) for path in sorted((ROOT / package).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every import below a node, those of functions too: the statement and the dotted name that it asks for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node, f"{node.module}.{name.name}") for name in node.names)


def room_of(name: str) -> str | None:
    """The room of a dotted name or of a file's path; None outside of ``common``'s rooms."""
    parts = name.removesuffix(".py").replace("/", ".").split(".")
    return parts[1] if parts[0] == "common" and len(parts) > 1 and parts[1] != "__init__" else None


def rule(room: str) -> str:
    """The first sentence of what a room says of itself.

    Raises:
        ValueError: the room has no docstring.
    """
    folder = ROOT / "common" / room
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    if not text:
        raise ValueError(f"{file}: expected a docstring that says the room's rule, found none")
    first = " ".join(text.split("\n\n")[0].split()).partition(". ")[0]
    return first.removesuffix(".").replace("``", "")
