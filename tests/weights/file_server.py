"""A web server on this machine that serves files, well or badly, as a test says."""

from __future__ import annotations

import contextlib
import http.server
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """How one request is answered, where not with the file."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None  # as the server says; negative: it does not
    wait: float = 0.0  # seconds before the body
    together: threading.Barrier | None = None  # waited for, so that requests meet there
    reset: bool = False  # the connection after the body, rather than closed


@dataclass
class FileServer:
    """A running server, what it was asked, and other answers than files, by path.

    The last answer of a path stays.
    """

    url: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def redirect(self, path: str, target: str, status: int = 302) -> None:
        """Answers a path with a redirect to another, or to a URL."""
        self.answers[path] = [Answer(status=status, headers={"Location": target})]


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    """Serves the files below a folder until the block ends."""
    handler = partial(_Handler, directory=str(folder))
    with _Server(("127.0.0.1", 0), handler) as httpd:
        server = httpd.files = FileServer(f"http://127.0.0.1:{httpd.server_port}")
        thread = threading.Thread(
            target=httpd.serve_forever, kwargs={"poll_interval": 0.01}
        )
        thread.start()
        try:
            yield server
        finally:
            httpd.shutdown()
            thread.join()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    files: FileServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients that hang up are part of the tests."""


class _Handler(http.server.SimpleHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        files = self.server.files
        files.requests.append(self.path)
        files.headers.append(dict(self.headers))
        answers = files.answers.get(self.path)
        if answers:
            self._send(answers.pop(0) if len(answers) > 1 else answers[0])
        else:
            super().do_GET()

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length = len(answer.body) if answer.length is None else answer.length
        if length >= 0:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if answer.together is not None:
            answer.together.wait(timeout=60)
        time.sleep(answer.wait)
        self.wfile.write(answer.body)
        if answer.reset:
            # Closing with this option sends a reset instead of an orderly end.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""
