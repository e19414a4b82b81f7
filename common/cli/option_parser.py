"""A parser whose options may be spelled in several ways, and whose errors are one clear line."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from common.cli.typed import shown
from common.errors import ConfigError


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults, except those that say nothing."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


class OptionParser(argparse.ArgumentParser):
    """A parser whose long options may be written with ``-`` or ``_``, and whose errors are :class:`ConfigError`.

    Attributes:
        fills_output_dir: whether the script always writes files into ``--output_dir``.
    """

    fills_output_dir = False

    def __init__(self, description: str | None = None, config_file: Path | None = None, add_help: bool = True):
        super().__init__(description=description, add_help=add_help, allow_abbrev=False, formatter_class=_HelpFormatter)
        self.config_file = config_file

    def error(self, message: str) -> NoReturn:
        """Raise, as one line, what argparse would print together with a page of usage.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{message.removeprefix('argument ')} (--help lists the options)")

    def add_alias(self, alias: str, option: str) -> None:
        """Accept ``alias``, as the paper's public code spells it, for an option that exists already.

        The alias has the option's type, default and destination; of a flag it is the positive form.
        """
        action = self._option_string_actions[option]
        self._option_string_actions[alias] = action
        action.option_strings = [*action.option_strings, alias]

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; an unknown option is answered with the names near to it."""
        values, unknown = self.parse_known_args(args, namespace)
        if unknown:
            name = unknown[0].split("=", 1)[0]
            self.error(f"unknown {'option' if name[:1] == '-' else 'argument'} {shown(name)}" + self.near(name))
        return values

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, after each long option is rewritten the way it was declared."""
        declared = {canonical(option): option for option in self._option_string_actions if option[:2] == "--"}
        words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(list(_respelled(words, declared)), namespace)

    def settable(self) -> dict[str, argparse.Action]:
        """The options that a YAML file may set, by each of their names (with ``_``)."""
        options: dict[str, argparse.Action] = {}
        for action in self._actions:  # argparse has no public list of what was added
            if action.dest in ("help", "config"):
                continue
            # Not the negative form of a flag: "no_clip: true" would be read the wrong way round.
            names = [name for name in action.option_strings if name[:2] == "--" and not _negates(action, name)]
            options.update((canonical(name), action) for name in [action.dest, *names])
        return options

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


def _negates(action: argparse.Action, option: str) -> bool:
    return action.nargs == 0 and canonical(option).startswith("no_")


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
