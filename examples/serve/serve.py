"""Serves ELMo's vectors over HTTP, from a SavedModel; needs TensorFlow but not Keras.

    keras-elmo convert mini mini_model --to savedmodel
    python examples/serve/serve.py mini_model

    curl localhost:8000/embed --json '{"sentences": ["A fine film ."]}'

returns {"output": "default", "vectors": [[...]]}, a vector for each sentence. Instead of
"sentences", which are split at spaces, a request can hold "tokens", a list of lists.
"output" selects another output, such as "elmo", which has a vector for each token. GET
/health returns 200 as soon as the model is loaded and the service listens.

Errors have the form {"error": message}: 4xx if a request is too large, malformed or
unknown, 503 with Retry-After if it takes too long or too many requests wait. After SIGTERM
the service finishes the running requests and ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import orjson
import tensorflow as tf
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

Rows = Sequence[Sequence[str]]
Arrays = dict[str, NDArray[np.float32]]
Compute = Callable[[Rows], Arrays]


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of the service; each is an option on the command line."""

    body_bytes: int = 1 << 20  # per request, like sentences and tokens
    sentences: int = 256
    tokens: int = 4096
    tokens_of_sentence: int = 1024
    characters: int = 1000  # per token
    requests: int = 128  # at the same time, waiting ones included
    # For a body to arrive, and for its vectors to be computed. A client may take three
    # times as long for the whole request, and again to read the response.
    seconds: float = 30.0
    # The size of a batch: sentences times the tokens of the longest one. It bounds the
    # memory. A longer sentence is a batch by itself.
    batch_steps: int = 4096


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", metavar="SAVED_MODEL", help="its directory")
    shown = "(%(default)s)"
    add("--host", default="127.0.0.1", help=shown)
    add("--port", type=int, default=8000, help=shown)
    fields = dataclasses.fields(Limits)
    for field in fields:
        name, kind = field.name.replace("_", "-"), type(field.default)
        add(f"--max-{name}", dest=field.name, type=kind, default=field.default, help=shown)
    args = parser.parse_args()
    limits = Limits(**{field.name: getattr(args, field.name) for field in fields})
    if not all(value > 0 for value in dataclasses.astuple(limits)):
        parser.error("each limit must be greater than 0")
    compute, outputs = load_model(args.model)
    compute([["Ready"]])  # also makes TensorFlow prepare the graph
    app = make_app(compute, outputs, limits)
    config = make_config(app, limits, host=args.host, port=args.port, access_log=False)
    # After a clean shutdown, uvicorn sends itself the signal that ended it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    uvicorn.Server(config).run()


def make_config(app: Starlette, limits: Limits, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=make_protocol(3 * limits.seconds),
        # This counts connections, idle ones included; the service itself counts requests.
        limit_concurrency=8 * limits.requests,
        timeout_graceful_shutdown=round(2 * limits.seconds),
        **options,
    )


def make_protocol(seconds: float) -> type[H11Protocol]:
    """HTTP that disconnects clients that send or read too slowly."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.timer = self.loop.call_later(seconds, transport.abort)

        def restart_timer(self) -> None:
            self.timer.cancel()
            self.timer = self.loop.call_later(seconds, self.transport.abort)

        def pause_writing(self) -> None:
            # The client has the same time again to read a long response: it is written at
            # once, so this happens once.
            self.restart_timer()
            super().pause_writing()

        def on_response_complete(self) -> None:
            self.restart_timer()
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self.timer.cancel()
            super().connection_lost(exc)

    return Protocol


def load_model(path: str) -> tuple[Compute, list[str]]:
    """A SavedModel's signature ``tokens`` as a function, and the names of its outputs."""
    loaded = tf.saved_model.load(path)
    if "tokens" not in loaded.signatures:
        raise SystemExit(
            f"{path!r} has no signature 'tokens'. Create it with keras-elmo convert --to "
            "savedmodel."
        )
    names = sorted(set(loaded.signatures["tokens"].structured_outputs) - {"sequence_len"})

    def compute(rows: Rows) -> Arrays:
        lengths = [len(row) for row in rows]
        padded = [[*row, *[""] * (max(lengths) - len(row))] for row in rows]
        found = loaded.signatures["tokens"](
            tokens=tf.constant(padded, tf.string, (len(rows), max(lengths))),
            sequence_len=tf.constant(lengths, tf.int32),
        )
        return {name: found[name].numpy() for name in names}

    return compute, names


def make_app(compute: Compute, outputs: Sequence[str], limits: Limits) -> Starlette:
    """The service.

    ``compute`` turns the tokens of sentences into arrays (sentences, time, ...) or
    (sentences, ...) by output. The first of ``outputs`` is the default.
    """
    batches = Batches(compute, limits.batch_steps)
    n_requests = 0

    @contextlib.asynccontextmanager
    async def worker(app: Starlette) -> AsyncIterator[None]:
        app.state.worker = asyncio.create_task(batches.work())
        yield
        app.state.worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await app.state.worker

    async def health(request: Request) -> Response:
        if request.app.state.worker.done():
            return to_json({"status": "the worker has died"}, 500)
        return to_json({"status": "ready", "outputs": outputs})

    def counted(app: ASGIApp) -> ASGIApp:
        """Limits the requests; one counts until the client has read the answer."""

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal n_requests
            if n_requests >= limits.requests:
                raise HTTPException(
                    503, f"Too many requests: at most {limits.requests} at a time."
                )
            n_requests += 1
            try:
                await app(scope, receive, send)
            finally:
                n_requests -= 1

        return call

    async def embed(request: Request) -> Response:
        try:
            rows, output = parse_request(await read_body(request, limits), outputs, limits)
            async with asyncio.timeout(limits.seconds):
                vectors = await batches.vectors(rows, output)
        except TimeoutError as error:
            raise HTTPException(
                503, f"The request took over {limits.seconds:g} s."
            ) from error
        return to_json({"output": output, "vectors": vectors})

    return Starlette(
        routes=[
            Route("/health", health, methods=["GET"]),
            Route("/embed", embed, methods=["POST"], middleware=[Middleware(counted)]),
        ],
        exception_handlers={
            HTTPException: http_error,
            ClientDisconnect: lambda request, error: to_json({"error": "no body"}, 400),
            Exception: lambda request, error: to_json(
                {"error": "The vectors could not be computed."}, 500
            ),
        },
        lifespan=worker,
    )


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body of a request, if its type is JSON and it is not too large."""
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media != "application/json" or "content-encoding" in request.headers:
        raise HTTPException(415, "Send plain JSON, with Content-Type: application/json.")
    body, n_bytes = bytearray(), 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                n_bytes += len(chunk)
                if n_bytes <= limits.body_bytes:
                    body += chunk
                # A client that reads only after it has sent everything sees the response
                # only if the rest of a large body is read and dropped.
                elif n_bytes > 8 * limits.body_bytes:
                    break
    except TimeoutError as error:
        raise HTTPException(
            408, f"The body did not arrive within {limits.seconds:g} s."
        ) from error
    if n_bytes > limits.body_bytes:
        raise HTTPException(
            413, f"The body is too large: at most {limits.body_bytes:,} bytes."
        )
    return bytes(body)


def parse_request(
    body: bytes, outputs: Sequence[str], limits: Limits
) -> tuple[list[list[str]], str]:
    """Reads the tokens of each sentence and the name of the output from JSON.

    Raises:
        HTTPException: 400 for invalid JSON, 422 for other JSON, 413 above the limits.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"The body must be JSON in UTF-8: {error}.") from error
    keys = content.keys() if isinstance(content, dict) else set()
    if keys - {"output"} not in ({"sentences"}, {"tokens"}):
        raise HTTPException(
            422, "The body must be an object with 'sentences' or 'tokens', and 'output'."
        )
    output = content.get("output", outputs[0])
    if output not in outputs:
        raise HTTPException(422, f"output must be one of {', '.join(outputs)}.")
    (name,) = keys - {"output"}
    rows = content[name]
    if not isinstance(rows, list):
        raise HTTPException(422, f"{name} must be a list.")
    for i, row in enumerate(rows):
        if name == "sentences" and isinstance(row, str):
            # Like the layer: only the space character separates tokens.
            rows[i] = [token for token in row.split(" ") if token]
        elif name == "sentences" or not isinstance(row, list):
            kind = "string" if name == "sentences" else "list"
            raise HTTPException(422, f"{name}[{i}] must be a {kind}.")
        elif not all(isinstance(token, str) and token for token in row):
            raise HTTPException(422, f"tokens[{i}] must be non-empty strings.")
    found = {
        "sentences": len(rows),
        "tokens": sum(map(len, rows)),
        "tokens_of_sentence": max(map(len, rows), default=0),
        "characters": max((len(token) for row in rows for token in row), default=0),
    }
    for limit, n in found.items():
        if n > getattr(limits, limit):
            raise HTTPException(413, f"{limit}: {n}; at most {getattr(limits, limit)}.")
    return rows, output


class Answer(Response):
    """JSON; it is sent when the client has read nearly all of it."""

    media_type = "application/json"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        # uvicorn copies the body to the socket's buffer: no other copy stays. Before the
        # end, it waits until the buffer is nearly empty.
        body = {"type": "http.response.body"}
        await send({**body, "body": self.__dict__.pop("body"), "more_body": True})
        await send(body)


def to_json(content: Any, status: int = 200, headers: Any = None) -> Response:
    return Answer(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, headers)


async def http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = {"Retry-After": "1"} if error.status_code == 503 else error.headers
    return to_json({"error": error.detail}, error.status_code, headers)


@dataclasses.dataclass
class Sentence:
    """A sentence that waits for its vectors, (tokens, dim) or (dim,)."""

    tokens: Sequence[str]
    output: str
    vectors: asyncio.Future[NDArray[np.float32]]


class Batches:
    """Puts waiting sentences of all requests into batches.

    A batch holds the sentences that are waiting when the previous batch is done. It does
    not wait to be filled: it is small at low load and large at high load.
    """

    def __init__(self, compute: Compute, steps: int) -> None:
        self.compute, self.steps = compute, steps
        self.waiting: deque[Sentence] = deque()
        self.arrived = asyncio.Event()

    async def vectors(self, rows: Rows, output: str) -> list[NDArray[np.float32]]:
        """Waits for the vectors of sentences."""
        loop = asyncio.get_running_loop()
        sentences = [Sentence(row, output, loop.create_future()) for row in rows]
        self.waiting.extend(sentences)
        self.arrived.set()
        try:
            return await asyncio.gather(*(each.vectors for each in sentences))
        except asyncio.CancelledError:  # timed out: drop the rest of the request
            self.waiting = deque(s for s in self.waiting if not s.vectors.done())
            raise

    async def work(self) -> None:
        """Computes batches in a thread, so that requests are served meanwhile."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:
            while True:
                await self.arrived.wait()
                batch = self.next_batch()
                if not batch:
                    self.arrived.clear()
                    continue
                rows = [sentence.tokens for sentence in batch]
                found: Any
                try:
                    found = await loop.run_in_executor(thread, self.compute, rows)
                except Exception as error:  # only this batch fails
                    found = error
                for i, sentence in enumerate(batch):
                    if sentence.vectors.done():
                        continue
                    if isinstance(found, Exception):
                        sentence.vectors.set_exception(found)
                        continue
                    vectors = found[sentence.output][i]
                    if vectors.ndim > 1:
                        vectors = vectors[: len(sentence.tokens)]
                    # A copy, so that a slow client does not keep the whole batch.
                    sentence.vectors.set_result(vectors.copy())

    def next_batch(self) -> list[Sentence]:
        """Takes as many waiting sentences as fit into a batch, in order."""
        batch: list[Sentence] = []
        longest = 1
        while self.waiting:
            longest = max(longest, len(self.waiting[0].tokens))
            if batch and (len(batch) + 1) * longest > self.steps:
                break
            batch.append(self.waiting.popleft())
        return batch


if __name__ == "__main__":
    main()
