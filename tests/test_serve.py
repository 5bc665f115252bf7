"""The HTTP service in examples/serve.py: its answers, its limits, its end."""

from __future__ import annotations

import ast
import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import load_test
import numpy as np
import pytest
import tensorflow as tf
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from serve import main, make_app
from serve_batches import Arrays, Batches, Model
from serve_requests import Limits

from keras_elmo import ElmoEmbeddingLayer, export_saved_model
from tests.tiny_models import LEAST, saved_model

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


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ElmoEmbeddingLayer]:
    source = saved_model(tmp_path_factory.mktemp("least"), LEAST)
    modes = ("default", "elmo", "word_emb", "lstm_outputs1")
    return {mode: ElmoEmbeddingLayer(source, mode) for mode in modes}


@pytest.fixture(scope="module")
def exported(
    layers: dict[str, ElmoEmbeddingLayer], tmp_path_factory: pytest.TempPathFactory
) -> str:
    path = tmp_path_factory.mktemp("exported") / "model"
    export_saved_model(layers["default"], path)
    return str(path)


@pytest.fixture(scope="module")
def service(exported: str) -> Iterator[object]:
    with served(Model(exported), LIMITS) as server:
        yield server


# -------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("output", ["default", "elmo", "word_emb", "lstm_outputs1"])
def test_vectors_are_the_layers(
    service: object, layers: dict[str, ElmoEmbeddingLayer], output: str
) -> None:
    found = vectors(service, sentences=SENTENCES, output=output)
    tokens = [[token for token in text.split(" ") if token] for text in SENTENCES]
    assert vectors(service, tokens=tokens, output=output) == found
    expected = layers[output](SENTENCES).numpy()
    for sentence, row, values in zip(tokens, found, expected, strict=True):
        if output == "default":
            np.testing.assert_allclose(row, values, atol=1e-6)
        else:
            assert len(row) == len(sentence)
            np.testing.assert_allclose(
                np.reshape(row, (-1, values.shape[-1])), values[: len(row)], atol=1e-6
            )


def test_nothing_to_embed(service: object) -> None:
    assert vectors(service, sentences=[]) == []
    assert vectors(service, tokens=[[]], output="elmo") == [[]]


def test_each_of_many_clients_gets_its_own(
    service: object, layers: dict[str, ElmoEmbeddingLayer]
) -> None:
    texts = [" ".join(["word"] * (1 + i % 7) + [str(i)]) for i in range(60)]
    expected = layers["default"](texts).numpy()
    with ThreadPoolExecutor(20) as clients:
        found = clients.map(lambda text: vectors(service, sentences=[text])[0], texts)
        np.testing.assert_allclose(list(found), expected, atol=1e-6)


def test_health(service: object) -> None:
    status, content, _ = send(service, method="GET", path="/health", headers={})
    assert status == 200
    assert content["status"] == "ready"
    assert content["outputs"] == ["default", "elmo", "lstm_outputs1", "word_emb"]


# --------------------------------------------------------------------- malformed requests


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "must be JSON in UTF-8"),
        (b'{"sentences": ["a"]', 400, "must be JSON in UTF-8"),
        (b'{"sentences": ["\xff"]}', 400, "must be JSON in UTF-8"),
        (b'{"sentences": ["\\ud800"]}', 400, "must be JSON in UTF-8"),
        (b'{"sentences": [NaN]}', 400, "must be JSON in UTF-8"),
        (b'{"sentences": [Infinity]}', 400, "must be JSON in UTF-8"),
        (b"[" * 2000 + b"]" * 2000, 400, "must be JSON in UTF-8"),
        (b"sentences=a", 400, "must be JSON in UTF-8"),
        (b"null", 422, "must be an object; got null"),
        (b'["a"]', 422, "must be an object; got a list"),
        (b"{}", 422, "Give one of 'sentences' and 'tokens'"),
        (b'{"sentences": ["a"], "tokens": [["a"]]}', 422, "Give one of"),
        (b'{"sentence": ["a"]}', 422, "Unknown field 'sentence'; there are sentences, to"),
        (b'{"sentences": "a"}', 422, "sentences must be a list; got a string"),
        (b'{"sentences": ["a", 1]}', 422, "sentences[1] must be a string; got a number"),
        (b'{"sentences": [null]}', 422, "sentences[0] must be a string; got null"),
        (b'{"sentences": [["a"]]}', 422, "sentences[0] must be a string; got a list"),
        (b'{"tokens": ["a"]}', 422, "tokens[0] must be a list; got a string"),
        (b'{"tokens": {"a": 1}}', 422, "tokens must be a list; got an object"),
        (
            b'{"tokens": [["a"], ["b", true]]}',
            422,
            "tokens[1][1] must be a string; got a b",
        ),
        (b'{"tokens": [["a", ""]]}', 422, "tokens[0][1] is empty. Leave padding out"),
        (
            b'{"sentences": ["a"], "output": "x"}',
            422,
            "output must be one of default, elmo",
        ),
        (b'{"sentences": ["a"], "output": [1]}', 422, "got a list"),
        (b'{"sentences": ["a"], "output": null}', 422, "got null"),
        (json.dumps({"sentences": ["a"] * 9}), 413, "9 sentences; at most 8"),
        (json.dumps({"sentences": ["a " * 31] * 2}), 413, "62 tokens; at most 60"),
        (json.dumps({"tokens": [["a"], ["a"] * 51]}), 413, "Sentence 1 has 51 tokens"),
        (json.dumps({"sentences": ["é" * 101]}), 413, "a token of 101 characters; at"),
        (json.dumps({"sentences": ["a" * 5000]}), 413, "body may have 5000 bytes"),
        (b"x" * 30_000, 413, "body may have 5000 bytes"),
    ],
)
def test_malformed_bodies(
    service: object, body: bytes | str, status: int, message: str
) -> None:
    found, content, _ = send(service, body)
    assert found == status
    assert list(content) == ["error"]
    assert message in content["error"]


GOOD = b'{"sentences": ["a"]}'


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ({"path": "/"}, 404, "Not Found: POST /embed, GET /health"),
        ({"path": "/embed/x"}, 404, "Not Found"),
        ({"method": "GET"}, 405, "Method Not Allowed"),
        ({"method": "PUT"}, 405, "Method Not Allowed"),
        ({"path": "/health"}, 405, "Method Not Allowed"),
        ({"headers": {}}, 415, "Content-Type: application/json"),
        (
            {"headers": {"Content-Type": "text/plain"}},
            415,
            "Content-Type: application/json",
        ),
        ({"headers": {**JSON, "Content-Encoding": "gzip"}}, 415, "Send JSON as it is"),
    ],
)
def test_wrong_requests(
    service: object, arguments: dict[str, object], status: int, message: str
) -> None:
    found, content, _ = send(service, GOOD, **arguments)
    assert found == status
    assert message in content["error"]


def test_what_is_no_http(service: object) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(b"\x16\x03\x01 what is this\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_goes_away(service: object) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(
            b"POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
    assert len(vectors(service, sentences=["a"])) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["sentences", "tokens", "output"]), inner)
    ),
    max_leaves=8,
)
requests = st.one_of(
    st.binary(max_size=40),
    json_values.map(json.dumps).map(str.encode),
    st.fixed_dictionaries({"sentences": json_values}).map(json.dumps).map(str.encode),
    st.fixed_dictionaries({"tokens": json_values}).map(json.dumps).map(str.encode),
)


@given(body=requests)
def test_whatever_comes_is_answered(service: object, body: bytes) -> None:
    """With vectors if it is as it should be, else by what the client has done wrong."""
    status, content, _ = send(service, body)
    try:
        asked = json.loads(body)
        rows = asked["sentences"] if "sentences" in asked else asked["tokens"]
    except (ValueError, KeyError, TypeError):
        rows = None
    if status == 200:
        assert len(content["vectors"]) == len(rows)
    else:
        assert status in (400, 413, 422)
        assert content["error"]


# ---------------------------------------------------------------------------- its limits


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


# ------------------------------------------------------------------------------- programs


def test_the_load_test(exported: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Clients against a process of its own, which SIGTERM ends."""
    arguments = [exported, "--clients", "8", "--seconds", "3"]
    code = load_test.main([*arguments, "--", "--batch-steps", "500"])
    printed = capfd.readouterr().out
    assert code == 0, printed
    lines = dict(line.split("  ", 1) for line in printed.splitlines() if "  " in line)
    assert float(lines["requests/s"].replace(",", "")) > 1
    assert lines["well-formed"].strip().startswith("{200: ")
    assert lines["without answer"].strip() == "{}"
    assert int(lines["exit code"]) == 0


def test_models_that_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(
        SystemExit, match=r"nowhere' cannot be loaded: SavedModel file does"
    ):
        main([str(tmp_path / "nowhere")])
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(
        SystemExit, match=r"has no signature 'tokens'; it has .*Write it by"
    ):
        main([str(tmp_path / "other")])
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path), "--max-seconds", "0"])


def test_tensorflow_alone() -> None:
    examples = Path(__file__).resolve().parents[1] / "examples"
    for path in examples.glob("serve*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])]
            module = getattr(node, "module", None) or ""
            assert not any(n.startswith("keras") for n in [module, *names]), path
