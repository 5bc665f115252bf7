"""The HTTP service: its answers, limits and errors, and the load test around it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from serve.load_test import load, report
from serve.serve import (
    Arrays,
    Batches,
    Limits,
    load_model,
    make_app,
    make_config,
    parse_request,
)
from starlette.exceptions import HTTPException

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.hub.saved_model import export_saved_model
from tests.examples.running import ROOT, number, run
from tests.tiny_models import LEAST, saved_model

JSON = {"Content-Type": "application/json"}
OUTPUTS = ("default", "elmo", "word_emb", "lstm_outputs1")
LIMITS = Limits(5000, 8, 60, 50, 100, 30, 20, 100)
SENTENCES = ["the cat  sat on the mat ", "a", "", "naïve café tab\there"]


@contextlib.contextmanager
def served(
    compute: Callable[..., Arrays], limits: Limits, outputs: Sequence[str] = OUTPUTS
) -> Iterator[Any]:
    """Runs the service in a thread; yields the server, which has a port."""
    app = make_app(compute, outputs, limits)
    server: Any = uvicorn.Server(make_config(app, limits, port=0, log_level="critical"))
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
    server: Any,
    body: bytes = b'{"sentences": ["a"]}',
    method: str = "POST",
    path: str = "/embed",
    headers: dict[str, str] = JSON,
) -> tuple[int, Any, dict[str, str]]:
    """Sends a request; returns status, JSON and headers of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):  # even if the server hangs up
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), dict(answer.headers)


def in_time(server: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    """The answer to a request that may take too long at first, on a busy machine."""
    until = time.monotonic() + 30
    while (answer := send(server, body))[0] == 503 and time.monotonic() < until:
        pass
    return answer


def vectors(server: Any, **content: object) -> Any:
    status, found, _ = send(server, json.dumps(content).encode())
    assert status == 200, found
    assert found["output"] == content.get("output", "default")
    return found["vectors"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(saved_model(tmp_path_factory.mktemp("least"), LEAST))


@pytest.fixture(scope="module")
def exported(source: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("exported") / "model"
    export_saved_model(ElmoEmbeddingLayer(source), path)
    return str(path)


@pytest.fixture(scope="module")
def service(exported: str) -> Iterator[Any]:
    compute, outputs = load_model(exported)
    with served(compute, LIMITS, outputs) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("output", OUTPUTS)
def test_vectors_are_the_layers(service: Any, source: str, output: str) -> None:
    found = vectors(service, sentences=SENTENCES, output=output)
    tokens = [[token for token in text.split(" ") if token] for text in SENTENCES]
    assert vectors(service, tokens=tokens, output=output) == found
    expected = ElmoEmbeddingLayer(source, output)(SENTENCES).numpy()
    for sentence, row, values in zip(tokens, found, expected, strict=True):
        if output != "default":
            assert len(row) == len(sentence)
            values = values[: len(row)]
        np.testing.assert_allclose(np.reshape(row, values.shape), values, atol=1e-6)
    assert vectors(service, sentences=[]) == []


@pytest.mark.slow
def test_each_of_many_clients_gets_its_own(service: Any, source: str) -> None:
    texts = [" ".join(["word"] * (1 + i % 7) + [str(i)]) for i in range(60)]
    expected = ElmoEmbeddingLayer(source)(texts).numpy()
    with ThreadPoolExecutor(20) as clients:
        found = clients.map(lambda text: vectors(service, sentences=[text])[0], texts)
        np.testing.assert_allclose(list(found), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ({"path": "/"}, 404, "Not Found"),
        ({"method": "GET"}, 405, "Method Not Allowed"),
        ({"path": "/health"}, 405, "Method Not Allowed"),
        ({"headers": {}}, 415, "Content-Type: application/json"),
        ({"headers": {**JSON, "Content-Encoding": "gzip"}}, 415, "Send plain JSON"),
        ({"body": b'{"sentences": ["a"]'}, 400, "must be JSON in UTF-8"),
        ({"body": b"x" * 30_000}, 413, "too large: at most 5,000 bytes"),
    ],
)
def test_wrong_requests(
    service: Any, arguments: dict[str, Any], status: int, message: str
) -> None:
    found, content, _ = send(service, **arguments)
    assert found == status
    assert list(content) == ["error"]
    assert message in content["error"]
    # It goes on: also after what is not HTTP, and a client that leaves.
    for rest in (b"\x16\x03\x01", b"POST /embed HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(rest)
    status, content, _ = send(service, method="GET", path="/health", headers={})
    assert (status, content) == (200, {"status": "ready", "outputs": sorted(OUTPUTS)})


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "must be JSON in UTF-8"),
        (b'{"sentences": ["\xff"]}', 400, "must be JSON in UTF-8"),
        (b'{"sentences": ["\\ud800"]}', 400, "must be JSON in UTF-8"),
        (b'{"sentences": [NaN]}', 400, "must be JSON in UTF-8"),
        (b"[" * 2000 + b"]" * 2000, 400, "must be JSON in UTF-8"),
        (b"null", 422, "must be an object with 'sentences' or 'tokens'"),
        (b'{"sentences": ["a"], "tokens": [["a"]]}', 422, "must be an object with"),
        (b'{"sentences": "a"}', 422, "sentences must be a list"),
        (b'{"sentences": ["a", 1]}', 422, "sentences[1] must be a string"),
        (b'{"tokens": ["a"]}', 422, "tokens[0] must be a list"),
        (b'{"tokens": [["a"], ["b", true]]}', 422, "tokens[1] must be non-empty"),
        (b'{"tokens": [["a", ""]]}', 422, "tokens[0] must be non-empty strings."),
        (b'{"sentences": ["a"], "output": [1]}', 422, "output must be one of default, el"),
        ({"sentences": ["a"] * 9}, 413, "sentences: 9; at most 8."),
        ({"sentences": ["a " * 31] * 2}, 413, "tokens: 62; at most 60"),
        ({"tokens": [["a"], ["a"] * 51]}, 413, "tokens_of_sentence: 5"),
        ({"sentences": ["é" * 101]}, 413, "characters: 101; at most"),
    ],
)
def test_malformed_bodies(body: Any, status: int, message: str) -> None:
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(HTTPException, match=r"^4\d\d: ") as raised:
        parse_request(body, OUTPUTS, LIMITS)
    assert raised.value.status_code == status
    assert message in raised.value.detail


KEYS = st.sampled_from(["sentences", "tokens", "output"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
    max_leaves=8,
)


@given(
    st.binary(max_size=40)
    | (VALUES | st.dictionaries(KEYS, VALUES)).map(lambda x: json.dumps(x).encode())
)
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        rows, output = parse_request(body, OUTPUTS, LIMITS)
    except HTTPException:  # anything else would be an answer with status 500
        return
    assert output in OUTPUTS
    assert all(isinstance(token, str) and token for row in rows for token in row)


def lengths(rows: Sequence[Sequence[str]]) -> Arrays:
    """What a fake model computes: the number of tokens of each sentence."""
    return {"default": np.array([[len(row)] for row in rows], np.float32)}


def test_too_many_requests_and_an_end_in_order() -> None:
    started, go_on = threading.Event(), threading.Event()

    def compute(rows: Sequence[Sequence[str]]) -> Arrays:
        started.set()
        go_on.wait(30)
        return lengths(rows)

    with served(compute, Limits(requests=1)) as server, ThreadPoolExecutor(1) as client:
        at_work = client.submit(vectors, server, sentences=["a b"])
        assert started.wait(30)
        status, content, headers = send(server)
        assert (status, content["error"]) == (
            503,
            "Too many requests: at most 1 at a time.",
        )
        assert headers["retry-after"] == "1"
        assert send(server, method="GET", path="/health", headers={})[0] == 200
        server.should_exit = True  # as SIGTERM does
        with contextlib.suppress(ConnectionError):  # new requests are refused
            while not at_work.done():
                send(server)
        assert not at_work.done()
        go_on.set()
        assert at_work.result() == [[2.0]]


def test_time_limits_and_a_model_that_fails() -> None:
    go_on = threading.Event()

    def compute(rows: Sequence[Sequence[str]]) -> Arrays:
        if "fail" in rows[0]:
            raise RuntimeError("out of memory")
        if "wait" in rows[0]:
            go_on.wait(30)
        return lengths(rows)

    with served(compute, Limits(seconds=1)) as server:
        status, content, headers = send(server, b'{"sentences": ["wait", "for", "ever"]}')
        assert (status, content["error"]) == (503, "The request took over 1 s.")
        assert headers["retry-after"] == "1"
        go_on.set()
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(
                b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\n\r\n{"
            )
            assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
        status, content, _ = in_time(server, b'{"sentences": ["fail"]}')
        assert (status, content["error"]) == (500, "The vectors could not be computed.")
        assert in_time(server, b'{"sentences": ["a b"]}')[1]["vectors"] == [[2.0]]


def test_slow_clients_are_cut_off() -> None:
    """Those that send headers byte by byte, and those that never read a large answer.

    Until then, the answer counts as a request.
    """

    def compute(rows: Sequence[Sequence[str]]) -> Arrays:
        size = 1 << 21 if "large" in rows[0] else 1
        return {"default": np.full((len(rows), size), 0.1234567, np.float32)}

    body = b'{"sentences": ["large"]}'
    request = b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    request += b"Content-Length: %d\r\n\r\n" % len(body) + body
    with served(compute, Limits(seconds=0.5, requests=1)) as server:
        for sent in (b"", b"P", request):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(sent)
                if sent == request:
                    assert client.recv(1) == b"H"
                    assert send(server)[0] == 503
                until = time.monotonic() + 20
                with contextlib.suppress(ConnectionError):
                    while sent == b"P" and time.monotonic() < until:
                        time.sleep(0.1)
                        client.sendall(b"O")
                while server.server_state.connections and time.monotonic() < until:
                    time.sleep(0.05)
                assert not server.server_state.connections
        assert in_time(server, b'{"sentences": ["a"]}')[0] == 200


def test_batches_are_bounded_and_in_order() -> None:
    sizes = []

    def compute(rows: Sequence[Sequence[str]]) -> Arrays:
        sizes.append([len(row) for row in rows])
        return lengths(rows)

    async def ask() -> list[int]:
        batches = Batches(compute, 12)
        asked = [batches.vectors([["a"] * n], "default") for n in (3, 3, 3, 3, 1, 20, 0, 4)]
        tasks = [asyncio.create_task(each) for each in asked]
        with pytest.raises(TimeoutError, match=r"^$"):
            async with asyncio.timeout(0.01):  # nobody computes this
                await batches.vectors([["a"], ["b"]], "default")
        worker = asyncio.create_task(batches.work())
        found = await asyncio.gather(*tasks)
        assert not batches.waiting
        worker.cancel()
        return [int(row[0][0]) for row in found]

    assert asyncio.run(ask()) == [3, 3, 3, 3, 1, 20, 0, 4]
    assert sizes == [[3, 3, 3, 3], [1], [20], [0, 4]]


@pytest.mark.parametrize(("n_requests", "kind", "n_timed"), [(9, "2xx", 2), (1, "5xx", 1)])
def test_load_that_is_not_met(
    n_requests: int, kind: str, n_timed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers after the end, and those that are refused, are no throughput."""

    def compute(rows: Sequence[Sequence[str]]) -> Arrays:
        time.sleep(1)
        return lengths(rows)

    args = argparse.Namespace(clients=2, seconds=0.5, sentences=1, output="default")
    with served(compute, Limits(requests=n_requests)) as server:
        rate, seconds, answers, resident = asyncio.run(load(args, server.port, os.getpid()))
    assert (rate, len(seconds), answers["2xx", kind] > 0) == (0, n_timed, True)
    assert report(rate, [], answers, resident, 0, 0) == (kind == "5xx")
    assert capsys.readouterr().out.startswith("requests/s        0.0\nanswers ")


@pytest.mark.slow
def test_the_load_test(exported: str) -> None:
    """Clients against a process of its own, which SIGTERM ends."""
    options = [exported, "--clients", 8, "--seconds", 3, "--", "--max-batch-steps", 500]
    printed = run("serve/load_test.py", *options)
    assert number(r"^requests/s +([\d.,]+)$", printed) > 1
    assert number(r"^answers +([\d,]+) 2xx, expected 2xx$", printed) > 1
    assert number(r"^errors +(\d+)$", printed) == 0
    assert number(r"^exit code +(\d+)$", printed) == 0


@pytest.mark.slow
def test_wrong_arguments(exported: str) -> None:
    assert "must be greater than 0" in run(
        "serve/serve.py", exported, "--max-seconds", 0, status=2
    )
    assert "SavedModel file does not exist" in run("serve/serve.py", "nowhere", status=1)


def test_tensorflow_alone() -> None:
    source = (ROOT / "examples" / "serve" / "serve.py").read_text("utf-8")
    assert re.search(r"^import tensorflow", source, re.MULTILINE)
    assert not re.search(r"^\s*(import|from) keras", source, re.MULTILINE)
