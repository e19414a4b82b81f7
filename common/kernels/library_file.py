"""Compiled libraries in a folder: whose they are, whether they are whole, and which compilations failed before."""

import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.files import temporary
from common.files.atomic_file import put_in_place
from common.files.cache import distrust, file_distrust
from common.kernels.compiler import BuildError, CompilationError

_REMEMBERED = 24 * 3600.0  # seconds for which a failed compilation is not tried again
_OTHERS_MAY_NOT_WRITE = 0o755


class PlaceError(BuildError):
    """A folder that cannot keep a library, or must not."""


@dataclass(frozen=True)
class LibraryFile:
    """The library of a key in a folder, its digest beside it.

    Attributes:
        folder: of the cache.
        key: of :func:`common.kernels.compiler.key`.
    """

    folder: Path
    key: str

    @property
    def path(self) -> Path:
        """The library itself."""
        return self.folder / f"{self.key}.so"

    @property
    def digest_path(self) -> Path:
        """sha256 of the library: a part of one must not be loaded, for that ends the process without a word."""
        return self.folder / f"{self.key}.sha256"

    @property
    def failure_path(self) -> Path:
        """The reason why it could not be compiled."""
        return self.folder / f"{self.key}.failed"

    def check_place(self) -> None:
        """Refuse a folder in which others could put another library, or whose name MindSpore cannot take.

        Raises:
            PlaceError: it is one.
        """
        if ":" in str(self.folder):
            raise PlaceError(f"{self.folder}: MindSpore loads no library from a folder with a colon in its name")
        try:
            reason = distrust(self.folder)
        except OSError as error:
            reason = error.strerror
        if reason:
            raise PlaceError(f"the kernel cache {self.folder} is not to be trusted: {reason}")

    def is_whole(self) -> bool:
        """Whether the library is there, ours or root's, and all that was compiled."""
        with contextlib.suppress(OSError):
            content, digest = self.path.read_bytes(), self.digest_path.read_text(encoding="utf-8", errors="replace")
            return not file_distrust(self.path) and hashlib.sha256(content).hexdigest() == digest.strip()
        return False

    def compile(self, make: Callable[[Path], None]) -> None:
        """Make it, whole or not at all, by what compiles it into a file.

        Raises:
            PlaceError: the folder cannot be written.
            CompilationError: the compiler fails, now or less than a day ago.
            BuildError: it cannot be run.
        """
        self._refuse_failed()
        with self._unfinished() as unfinished:
            try:
                make(unfinished)
            except CompilationError as error:
                if not error.passing:
                    self.failure_path.write_text(f"{error}\n", encoding="utf-8")
                raise
            self._keep(unfinished)

    def copy(self, other: Path) -> None:
        """Make it a copy of the same library in another folder.

        Raises:
            PlaceError: the folder cannot be written.
        """
        with self._unfinished() as unfinished:
            unfinished.write_bytes(other.read_bytes())
            self._keep(unfinished)

    def _refuse_failed(self) -> None:
        with contextlib.suppress(OSError):
            if not 0 <= time.time() - self.failure_path.stat().st_mtime < _REMEMBERED:
                return
            reason = self.failure_path.read_text(encoding="utf-8", errors="replace").strip()
            raise CompilationError(f"{reason} (tried before; remove {self.failure_path} to try again)")

    @contextlib.contextmanager
    def _unfinished(self):
        """A name to write to; nothing stays under it."""
        unfinished = temporary.beside(self.path)
        try:
            _make(self.folder)
            temporary.clean_once(self.folder)
            unfinished.touch(exist_ok=False)
            yield unfinished
        except OSError as error:
            raise PlaceError(f"the kernel cache {self.folder} cannot be written ({error.strerror})") from None
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)

    def _keep(self, unfinished: Path) -> None:
        unfinished.chmod(unfinished.stat().st_mode & _OTHERS_MAY_NOT_WRITE)
        digest = temporary.beside(self.digest_path)
        digest.write_text(hashlib.sha256(unfinished.read_bytes()).hexdigest() + "\n", encoding="utf-8")
        put_in_place(unfinished, self.path)
        put_in_place(digest, self.digest_path)


def _make(folder: Path) -> None:
    """Make a folder and those above it that are missing; whatever the umask, others may not write them."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=_OTHERS_MAY_NOT_WRITE, exist_ok=True)
