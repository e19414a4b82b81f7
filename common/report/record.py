"""Record of a run: the result line, and JSON."""

import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import UserError
from common.files.atomic_file import write_text
from common.report.plain import plain


def result_line(metrics: Mapping[str, Any], checkpoint: str | Path) -> str:
    """The last line of every evaluation.

    >>> result_line({"acc": 0.9126, "samples": 10000}, "path")
    "result: {'acc': 0.9126, 'samples': 10000} ckpt= path"
    """
    body = ", ".join(f"{key!r}: {_metric(value)}" for key, value in metrics.items())
    return f"result: {{{body}}} ckpt= {checkpoint}"


def _metric(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4f}"
    return repr(plain(value))


def versions() -> dict[str, str]:
    """The versions a result depends on: python, mindspore, numpy and this project."""
    names = ("mindspore", "numpy", "lowbitzoo")
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def write_json(path: str | Path, record: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Path:
    """Write one JSON object, or a list of them, keys in their order, NumPy numbers and arrays as plain ones.

    Raises:
        UserError: If a number is NaN or infinite, which JSON cannot hold; nothing is written.
        ConfigError: If the file cannot be written.
        TypeError: If a value is of a kind that has no JSON form.
    """
    content = plain(record)
    where = _not_finite(content, "")
    if where:
        raise UserError(f"{path} not written: expected finite numbers, found a NaN or infinite {where}")
    return write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _not_finite(value: Any, name: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else name
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next(filter(None, (_not_finite(item, f"{name}.{key}".lstrip(".")) for key, item in items)), None)
