"""A web server on this machine whose answers can be faulty, one way for each request."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 2000


class FaultyServer(ThreadingHTTPServer):
    """Serves ``content`` at every path.

    Attributes:
        faults: consumed one for each request; when they are used up, answers are right.
        requests: first byte that each request asked for.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.faults, self.requests = CONTENT, [], []
        self.stall_seconds = 3.0

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        server.requests.append(start)
        fault = server.faults.pop(0) if server.faults else ""
        if isinstance(fault, int):
            self.send_error(fault)
        elif fault.startswith("drip"):
            with contextlib.suppress(ConnectionError):
                self._drip(fault.removeprefix("drip").strip())
        elif fault.startswith("redirect"):
            self.send_response(302)
            self.send_header("Location", fault.removeprefix("redirect "))
            self.end_headers()
        elif start and start >= len(server.content):
            self.send_error(416)
        else:
            with contextlib.suppress(ConnectionError):
                self._send(server.content, start, fault)

    def _send(self, content, start, fault):
        start = 0 if fault == "ignore range" else start
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            first = start + 7 if fault == "other range" else start
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if fault.startswith("length "):
            self.send_header("Content-Length", fault.removeprefix("length "))
        elif fault.startswith("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
        elif fault not in ("no length", "endless"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault.startswith("chunked"):
            body = b"%x\r\n%s\r\n%s" % (len(body), body, b"0\r\n\r\n" if fault == "chunked" else b"")
        if fault == "endless":
            while True:
                self.wfile.write(body)
        if fault == "corrupt":
            body = bytes(len(body))
        half = len(body) // 2
        if fault in ("die", "stall"):
            self.wfile.write(body[:half])
            self.wfile.flush()
            time.sleep(self.server.stall_seconds if fault == "stall" else 0)
        elif fault == "slow":
            for first in range(0, len(body), 4096):
                self.wfile.write(body[first : first + 4096])
                time.sleep(0.02)
        else:
            self.wfile.write(body)

    def _drip(self, where):
        """Send an answer whose body, headers, chunk size or redirection never ends: a byte now and then."""
        begins = {
            "": "200 OK\r\nContent-Length: 512000\r\n\r\n",
            "headers": "200 OK\r\nX-Header: ",
            "chunks": "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "redirect": f"302 Found\r\nLocation: {self.server.address}\r\n\r\n",
        }
        self.wfile.write(b"HTTP/1.1 " + begins[where].encode())
        for _ in range(200):
            self.wfile.write(b"0")
            time.sleep(0.05)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving():
    """Run a :class:`FaultyServer` in a thread."""
    server = FaultyServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
