"""The runtime's library and header for programs in C: ``python -m lowbitzoo.library FOLDER``."""

import shutil
import sys
from pathlib import Path

from common.cli.entry_point import entry_point
from common.engine.library import SOURCES, library_file
from common.errors import ConfigError

FILES = ("liblowbit.so", "lowbit.h")


def put(folder: str | Path) -> None:
    """Put ``liblowbit.so`` and ``lowbit.h`` into a folder that exists.

    Raises:
        ConfigError: the library cannot be had, or the folder cannot be written to.
    """
    loaded = library_file()
    if loaded is None:
        raise ConfigError("library: expected the compiled library of a wheel or a C++ compiler, found neither")
    try:
        for name, source in zip(FILES, (loaded[0], SOURCES / FILES[1])):
            shutil.copyfile(source, Path(folder) / name)
    except OSError as error:
        raise ConfigError(f"library: cannot write to {folder}: {error.strerror}") from None


@entry_point
def main() -> None:
    """Take the folder from the command line."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise ConfigError("usage: python -m lowbitzoo.library FOLDER")
    put(sys.argv[1])
    print("\n".join(str(Path(sys.argv[1]) / name) for name in FILES))


if __name__ == "__main__":
    main()
