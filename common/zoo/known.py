"""What the registry records of files that record nothing themselves, recognized by their contents."""

from pathlib import Path
from typing import Any

from common.zoo.registry import entries
from common.zoo.store import expected_sha256, sha256


def recorded(path: Path) -> dict[str, Any]:
    """``dataset`` and ``preprocessing`` of a registered file, wherever it lies and whatever its name; else nothing.

    Raises:
        CheckpointError: the file cannot be read.
    """
    size = path.stat().st_size if path.is_file() else None
    alike = [entry for entry in entries().values() if entry.size in (size, None) and expected_sha256(entry)]
    if size is None or not alike:
        return {}
    found = sha256(path)
    facts = (
        {"dataset": entry.dataset, "preprocessing": entry.preprocessing}
        for entry in alike
        if expected_sha256(entry) == found
    )
    return {key: value for key, value in next(facts, {}).items() if value}
