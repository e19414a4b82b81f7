"""Which candidates of a benchmark take part."""

from collections.abc import Iterable, Sequence

from common.errors import ConfigError


def chosen(names: Iterable[str], wanted: Sequence[str] | None) -> list[str]:
    """The names that are asked for, in the benchmark's order; all if none is.

    Raises:
        ConfigError: a name that the benchmark does not have.
    """
    known = list(names)
    for name in wanted or ():
        if name not in known:
            raise ConfigError(f"--candidates: expected some of {', '.join(known)}, found {name!r}")
    return [name for name in known if not wanted or name in wanted]
