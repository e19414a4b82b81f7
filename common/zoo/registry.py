"""The registry of checkpoints, ``registry.yaml``: one entry for each file."""

import difflib
import functools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import yaml

from common.errors import ConfigError
from common.files.atomic_file import write_text

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = Path(__file__).with_name("registry.yaml")
SOURCES = ("shipped", "external")
_HEADER = "# The registered checkpoints; fields: common/zoo/registry.py. Written by scripts/update_zoo.py.\n"
_WIDTH = 118
_MOST_BYTES = 1 << 20
_LONGEST_CAUSE = 300


@dataclass(frozen=True)
class Entry:
    """A registered checkpoint; None stands for what is not known.

    Attributes:
        name: lower case, without a file's suffix.
        method: folder of the method whose ``eval.py`` evaluates it.
        network: its name in :mod:`common.models.registry`.
        dataset: ``digits``, ``cifar10`` or ``imagenet``.
        bits: of weights and activations, in words.
        levels: names of the level tables of its weights (:mod:`common.quant.level_table`), none of a float network.
        source: ``shipped`` (in the repository) or ``external`` (published elsewhere).
        file: shipped: path in the repository; external: name of the file, also in the cache and in a mirror.
        url: external: where it was published, the file itself if its name is known.
        size: bytes of the file.
        sha256: of the file, 64 hexadecimal digits.
        preprocessing: as :class:`common.data.Preprocessing` has it.
        expected: ``accuracy`` (0 to 1) over ``samples`` test images with the ``options`` of eval.py; measured here if
            shipped, as published if external.
        recipe: commands that make it, in the method's folder.
        start: name of the registered float network that it began with; None: it is one itself, or from scratch.
        licence: SPDX identifier of the licence of the file and of its start, and where its text is.
        citation: what to cite beside this project.
        note: what else must be known to use it.
    """

    name: str
    method: str
    network: str
    dataset: str
    bits: str
    levels: list[str]
    source: str
    file: str | None
    url: str | None
    size: int | None
    sha256: str | None
    preprocessing: dict[str, Any] | None
    expected: dict[str, Any]
    recipe: list[str]
    start: str | None
    licence: str
    citation: str
    note: str

    @property
    def shipped(self) -> bool:
        """Whether the file is in the repository."""
        return self.source == "shipped"


@functools.cache
def entries() -> dict[str, Entry]:
    """All entries by their names."""
    return read(REGISTRY)


def read(path: Path) -> dict[str, Entry]:
    """The entries of a registry file by their names.

    Raises:
        ConfigError: the file is damaged, an entry lacks a field, has another one or an unknown source, or a name is
            registered twice.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path}: expected a registry of at most {_MOST_BYTES:,} bytes, found a larger file")
        found = [_entry(values) for values in yaml.safe_load(path.read_text(encoding="utf-8"))]
    except (OSError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
        cause = " ".join(str(error).split())[:_LONGEST_CAUSE]
        raise ConfigError(f"{path}: expected a list of entries with the fields of Entry, found {cause}") from None
    result = {entry.name: entry for entry in found}
    if unknown := [entry.name for entry in found if entry.source not in SOURCES]:
        raise ConfigError(f"{path}: expected source {' or '.join(SOURCES)}, found another in {unknown[0]:.80}")
    if len(result) != len(found):
        raise ConfigError(f"{path}: expected distinct names, found one that is registered twice; rename it")
    return result


def _entry(values: Any) -> Entry:
    """An entry of the registry file.

    Raises:
        TypeError: it lacks a field, has another one, or one of another type.
    """
    if not isinstance(values, dict):
        raise TypeError(f"{values!r:.80} in the place of an entry")
    entry = Entry(**values)
    for field in fields(Entry):
        value = getattr(entry, field.name)
        if type(value) not in _types(field.type):
            raise TypeError(f"{field.name} {value!r:.80} in {entry.name!r:.80}")
    return entry


def _types(annotation: Any) -> tuple[type, ...]:
    """The types that YAML may give where ``str``, ``int | None`` or ``list[str]`` is expected."""
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return tuple(get_origin(kind) or kind for kind in kinds)


def write(path: Path, found: Iterable[Entry]) -> None:
    """Write a registry file.

    Raises:
        ConfigError: it cannot be written.
    """
    values = [asdict(entry) for entry in found]
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    write_text(path, _HEADER + text.replace("\n- name", "\n\n- name"))


class _Dumper(yaml.SafeDumper):
    """Writes numbers beside each other and repeats what entries share instead of linking to it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _list(dumper: yaml.SafeDumper, values: list) -> yaml.Node:
    numbers = all(isinstance(value, int | float) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=numbers)


_Dumper.add_representer(list, _list)


def find(name: str) -> Entry:
    """The entry of a name.

    Raises:
        ConfigError: it is not registered; names near to it are given.
    """
    if name not in entries():
        raise ConfigError(f"expected a registered checkpoint, found {name!r}{near(name)}; python -m lowbitzoo list")
    return entries()[name]


def near(name: str) -> str:
    """The end of a message about an unknown name: the registered ones that resemble it, or nothing."""
    close = difflib.get_close_matches(name.lower(), entries(), n=3)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
