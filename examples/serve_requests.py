"""What a request to the service may hold: its limits, and errors that say what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

FIELDS = ("sentences", "tokens", "output")


@dataclass(frozen=True)
class Limits:
    """How much is taken on.

    Attributes:
        body_bytes: The size of a request's body.
        sentences: Sentences of a request.
        tokens: Tokens of a request.
        tokens_of_sentence: Tokens of a sentence.
        characters: Characters of a token.
        requests: Requests at work at the same time, those included that wait.
        seconds: Time for a body to arrive, and for its vectors to be computed.
    """

    body_bytes: int = 1 << 20
    sentences: int = 256
    tokens: int = 4096
    tokens_of_sentence: int = 1024
    characters: int = 1000
    requests: int = 128
    seconds: float = 30.0


class RequestError(Exception):
    """A request that gets no vectors.

    Args:
        status: The HTTP status.
        message: What is wrong, and what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Task(NamedTuple):
    """What a request asks for.

    Attributes:
        rows: The tokens of each sentence.
        output: The name of the output.
    """

    rows: list[list[str]]
    output: str


def parsed_request(body: bytes, outputs: Sequence[str], limits: Limits) -> Task:
    """Reads the body of a request.

    Args:
        body: JSON in UTF-8: an object with ``sentences``, a list of strings, or
            ``tokens``, a list of lists of strings; and, if another output than the first is
            wanted, ``output``.
        outputs: The outputs that there are.
        limits: How much is taken on.

    Returns:
        What it asks for.

    Raises:
        RequestError: 400, it is no JSON; 422, it is JSON of another form; 413, it is more
            than the limits allow.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"The body must be JSON in UTF-8: {error}.") from error
    if not isinstance(content, dict):
        raise RequestError(422, f"The body must be an object; got {_kind(content)}.")
    if unknown := sorted(content.keys() - set(FIELDS)):
        raise RequestError(
            422, f"Unknown field {unknown[0]!r:.50}; there are {', '.join(FIELDS)}."
        )
    if ("sentences" in content) == ("tokens" in content):
        raise RequestError(422, "Give one of 'sentences' and 'tokens'.")
    output = content.get("output", outputs[0])
    if output not in outputs:
        raise RequestError(
            422, f"output must be one of {', '.join(outputs)}; got {_shown(output)}."
        )
    if "sentences" in content:
        rows = _split(_list("sentences", content["sentences"], limits))
    else:
        rows = _checked(_list("tokens", content["tokens"], limits))
    _check_sizes(rows, limits)
    return Task(rows, output)


def _list(name: str, value: Any, limits: Limits) -> list[Any]:
    if not isinstance(value, list):
        raise RequestError(422, f"{name} must be a list; got {_kind(value)}.")
    if len(value) > limits.sentences:
        raise RequestError(
            413, f"{len(value)} sentences; at most {limits.sentences} in a request."
        )
    return value


def _split(sentences: list[Any]) -> list[list[str]]:
    for i, sentence in enumerate(sentences):
        if not isinstance(sentence, str):
            raise RequestError(
                422, f"sentences[{i}] must be a string; got {_kind(sentence)}."
            )
    # As the layer does: at the space character only, without empty pieces.
    return [[token for token in text.split(" ") if token] for text in sentences]


def _checked(rows: list[Any]) -> list[list[str]]:
    for i, row in enumerate(rows):
        if not isinstance(row, list):
            raise RequestError(422, f"tokens[{i}] must be a list; got {_kind(row)}.")
        for j, token in enumerate(row):
            if not isinstance(token, str):
                raise RequestError(
                    422, f"tokens[{i}][{j}] must be a string; got {_kind(token)}."
                )
            if not token:
                raise RequestError(
                    422, f"tokens[{i}][{j}] is empty. Leave padding out: rows may differ."
                )
    return rows


def _check_sizes(rows: list[list[str]], limits: Limits) -> None:
    n_tokens = sum(map(len, rows))
    if n_tokens > limits.tokens:
        raise RequestError(413, f"{n_tokens} tokens; at most {limits.tokens} in a request.")
    for i, row in enumerate(rows):
        if len(row) > limits.tokens_of_sentence:
            raise RequestError(
                413,
                f"Sentence {i} has {len(row)} tokens; at most {limits.tokens_of_sentence}.",
            )
        if (longest := max(map(len, row), default=0)) > limits.characters:
            raise RequestError(
                413,
                f"Sentence {i} has a token of {longest} characters; at most "
                f"{limits.characters}.",
            )


def _kind(value: Any) -> str:
    """What JSON calls it."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def _shown(value: Any) -> str:
    return f"{value!r:.50}" if isinstance(value, str) else _kind(value)
