"""The HTTP service: malformed and wrong requests."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples.serving.service import GOOD, JSON, send, vectors


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
