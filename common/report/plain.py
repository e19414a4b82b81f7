"""Values of a report as plain JSON data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """The value with NumPy numbers and arrays as plain ones, paths as text.

    Raises:
        TypeError: a value of a kind that has no JSON form.
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"expected text, numbers, lists and mappings in a report, found {type(value).__name__}")
