"""The HTTP service: too many requests, time limits, its end."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from serve_batches import Arrays, Batches
from serve_requests import Limits

from tests.examples.serving.service import GOOD, send, served, vectors


def fake_model(compute: Callable[[Sequence[Sequence[str]]], None]) -> object:
    """A model whose vectors are the lengths of the sentences, and may take their time."""

    class Fake(SimpleNamespace):
        def __call__(self, rows: Sequence[Sequence[str]]) -> Arrays:
            compute(rows)
            return {"default": np.array([[len(row)] for row in rows], np.float32)}

    return Fake(outputs=["default"])


def test_too_many_requests_and_an_end_in_order() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def compute(rows: Sequence[Sequence[str]]) -> None:
        begun.set()
        go_on.wait(30)

    with (
        served(fake_model(compute), Limits(requests=1)) as server,
        ThreadPoolExecutor(1) as client,
    ):
        at_work = client.submit(vectors, server, sentences=["a b"])
        assert begun.wait(30)
        status, content, headers = send(server, GOOD)
        assert (status, content["error"]) == (503, "Requests at a time: at most 1.")
        assert headers["retry-after"] == "1"
        assert send(server, method="GET", path="/health", headers={})[0] == 200
        server.should_exit = True  # as SIGTERM does
        time.sleep(0.3)
        go_on.set()
        assert at_work.result() == [[2.0]]


def test_time_limits_and_a_model_that_fails() -> None:
    go_on = threading.Event()

    def compute(rows: Sequence[Sequence[str]]) -> None:
        if "fail" in rows[0]:
            raise RuntimeError("out of memory")
        if "wait" in rows[0]:
            go_on.wait(30)

    with served(fake_model(compute), Limits(seconds=1)) as server:
        status, content, headers = send(server, b'{"sentences": ["wait", "for", "ever"]}')
        assert (status, content["error"]) == (503, "It took longer than 1 s.")
        assert headers["retry-after"] == "1"
        go_on.set()
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(
                b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\n\r\n{"
            )
            assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
        status, content, _ = send(server, b'{"sentences": ["fail"]}')
        assert (status, content["error"]) == (500, "The vectors could not be computed.")
        assert vectors(server, sentences=["a b"]) == [[2.0]]


def test_batches_are_bounded_and_in_order() -> None:
    sizes = []

    def compute(rows: Sequence[Sequence[str]]) -> Arrays:
        sizes.append([len(row) for row in rows])
        return {"n": np.array([[len(row)] for row in rows], np.float32)}

    async def run() -> list[np.ndarray]:
        batches = Batches(compute, 12)
        asked = [batches.vectors([["a"] * n], "n") for n in (3, 3, 3, 3, 1, 20, 0, 4, 3)]
        tasks = [asyncio.create_task(each) for each in asked]
        await asyncio.sleep(0)
        worker = asyncio.create_task(batches.work())
        found = await asyncio.gather(*tasks)
        assert not batches.waiting
        worker.cancel()
        return [int(row[0][0]) for row in found]

    assert asyncio.run(run()) == [3, 3, 3, 3, 1, 20, 0, 4, 3]
    assert sizes == [[3, 3, 3, 3], [1], [20], [0, 4, 3]]


def test_nobody_computes_for_who_no_longer_waits() -> None:
    async def run() -> None:
        batches = Batches(lambda rows: {}, 10)
        with pytest.raises(TimeoutError, match=r"^$"):
            async with asyncio.timeout(0.01):
                await batches.vectors([["a"], ["b"]], "n")
        assert not batches.waiting

    asyncio.run(run())
