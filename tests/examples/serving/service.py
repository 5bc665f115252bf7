"""Runs the service in examples/serve.py, and asks it."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from serve import make_app
from serve_requests import Limits

JSON = {"Content-Type": "application/json"}

LIMITS = Limits(
    body_bytes=5000,
    sentences=8,
    tokens=60,
    tokens_of_sentence=50,
    characters=100,
    requests=30,
    seconds=20,
)

GOOD = b'{"sentences": ["a"]}'
SENTENCES = ["the cat  sat on the mat ", "a", "", "naïve café tab\there"]


@contextmanager
def served(model: object, limits: Limits, batch_steps: int = 100) -> Iterator[object]:
    """Runs the service in a thread; gives the server, which has a port."""
    config = uvicorn.Config(
        make_app(model, limits, batch_steps), port=0, log_level="critical"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.01)
    server.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join()


def send(
    server: object,
    body: bytes | str = b"",
    method: str = "POST",
    path: str = "/embed",
    headers: dict[str, str] = JSON,
) -> tuple[int, object, dict[str, str]]:
    """Sends a request; returns status, JSON and headers of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = body.encode() if isinstance(body, str) else body
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content, dict(answer.headers)


def vectors(server: object, **content: object) -> list[object]:
    status, found, _ = send(server, json.dumps(content))
    assert status == 200, found
    assert found["output"] == content.get("output", "default")
    return found["vectors"]
