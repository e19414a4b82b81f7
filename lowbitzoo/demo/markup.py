"""What is shown of networks, as HTML that loads nothing."""

from collections.abc import Callable
from html import escape

from lowbitzoo.demo.exhibit import Shown

_FULL = 8  # bits of a bar's whole width; float layers have it too
_FLOAT = 32
CSS = """
#picture img { width: 100%; object-fit: contain; image-rendering: pixelated; }
.zoo { width: 100%; border-collapse: collapse; border: 0 !important; font-variant-numeric: tabular-nums; }
.zoo td, .zoo th { padding: 3px 10px !important; text-align: right; border: 0 !important; white-space: nowrap; }
.zoo tr { border: 0 !important; border-bottom: 1px solid var(--border-color-primary) !important; }
.zoo td:first-child, .zoo th:first-child { text-align: left; }
.zoo td.bar { width: 30%; }
.zoo .rail { background: var(--border-color-primary); border-radius: 3px; height: 10px; }
.zoo .fill { background: #94a3b8; border-radius: 3px; height: 10px; }
.zoo tr.chosen .fill { background: #f97316; }
.zoo tr.chosen td:first-child { font-weight: 600; }
"""


def answer(title: str, shown: Shown) -> str:
    """A row for each of the most likely classes: name, share, bar."""
    rows = "".join(
        f"<tr{_mark(place == 0)}><td>{escape(name)}</td><td>{share:.2%}</td><td class='bar'>{_bar(share)}</td></tr>"
        for place, (name, share) in enumerate(shown.classes)
    )
    return f'<h3>{escape(title)}</h3><table class="zoo">{rows}</table>'


def costs(plain: Shown, low: Shown) -> str:
    """A table: bytes, bit operations and latency of the float and of the low-bit network, and how many times less."""
    rows = [
        _cost("bytes of the file", plain.bytes, low.bytes, lambda value: f"{value:,.0f}"),
        _cost("bit operations of the picture", plain.bit_operations, low.bit_operations, lambda v: f"{v / 1e9:.3f} G"),
        _cost("latency of one picture", plain.milliseconds, low.milliseconds, lambda value: f"{value:.2f} ms"),
        f"<tr><td>computed by</td><td>{escape(plain.computed_by)}</td><td>{escape(low.computed_by)}</td><td></td></tr>",
    ]
    head = f"<tr><th></th><th>{escape(plain.label)}</th><th>{escape(low.label)}</th><th>less</th></tr>"
    return f'<table class="zoo">{head}{"".join(rows)}</table>'


def layers(shown: Shown) -> str:
    """A row for each layer: bits of its weights and inputs; what the picture chose stands out."""
    head = "<tr><th>layer</th><th>weights</th><th></th><th>inputs</th><th></th></tr>"
    rows = "".join(_layer(name, weights, inputs, name in shown.chosen) for name, weights, inputs in shown.layers)
    note = "Bits of every layer"
    if shown.chosen:
        chosen = [weights for name, weights, _ in shown.layers if name in shown.chosen]
        note = f"This picture chose the bits of {len(chosen)} layers, {sum(chosen) / len(chosen):.2f} on average"
    return f'<h3>{note}</h3><table class="zoo">{head}{rows}</table>'


def _cost(what: str, plain: float, low: float, text: Callable[[float], str]) -> str:
    return f"<tr><td>{what}</td><td>{text(plain)}</td><td>{text(low)}</td><td>{plain / low:.2f} x</td></tr>"


def _layer(name: str, weights: float, inputs: float, chosen: bool) -> str:
    return f"<tr{_mark(chosen)}><td>{escape(name)}</td>{_bits(weights)}{_bits(inputs)}</tr>"


def _mark(chosen: bool) -> str:
    return " class='chosen'" if chosen else ""


def _bits(bits: float) -> str:
    text = "float" if bits >= _FLOAT else f"{bits:.0f}" if bits == round(bits) else f"{bits:.2f}"
    return f'<td>{text}</td><td class="bar">{_bar(min(bits, _FULL) / _FULL)}</td>'


def _bar(share: float) -> str:
    return f'<div class="rail"><div class="fill" style="width:{share:.0%}"></div></div>'
