"""The resolved configuration of a run as plain values, and the file that restores it."""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from common.files.atomic_file import write_text


def as_dict(namespace: argparse.Namespace) -> dict[str, Any]:
    """The resolved configuration in sorted order, of nothing but text, numbers, true, false, null and lists."""
    return {key: _plain(value) for key, value in sorted(vars(namespace).items())}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # YAML would write .inf, which float() does not read
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _dump(values: dict[str, Any]) -> str:
    # As the one item of a list each value stays on its line and is quoted wherever YAML would read it otherwise.
    text = {key: yaml.safe_dump([value], default_flow_style=True, width=math.inf) for key, value in values.items()}
    return "".join(f"{key}: {item.strip()[1:-1]}\n" for key, item in text.items())


def save(values: Mapping[str, Any], folder: Path) -> Path:
    """Write a configuration to ``folder/config.yaml``; ``--config`` with that file restores it.

    Args:
        values: values from :func:`as_dict`.
        folder: folder of the file.

    Raises:
        ConfigError: the file cannot be written.
    """
    # What the file of --config said is among the values.
    kept = {key: value for key, value in values.items() if key != "config"}
    return write_text(Path(folder) / "config.yaml", _dump(kept))
