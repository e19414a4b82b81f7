"""A slow web server with one file, and as a program: the download of that file as a registered checkpoint."""

import contextlib
import hashlib
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from common import zoo
from common.cli import program
from common.zoo import registry

NAME = "kill-test"
_SIZE, _PIECE, _SECONDS = 1 << 22, 1 << 16, 0.05  # 64 pieces: about 3 seconds


def content() -> bytes:
    """What the server has: always the same."""
    return np.random.default_rng(0).bytes(_SIZE)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Send the rest of the file that is asked for, slowly."""
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        body = content()[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{_SIZE - 1}/{_SIZE}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for first in range(0, len(body), _PIECE):
                self.wfile.write(body[first : first + _PIECE])
                time.sleep(_SECONDS)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Serve in a thread; the address of the file."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{NAME}.ckpt"
    finally:
        server.shutdown()
        server.server_close()


def download(address: str) -> None:
    """``python -m lowbitzoo download`` of the server's file."""
    known = next(entry for entry in zoo.entries().values() if not entry.shipped and entry.file)
    digest = hashlib.sha256(content()).hexdigest()
    made = replace(known, name=NAME, file=f"{NAME}.ckpt", url=address, size=_SIZE, sha256=digest)
    registry.entries()[NAME] = made
    program.main(["download", NAME], lambda name: None)


if __name__ == "__main__":
    download(sys.argv[1])
