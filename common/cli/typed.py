"""Types of options: callables for ``add_argument(type=...)`` that say what they expected and what they found."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any


def int_range(low: int, high: int | None = None, *extra: int) -> Callable[[str], int]:
    """Type of an option: a whole number in ``[low, high]`` (no upper limit for ``None``) or one of ``extra``."""
    span = f"a whole number from {low} up" if high is None else f"{low} to {high}"
    top = math.inf if high is None else high
    return _checked(int, lambda value: low <= value <= top or value in extra, " or ".join([span, *map(str, extra)]))


def positive_int(text: str) -> int:
    """Type of an option: a whole number from 1 up."""
    return int_range(1)(text)


def positive_float(text: str) -> float:
    """Type of an option: a finite number over 0."""
    return _checked(float, lambda value: 0 < value < math.inf, "a number over 0")(text)


def nonnegative_float(text: str) -> float:
    """Type of an option: a finite number from 0 up."""
    return _checked(float, lambda value: 0 <= value < math.inf, "a number from 0 up")(text)


def share(text: str) -> float:
    """Type of an option: a number r with 0 <= r <= 1."""
    return _checked(float, lambda value: 0 <= value <= 1, "a number from 0 to 1")(text)


def positive_float_or(word: str) -> Callable[[str], float | str]:
    """Type of an option: a finite number over 0, or one word in its place."""

    def convert(text: str) -> float | str:
        if text == word:
            return word
        return _checked(float, lambda value: 0 < value < math.inf, f"{word} or a number over 0")(text)

    return convert


def truth(text: str) -> bool:
    """Type of an option: ``True`` or ``False``, as the original releases write their flags."""
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return known[_checked(str.lower, known.__contains__, "true or false")(text)]


def fraction(text: str) -> float:
    """Type of an option: a number r with 0 < r <= 1."""
    return _checked(float, lambda value: 0 < value <= 1, "a number over 0 and at most 1")(text)


def path(text: str) -> Path:
    """Type of an option: a path, ``~`` expanded; relative to the folder the script is started from."""
    try:
        return _checked(Path, lambda _: text.strip() and "\0" not in text, "a path")(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"expected the name of a user after ~, found {shown(text)}") from None


def checkpoint(text: str) -> Path:
    """Type of an option: the path of a checkpoint, or a registered name, which :func:`.config.parse` looks up."""
    return path(text)


def run_name(text: str) -> str:
    """Type of an option: the name of a run, of its folder and of the network that it leaves there, ``NAME.ckpt``.

    Not the name of a file that a run keeps beside it.
    """
    kept = ("best", "final", "last", "search")
    plain = text.strip() and not {"/", "\\", "\0"} & set(text) and text not in (".", "..", *kept)
    return _checked(str, lambda _: plain, f"a name without slashes, other than {', '.join(kept)}")(text)


def _checked(kind: Callable[[str], Any], accepts: Callable[[Any], Any], expected: str) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not accepts(value):
            raise argparse.ArgumentTypeError(f"expected {expected}, found {shown(text)}")
        return value

    return convert


def shown(text: str) -> str:
    """Text of the user, quoted and shortened for a message."""
    return "an empty text" if not text.strip() else text if len(text) <= 60 else text[:57] + "..."
