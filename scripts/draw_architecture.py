"""Draw the rooms of ``common/``, the methods and the door from today's tree: ``docs/architecture.svg``.

usage: python scripts/draw_architecture.py
"""

import textwrap
from html import escape

from rooms import DOOR, METHODS, ROOMS, ROOT, rule

PICTURE = ROOT / "docs" / "architecture.svg"
_WIDTH, _MARGIN, _NAME = 980, 16, 120
_ROW, _LINE, _GAP = 20, 17, 6
_CHARACTERS = 118  # of a rule in a line
_STYLE = """
  text { font: 13px sans-serif; fill: #1f2328 }
  .name { font-weight: bold }
  rect { stroke: #57606a }
  .door { fill: #fff8c5 } .method { fill: #ddf4ff } .room { fill: #f6f8fa }
"""


def picture() -> str:
    """The picture, as text: the door and the methods above the rooms, each of which imports from those below it."""
    rooms = [room for room in ROOMS if (ROOT / "common" / room).is_dir() or (ROOT / "common" / f"{room}.py").is_file()]
    top = _MARGIN
    parts = [_box("door", DOOR, "Verbs and commands over networks and checkpoints of all methods", _MARGIN, top, None)]
    top += _height(1) + _GAP
    width = (_WIDTH - 2 * _MARGIN - (len(METHODS) - 1) * _GAP) // len(METHODS)
    for index, method in enumerate(METHODS):
        parts.append(_box("method", method, "", _MARGIN + index * (width + _GAP), top, width))
    top += _height(1) + _GAP
    for room in rooms:
        lines = _lines(rule(room))
        parts.append(_box("room", room, rule(room), _MARGIN, top, None))
        top += _height(len(lines)) + _GAP
    size = f'width="{_WIDTH}" height="{top - _GAP + _MARGIN}"'
    title = "<title>Each imports from those below it; methods do not import each other</title>"
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{title}\n<style>{_STYLE}</style>\n{body}\n</svg>\n'


def _lines(text: str) -> list[str]:
    return textwrap.wrap(text, _CHARACTERS) or [""]


def _height(lines: int) -> int:
    return _ROW + _LINE * lines - _LINE // 2


def _box(kind: str, name: str, text: str, left: int, top: int, width: int | None) -> str:
    """A box with a name and, beside it, a text; of the whole width for None."""
    lines = _lines(text)
    size = f'width="{width or _WIDTH - 2 * _MARGIN}" height="{_height(len(lines))}"'
    result = [f'<rect class="{kind}" x="{left}" y="{top}" {size} rx="4"/>']
    result.append(f'<text class="name" x="{left + 10}" y="{top + _ROW}">{escape(name)}</text>')
    for number, line in enumerate(filter(None, lines)):
        result.append(f'<text x="{left + _NAME}" y="{top + _ROW + number * _LINE}">{escape(line)}</text>')
    return "\n".join(result)


def main() -> None:
    """Write the picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
