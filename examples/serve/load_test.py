"""Measures serve.py under load: throughput, latency, errors and memory (on Linux).

    python examples/serve/load_test.py mini_model --clients 100 --seconds 60

starts the service, lets each client send one request after another over its own
connection, and ends the service with SIGTERM. A request holds --sentences sentences (1) of
the film reviews that come with the package. One request in a hundred is malformed on
purpose. Arguments after "--" are passed to serve.py.

The exit status is 1 if any request got an unexpected answer or the service failed to shut
down cleanly.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
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


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", metavar="SAVED_MODEL")
    add("--clients", type=int, default=100)
    add("--seconds", type=float, default=60)
    add("--sentences", type=int, default=1, help="per request")
    add("--output", default="default")
    args, others = parser.parse_known_args()
    options = [option for option in others if option != "--"]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    serve = [sys.executable, str(Path(__file__).with_name("serve.py")), args.model]
    process = subprocess.Popen([*serve, "--port", str(port), *options])
    try:
        wait_until_ready(port, process)
        figures = asyncio.run(load(args, port, process.pid))
        peak = memory(process.pid, "VmHWM")
    finally:
        process.terminate()
        code = process.wait()
    return report(*figures, peak, code)


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    """Polls the service's health until it answers."""
    while process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10).close()
            return
        time.sleep(0.2)
    sys.exit("The service ended before it was ready.")


async def load(
    args: argparse.Namespace, port: int, pid: int
) -> tuple[float, list[float], Counter[tuple[str, str]], list[float]]:
    """Lets all clients send requests at the same time.

    Returns the answers per second, the seconds until each, the number of answers by
    expected and actual kind, such as "4xx", and the memory in MB, every second. Answers to
    what is malformed are only in the third; those after the end are not in the first.
    """
    tokens = [x for texts, _ in load_reviews() for t in texts for x in tokenize(t)]
    sentences = re.split(r"(?<= [.!?]) ", " ".join(tokens))
    bodies = [
        json.dumps({"sentences": sentences[i : i + args.sentences], "output": args.output})
        for i in range(0, len(sentences), args.sentences)
    ]
    requests = [request_bytes(body.encode(), port) for body in bodies]
    malformed = [request_bytes(body, port) for body in MALFORMED]
    seconds: list[float] = []
    n_in_time = 0
    answers: Counter[tuple[str, str]] = Counter()
    end = time.monotonic() + args.seconds

    async def client(number: int) -> None:
        nonlocal n_in_time
        rng = random.Random(number)
        writer: asyncio.StreamWriter | None = None
        while (started := time.monotonic()) < end:
            bad = rng.randrange(ONE_MALFORMED_IN) == 0
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(rng.choice(malformed if bad else requests))
                status = await asyncio.wait_for(answer(reader), 60)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                answers["4xx" if bad else "2xx", type(error).__name__] += 1
                if writer is not None:
                    writer.close()
                writer = None
                continue
            answers["4xx" if bad else "2xx", f"{status // 100}xx"] += 1
            if status == 200:
                answered = time.monotonic()
                seconds.append(answered - started)
                n_in_time += answered < end
        if writer is not None:
            writer.close()

    resident = []
    clients = [asyncio.create_task(client(i)) for i in range(args.clients)]
    while time.monotonic() < end:
        resident.append(memory(pid, "VmRSS"))
        await asyncio.sleep(1)
    await asyncio.gather(*clients)
    return n_in_time / args.seconds, seconds, answers, resident


def request_bytes(body: bytes, port: int) -> bytes:
    head = (
        f"POST /embed HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> int:
    """Reads a response and returns its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in headers if line)
    await reader.readexactly(int(fields["content-length"]))
    return int(status.split(" ")[1])


def memory(pid: int, name: str) -> float:
    """A process's memory in MB: VmRSS, the current one, or VmHWM, the peak."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.split(f"{name}:")[1].split()[0]) * 1024 / 1e6


def report(
    rate: float,
    seconds: Sequence[float],
    answers: Counter[tuple[str, str]],
    resident: Sequence[float],
    peak: float,
    code: int,
) -> int:
    """Prints the measurements and returns the exit status."""
    n_errors = sum(n for (due, kind), n in answers.items() if kind != due)
    marks = [resident[i * (len(resident) - 1) // 6] for i in range(7)]
    print(f"requests/s        {rate:,.1f}")
    if seconds:
        p50, p90, p99, most = np.percentile(seconds, [50, 90, 99, 100]) * 1000
        print(f"latency, ms       median {p50:.0f}, 90% {p90:.0f}, ", end="")
        print(f"99% {p99:.0f}, max {most:.0f}")
    for (due, kind), n in sorted(answers.items()):
        print(f"answers           {n:,} {kind}, expected {due}")
    print(f"errors            {n_errors}")
    print(f"memory, MB        {', '.join(f'{mark:,.0f}' for mark in marks)} (start to end)")
    print(f"peak memory, MB   {peak:,.0f}")
    print(f"exit code         {code}")
    return int(n_errors > 0 or code != 0)


if __name__ == "__main__":
    raise SystemExit(main())
