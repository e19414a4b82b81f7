"""Which works and candidates of a benchmark take part."""

from collections.abc import Iterable, Sequence

from common.errors import ConfigError


def works(names: Iterable[str], wanted: str | None) -> list[str]:
    """The work that is asked for; all if none is.

    Raises:
        ConfigError: the benchmark has none of the name.
    """
    return _chosen("--work: expected one of", names, [] if wanted is None else [wanted])


def candidates(names: Iterable[str], wanted: Sequence[str] | None) -> list[str]:
    """The candidates that are asked for, in the benchmark's order; all if none is.

    Raises:
        ConfigError: a name that the benchmark does not have.
    """
    return _chosen("--candidates: expected some of", names, wanted or [])


def _chosen(expected: str, names: Iterable[str], wanted: Sequence[str]) -> list[str]:
    known = list(names)
    for name in wanted:
        if name not in known:
            raise ConfigError(f"{expected} {', '.join(known)}, found {name!r}")
    return [name for name in known if not wanted or name in wanted]
