"""Evaluating checkpoints by the method that made them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import ConfigError
from common.zoo.registry import entries

SUMMARY = "evaluate each NAME or FILE by its method's eval.py, which gets all OPTIONS"
_USAGE = f"""usage: python -m lowbitzoo eval NAME_OR_FILE... [OPTIONS...]

{SUMMARY}.
The options that a registered accuracy was measured with come first, so that yours count where they differ.
Those of a method: python -m lowbitzoo eval NAME_OR_FILE --help"""

# From a name or file to the ``main`` of the ``eval.py`` that takes it.
Evaluations = Callable[[str], Callable[[list[str]], None]]


def run(words: Sequence[str], evaluation_of: Evaluations) -> None:
    """Evaluate one after the other.

    Raises:
        ConfigError: no checkpoint is named, or one ``--json`` file for the results of several.
        CheckpointError: a file of no method.
    """
    first_option = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    names, options = words[:first_option], list(words[first_option:])
    if not names and {"-h", "--help"} & set(options):
        print(_USAGE)
        return
    if not names:
        raise ConfigError("expected a NAME or FILE before the options, found none; python -m lowbitzoo list")
    if len(names) > 1 and any(word.partition("=")[0] == "--json" for word in options):
        raise ConfigError(f"json: expected one checkpoint for one file, found {len(names)}; evaluate them one by one")
    for name in names:
        evaluation_of(name)(["--checkpoint_path", name, *recorded_options(name), *options])


def recorded_options(name: str) -> list[str]:
    """The options that the registered accuracy of a name was measured with; none for a file."""
    known = entries()
    return known[name].expected["options"].split() if name in known and not Path(name).exists() else []
