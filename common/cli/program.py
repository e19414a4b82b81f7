"""The program of ``python -m lowbitzoo COMMAND``: finds the command and hands it the other words."""

import difflib
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

from common.cli.commands.eval import Evaluations
from common.cli.entry_point import entry_point
from common.errors import ConfigError

COMMANDS = (
    "list",
    "show",
    "download",
    "verify",
    "eval",
    "predict",
    "sensitivity",
    "agreement",
    "demo",
    "data",
    "check",
)


@entry_point
def main(
    argv: Sequence[str] | None,
    evaluation_of: Evaluations,
    further: Mapping[str, Callable[[list[str]], None]] | None = None,
) -> None:
    """Run one command.

    Args:
        argv: COMMAND and its words; those of this process for None.
        evaluation_of: function from a checkpoint's name or file to the ``main`` of its method's ``eval.py``.
        further: what takes the words of commands that need networks, by their names.
    """
    name, *words = (sys.argv[1:] if argv is None else argv) or [""]
    if name in ("-h", "--help"):
        print(usage())
    elif name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"expected a command of {', '.join(COMMANDS)}, found {name or 'none'}{hint}")
    elif name == "eval":
        command(name).run(words, evaluation_of)
    elif further is not None and name in further:
        further[name](words)
    else:
        command(name).run(words)


def command(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"common.cli.commands.{name}")


def usage() -> str:
    """The commands, a line each."""
    lines = [f"  {name:12}{command(name).SUMMARY}" for name in COMMANDS]
    return "\n".join(["usage: python -m lowbitzoo COMMAND [WORDS...]", "", *lines, "", "COMMAND --help says more."])
