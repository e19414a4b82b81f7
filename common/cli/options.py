"""Command-line options: their types, and a parser whose errors are one clear line.

The types are callables for ``add_argument(type=...)`` that say what they expected and what they found.
"""

import argparse
import difflib
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from common.errors import ConfigError


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
    """Type of an option: ``True`` or ``False``, as the methods' earlier code writes its flags."""
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
    kept = ("best", "last", "search")
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


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults, except those that say nothing."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


class OptionParser(argparse.ArgumentParser):
    """A parser whose long options may be written with ``-`` or ``_``, and whose errors are :class:`ConfigError`."""

    def __init__(self, description: str | None = None, config_file: Path | None = None, add_help: bool = True):
        super().__init__(description=description, add_help=add_help, allow_abbrev=False, formatter_class=_HelpFormatter)
        self.config_file = config_file

    def error(self, message: str) -> None:
        """Raise, as one line, what argparse would print together with a page of usage.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{message.removeprefix('argument ')} (--help lists the options)")

    def add_alias(self, alias: str, option: str) -> None:
        """Accept ``alias``, an old name, for an option that exists already, such as a common one."""
        action = self._option_string_actions[option]
        self._option_string_actions[alias] = action
        action.option_strings = [*action.option_strings, alias]

    def parse_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse as argparse does; an unknown option is answered with the names near to it."""
        values, unknown = self.parse_known_args(args, namespace)
        if unknown:
            name = unknown[0].split("=", 1)[0]
            self.error(f"unknown {'option' if name[:1] == '-' else 'argument'} {shown(name)}" + self.near(name))
        return values

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse as argparse does, after each long option is rewritten the way it was declared."""
        declared = {canonical(option): option for option in self._option_string_actions if option[:2] == "--"}
        words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(list(_respelled(words, declared)), namespace)

    def settable(self) -> dict[str, argparse.Action]:
        """The options that a YAML file may set, by each of their names (with ``_``)."""
        found = {}
        for action in self._actions:  # argparse has no public list of what was added
            if action.dest in ("help", "config"):
                continue
            # Of a flag only the name of its value counts: "no_clip: true" would be read the wrong way round.
            aliases = [] if action.nargs == 0 else [option for option in action.option_strings if option[:2] == "--"]
            found.update((canonical(name), action) for name in [action.dest, *aliases])
        return found

    def near(self, name: str) -> str:
        """The end of a message about an unknown name: the known ones that resemble it, or nothing."""
        close = difflib.get_close_matches(canonical(name), sorted(self.settable()), n=3)
        return ": did you mean " + " or ".join(close) + "?" if close else ""

    def convert(self, action: argparse.Action, text: str) -> Any:
        """Turn the text of one value into the option's type and check its choices.

        Raises:
            ConfigError: If the option does not take this text.
        """
        try:
            value = self._get_value(action, text)
            self._check_value(action, value)
        except argparse.ArgumentError as error:
            raise ConfigError(error.message) from None
        return value


def canonical(option: str) -> str:
    """The name by which an option is known whichever way it is written."""
    return option.lstrip("-").replace("-", "_")


def _respelled(words: Iterable[str], declared: dict[str, str]) -> Iterator[str]:
    options = True
    for word in words:
        options = options and word != "--"
        name, equals, value = word.partition("=")
        if options and name.startswith("--"):
            yield declared.get(canonical(name), name) + equals + value
        else:
            yield word
