"""Many clients at once against examples/serve.py: throughput, latency, errors, memory.

    python examples/load_test.py mini_model --clients 100 --seconds 60

starts the service on this machine, lets each client send one request after the other over a
connection of its own, and ends the service by SIGTERM. A request holds a sentence of the
film reviews that come with the package, or --sentences of them. One request in a hundred is
malformed on purpose, and has to be answered with 4xx. What follows "--" goes to
examples/serve.py.

The exit code is 1 if any request failed, or the service did not end in order.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_elmo import tokenize
from keras_elmo.text.reviews import load_reviews

MALFORMED = (
    b"",
    b"{",
    b'{"sentences": ["\xff"]}',
    b'{"sentences": [NaN]}',
    b'{"sentences": "one"}',
    b'{"tokens": [["a", 1]]}',
    b'{"sentences": ["a"], "output": "none"}',
    b"[" * 10_000,
)
ONE_MALFORMED_IN = 100


@dataclass
class Figures:
    """What was counted.

    Attributes:
        seconds: How long each well-formed request took.
        statuses: How many answers of each status well-formed requests got.
        malformed: The same for malformed ones.
        failures: Requests that got no answer, by the kind of error.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    malformed: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def n_errors(self) -> int:
        """Requests with another answer than they should have, or none."""
        wrong = sum(n for status, n in self.statuses.items() if status != 200)
        wrong += sum(n for status, n in self.malformed.items() if not 400 <= status < 500)
        return wrong + sum(self.failures.values())


def sentences() -> list[str]:
    """The sentences of the embedded reviews, split into tokens."""
    (texts, _), (more, _) = load_reviews()
    found, tokens = [], []
    for text in itertools.chain(texts, more):
        for token in tokenize(text):
            tokens.append(token)
            if token in (".", "!", "?"):
                found.append(" ".join(tokens))
                tokens = []
    return found


def request_bytes(body: bytes, port: int) -> bytes:
    """An HTTP request, written once instead of by each client again."""
    head = (
        f"POST /embed HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> int:
    """Reads an answer; returns its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in headers if line)
    await reader.readexactly(int(fields["content-length"]))
    return int(status.split(" ")[1])


async def client(
    number: int, port: int, end: float, requests: Sequence[bytes], figures: Figures
) -> None:
    """Sends one request after the other until the time is over."""
    rng = random.Random(number)
    writer: asyncio.StreamWriter | None = None
    malformed = [request_bytes(body, port) for body in MALFORMED]
    while (started := time.monotonic()) < end:
        bad = rng.randrange(ONE_MALFORMED_IN) == 0
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(rng.choice(malformed if bad else requests))
            status = await asyncio.wait_for(answer(reader), 60)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            figures.failures[type(error).__name__] += 1
            if writer is not None:
                writer.close()
            writer = None
            continue
        if bad:
            figures.malformed[status] += 1
        else:
            figures.statuses[status] += 1
            figures.seconds.append(time.monotonic() - started)
    if writer is not None:
        writer.close()


def memory(process: int, name: str) -> float:
    """A figure of a process's memory in MB: VmRSS, what it has, or VmHWM, its peak."""
    status = Path(f"/proc/{process}/status").read_text("ascii")
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


async def watch(process: int, end: float) -> list[float]:
    """The service's memory, each second."""
    found = []
    while time.monotonic() < end:
        found.append(memory(process, "VmRSS"))
        await asyncio.sleep(1)
    return found


async def load(
    args: argparse.Namespace, port: int, process: int
) -> tuple[Figures, list[float]]:
    """All clients at once; returns what was counted, and the memory by seconds."""
    texts = sentences()
    bodies = [
        json.dumps({"sentences": texts[i : i + args.sentences], "output": args.output})
        for i in range(0, len(texts), args.sentences)
    ]
    requests = [request_bytes(body.encode(), port) for body in bodies]
    figures, end = Figures(), time.monotonic() + args.seconds
    clients = [client(i, port, end, requests, figures) for i in range(args.clients)]
    watching = asyncio.create_task(watch(process, end))
    await asyncio.gather(*clients)
    return figures, await watching


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    """Asks for the health of the service until it answers."""
    while process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10).close()
            return
        time.sleep(0.2)
    sys.exit("The service has ended before it was ready.")


def report(args: argparse.Namespace, figures: Figures, resident: list[float]) -> None:
    """Prints what was measured."""
    p50, p90, p99, most = np.percentile(figures.seconds, [50, 90, 99, 100]) * 1000
    print(
        f"{args.clients} clients for {args.seconds:g} s, sentences {args.sentences}, "
        f"output {args.output!r}"
    )
    print(f"requests/s        {len(figures.seconds) / args.seconds:,.1f}")
    print(
        f"latency, ms       median {p50:.0f}, 90% {p90:.0f}, 99% {p99:.0f}, max {most:.0f}"
    )
    print(f"well-formed       {dict(figures.statuses)}")
    print(f"malformed         {dict(figures.malformed)}")
    print(f"without answer    {dict(figures.failures)}")
    print(f"errors            {figures.n_errors}")
    marks = [resident[i * (len(resident) - 1) // 6] for i in range(7)]
    print(f"memory, MB        {', '.join(f'{mark:,.0f}' for mark in marks)} (start to end)")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main(argv: Sequence[str] | None = None) -> int:
    """Starts the service, loads it, ends it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="SAVED_MODEL")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--sentences", type=int, default=1, help="of a request")
    parser.add_argument("--output", default="default")
    args, others = parser.parse_known_args(argv)
    port = free_port()
    serve = str(Path(__file__).with_name("serve.py"))
    options = [option for option in others if option != "--"]
    command = [sys.executable, serve, args.model, "--port", str(port), *options]
    process = subprocess.Popen(command)
    try:
        wait_until_ready(port, process)
        figures, resident = asyncio.run(load(args, port, process.pid))
        report(args, figures, resident)
        print(f"peak memory, MB   {memory(process.pid, 'VmHWM'):,.0f}")
    finally:
        process.terminate()
        code = process.wait()
    print(f"exit code         {code}")
    return int(figures.n_errors > 0 or code != 0)


if __name__ == "__main__":
    raise SystemExit(main())
