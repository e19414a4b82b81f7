"""Pictures of runs as PNG files; needs no display."""

import io
from pathlib import Path

from common.errors import ConfigError
from common.files.atomic_file import write_atomically


def new(width: float, height: float):
    """An empty ``matplotlib.figure.Figure`` of a size in inches."""
    from matplotlib.figure import Figure  # takes a second to import

    return Figure(figsize=(width, height), layout="constrained")


def save(figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises:
        ConfigError: the file cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    try:
        write_atomically(path, content.getvalue())
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; give another --output_dir") from None
