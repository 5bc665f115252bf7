"""What the command shows in a terminal, and that it shows plain lines everywhere else."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keras_elmo.cli.main import COMMANDS, main
from keras_elmo.weights.named_models import MODELS, NamedModel
from tests.cli.conftest import Run
from tests.cli.test_command import ENVIRONMENT, PROGRAM
from tests.cli.test_train import SETTINGS
from tests.tiny_models import LEAST
from tests.weights.file_server import serving

Shown = Callable[..., str]
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
PLAIN = ({"NO_COLOR": "1"}, {"CI": "true"}, {"TERM": "dumb"})


def open_terminal(columns: int) -> tuple[int, int]:
    """What is read from the first descriptor is what is written to the second."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return master, slave


def read_all(master: int) -> str:
    parts = []
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(master, 1 << 16):
            parts.append(part)
    os.close(master)
    return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Shown:
    """Runs the command in a terminal; returns what appears there."""

    def run_in_terminal(columns: int, *arguments: object, **variables: str) -> str:
        master, slave = open_terminal(columns)
        with monkeypatch.context() as patch, ThreadPoolExecutor() as pool:
            for name in ("NO_COLOR", "CI"):
                patch.delenv(name, raising=False)
            environment = {"TERM": "xterm-256color", "COLUMNS": str(columns), **variables}
            for name, value in environment.items():
                patch.setenv(name, value)
            found = pool.submit(read_all, master)
            with os.fdopen(slave, "w") as stream, contextlib.suppress(SystemExit):
                patch.setattr(sys, "stdout", stream)
                patch.setattr(sys, "stderr", stream)
                main([str(argument) for argument in arguments])
            return found.result()

    return run_in_terminal


def frames(text: str) -> list[str]:
    """The lines that a bar wrote over each other, and those after it."""
    return [line.rstrip() for line in re.split(r"[\r\n]", ESCAPE.sub("", text)) if line]


@pytest.mark.parametrize("columns", [40, 120])
def test_models(columns: int, shown: Shown) -> None:
    text = shown(columns, "list")
    assert "\x1b[" in shown(120, "list")
    lines = ESCAPE.sub("", text).splitlines()
    assert max(len(line.rstrip()) for line in lines[:-1]) <= columns  # the cache's path
    rows = [line for line in lines if line.startswith(tuple(MODELS))]
    assert [row.split()[0] for row in rows] == [*MODELS]
    if columns == 40:
        assert rows[0] == "mini (English, 8.0 MB, in the package)"
    else:
        values = r" +([\d.]+ M) +(\d+) +([\d.]+ MB) +(yes|no) "
        found = [re.search(values, row) for row in rows[:2]]
        assert [match and match.groups() for match in found] == [
            ("4.0 M", "512", "8.0 MB", "yes"),
            ("93.6 M", "1024", "374.4 MB", "no"),
        ]


@pytest.mark.parametrize("command", ["", *COMMANDS, "embed a", "info nowhere"])
def test_help_and_errors_are_the_plain_ones_in_color(command: str, shown: Shown) -> None:
    arguments = command.split()
    if len(arguments) < 2:
        arguments.append("--help")
    colored = shown(60, *arguments)
    assert "\x1b[" in colored
    for plain in PLAIN:
        assert shown(60, *arguments, **plain) == ESCAPE.sub("", colored)


@pytest.mark.parametrize("columns", [40, 120])
def test_description(columns: int, source: str, shown: Shown, run: Run) -> None:
    plain = run("info", source)[1]
    text = shown(columns, "info", source)
    assert re.search(r"\x1b\[36msize *\x1b\[0m", text)
    found = ESCAPE.sub("", text)
    assert max(len(line.rstrip()) for line in found.splitlines()[1:]) <= columns
    if columns == 120:
        assert [line.rstrip() for line in found.splitlines()] == plain.splitlines()
    assert shown(columns, "info", source, NO_COLOR="1") == plain


def test_embedding(source: str, shown: Shown) -> None:
    Path("in.txt").write_text("the cat sat\na dog\none two three four five\n" * 50)
    command = ["embed", "in.txt", "out.npy", "--source", source, "--batch-size", "50"]
    text = shown(120, *command)
    assert text.count("\x1b[?25h") == text.count("\x1b[?25l") == 1  # the cursor
    *bars, last = frames(text)
    assert last == "Wrote 'out.npy' (96.1 kB): 150 sentences, 500 tokens."
    number = r"[\d,]+"
    clock = r"\d:\d\d:\d\d"
    assert re.fullmatch(
        rf"Embedding ━+ 100%, 500 tokens, {number} tokens/s, {clock}", bars[-1]
    )
    assert frames(shown(120, *command)) == [
        "'out.npy' is finished (150 sentences, 500 tokens). Nothing was written."
    ]
    command[2] = "narrow.npy"
    *bars, _ = frames(shown(40, *command))
    assert re.fullmatch(rf"Embedding +100%, {number} tokens/s, {clock}", bars[-1])
    assert max(map(len, bars)) <= 40
    command[2] = "plain.npy"
    text = shown(120, *command, NO_COLOR="1")
    assert "\x1b" not in text
    assert "Embedding: 100%" in text


@pytest.mark.slow
def test_training_and_evaluating(shown: Shown) -> None:
    Path("in.txt").write_text("a cat sat\na dog ran away\n" * 20)
    content = {"model": LEAST.to_options(), "training": SETTINGS}
    Path("config.json").write_text(json.dumps(content))
    command = ["train", "in.txt", "--config", "config.json", "--out", "model"]
    *bars, last = frames(shown(120, *command))
    assert last == "The model is in 'model'."
    bar = r"Training \(perplexity [\d.]+\) ━+ 100%, 16 tokens, \d+ tokens/s, \d:\d\d:\d\d"
    assert re.fullmatch(bar, bars[-1])
    assert frames(shown(120, *command, "--resume")) == [last]
    *bars, _, _, _ = frames(shown(120, "evaluate", "model", "in.txt", "--batch-size", "8"))
    assert re.match(r"Evaluating ━+ 100%, 180 tokens", bars[-1])


def test_downloading(
    source: str, shown: Shown, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Path(source)) as server:
        urls = (f"{server.url}/weights.hdf5", f"{server.url}/options.json")
        about = ("English", "Me", "Tiny", "Free", "Nobody. 2018.")
        model = NamedModel("tiny", *urls, None, None, *about)
        monkeypatch.setitem(MODELS, "tiny", model)
        lines = frames(shown(120, "info", "tiny"))
    bars = [line for line in lines if line.startswith("Downloading")]
    assert re.match(r"Downloading weights.hdf5 ━+ 100%, 54.4 kB", bars[-1])


@pytest.mark.slow
def test_the_cursor_comes_back(source: str, folder: Path) -> None:
    """In a terminal of its own, whose width nobody but the system says."""
    Path("in.txt").write_text("a b\n" * 500_000)
    master, slave = open_terminal(100)
    hidden = ("COLUMNS", "NO_COLOR", "CI")
    environment = {k: v for k, v in ENVIRONMENT.items() if k not in hidden}
    process = subprocess.Popen(
        [*PROGRAM, "embed", "in.txt", "o.npy", "--source", source],
        **dict.fromkeys(("stdin", "stdout", "stderr"), slave),
        env={**environment, "TERM": "xterm"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(slave)
    with ThreadPoolExecutor() as pool:
        found = pool.submit(read_all, master)
        while not Path("o.npy.json").exists():
            time.sleep(0.1)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        text = found.result()
    assert process.wait() == 130, text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    *bars, last = frames(text)
    assert last == "keras-elmo: stopped by SIGINT. The same command continues from here."
    assert all(len(bar) <= 100 for bar in bars)
