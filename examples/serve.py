"""Serves ELMo's vectors over HTTP, from a SavedModel and by TensorFlow alone.

    keras-elmo convert mini mini_model --to savedmodel
    python examples/serve.py mini_model

    curl localhost:8000/embed --json '{"sentences": ["A fine film ."]}'

answers {"output": "default", "vectors": [[...]]}, a vector for each sentence. In place of
"sentences", which are split at spaces, there may be "tokens", a list of lists; and "output"
names another output, such as "elmo", which has a vector for each token. GET /health answers
200 once the model has answered, which it has before the service listens.

What is too large, malformed or unknown gets a status of 4xx. What takes too long, or comes
when too much waits, gets 503 with Retry-After. The message is in {"error": ...}. SIGTERM
lets requests at work end, and no others begin.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial
from types import FrameType
from typing import Any

import orjson
import uvicorn
from serve_batches import Batches, Model
from serve_requests import Limits, RequestError, parsed_request
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

BATCH_STEPS = 4096
_RETRY_SECONDS = 1
# So much of a body that is too large is read and thrown away: a client that sends all
# before it reads would not see the answer otherwise.
_PATIENCE = 8


def make_app(model: Model, limits: Limits, batch_steps: int = BATCH_STEPS) -> Starlette:
    """Makes the service.

    Args:
        model: What computes the vectors; it has answered once.
        limits: How much is taken on.
        batch_steps: The most that a batch has, sentences times tokens.
    """
    batches = Batches(model, batch_steps)

    @contextlib.asynccontextmanager
    async def at_work(app: Starlette) -> AsyncIterator[None]:
        app.state.worker = asyncio.create_task(batches.work())
        yield
        app.state.worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await app.state.worker

    async def health(request: Request) -> Response:
        if request.app.state.worker.done():
            return _json({"status": "the worker has died"}, 500)
        return _json({"status": "ready", "outputs": model.outputs})

    async def embed(request: Request) -> Response:
        body = await _body(request, limits)
        task = parsed_request(body, model.outputs, limits)
        try:
            async with asyncio.timeout(limits.seconds):
                vectors = await batches.vectors(*task)
        except TimeoutError as error:
            raise RequestError(503, f"It took longer than {limits.seconds:g} s.") from error
        return _json({"output": task.output, "vectors": vectors})

    return Starlette(
        routes=[
            Route("/health", health, methods=["GET"]),
            Route("/embed", embed, methods=["POST"]),
        ],
        middleware=[Middleware(_Admission, limits=limits)],
        exception_handlers={
            RequestError: _request_error,
            HTTPException: _http_error,
            ClientDisconnect: _disconnected,
            Exception: _any_error,
        },
        lifespan=at_work,
    )


class _Admission:
    """Counts requests until they are answered, and turns away those that are too many."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.n_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/health":
            await self.app(scope, receive, send)
        elif self.n_requests >= self.limits.requests:
            refusal = _error(503, f"Requests at a time: at most {self.limits.requests}.")
            await refusal(scope, receive, send)
        else:
            self.n_requests += 1
            try:
                await self.app(scope, receive, send)
            finally:
                self.n_requests -= 1


async def _body(request: Request, limits: Limits) -> bytes:
    """The body of a request, if it may be JSON and is not too large."""
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media != "application/json" or "content-encoding" in request.headers:
        raise RequestError(415, "Send JSON as it is, with Content-Type: application/json.")
    body, n_bytes = bytearray(), 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                n_bytes += len(chunk)
                if n_bytes <= limits.body_bytes:
                    body += chunk
                elif n_bytes > _PATIENCE * limits.body_bytes:
                    break
    except TimeoutError as error:
        raise RequestError(408, f"No body within {limits.seconds:g} s.") from error
    if n_bytes > limits.body_bytes:
        raise RequestError(413, f"The body may have {limits.body_bytes} bytes.")
    return bytes(body)


def _json(
    content: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    encoded = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(encoded, status, headers, media_type="application/json")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    if status == 503:
        headers = {"Retry-After": str(_RETRY_SECONDS)}
    return _json({"error": message}, status, headers)


async def _request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return _error(error.status, str(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # 404 and 405
    headers = None if error.headers is None else dict(error.headers)
    return _error(error.status_code, f"{error.detail}: POST /embed, GET /health.", headers)


async def _disconnected(request: Request, error: Exception) -> Response:
    return _error(400, "The body did not arrive.")  # for nobody: the client has gone


async def _any_error(request: Request, error: Exception) -> Response:
    return _error(500, "The vectors could not be computed.")


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="SAVED_MODEL", help="the directory")
    parser.add_argument("--host", default="127.0.0.1", help="(%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(%(default)s)")
    parser.add_argument(
        "--batch-steps",
        type=partial(_positive, int),
        default=BATCH_STEPS,
        help="sentences times tokens that are computed at once; 1 for each sentence by "
        "itself (%(default)s)",
    )
    for field in dataclasses.fields(Limits):
        parser.add_argument(
            f"--max-{field.name.replace('_', '-')}",
            dest=field.name,
            type=partial(_positive, float if field.name == "seconds" else int),
            default=field.default,
            help="(%(default)s)",
        )
    return parser.parse_args(argv)


def _positive(kind: type[int | float], text: str) -> int | float:
    number = kind(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"must be greater than 0; got {text}")
    return number


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT."""
    args = parsed(argv)
    limits = Limits(**{f.name: getattr(args, f.name) for f in dataclasses.fields(Limits)})
    try:
        model = Model(args.model)
    except ValueError as error:
        sys.exit(str(error))
    model([["Ready"]])  # also makes TensorFlow prepare the graph
    config = uvicorn.Config(
        make_app(model, limits, args.batch_steps),
        args.host,
        args.port,
        log_level=logging.INFO,
        access_log=False,
        # Connections, idle ones included; the service itself counts requests.
        limit_concurrency=8 * limits.requests,
        timeout_graceful_shutdown=round(2 * limits.seconds),
    )
    # When all has ended in order, uvicorn sends itself the signal that made it end.
    signal.signal(signal.SIGTERM, _end)
    uvicorn.Server(config).run()
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    raise SystemExit(main())
