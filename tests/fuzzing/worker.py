"""Reads damaged files, one after another, and tells of each on its standard output."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from tests.fuzzing.target import ERROR, Target, WrongContentError, read_files, write_files

MOST_BYTES = 256 << 20
"""How much memory a file of a few kilobytes may take."""


def spoiled_files(target: Target, folder: Path, seed: int, index: int) -> dict[str, bytes]:
    """The files of one number, from good ones in a folder."""
    return target.spoil(read_files(folder), random.Random(f"{target.name} {seed} {index}"))


def outcome(target: Target, folder: Path, expected: Any) -> tuple[str, str]:
    """Reads the files of a folder.

    Returns:
        What came of it, ``equal``, ``data`` or ``error`` if it is right, and a text.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = target.read(folder)
            return target.judge(expected, found), ""
    except target.errors as error:
        told = str(error)
        if not any(name in told for name in target.names(folder)):
            return "names no file", f"{type(error).__name__}: {told}"
        if len(told) > 5000:
            return "talks too much", f"{type(error).__name__}: {len(told)} characters"
        return ERROR, told
    except WrongContentError as error:
        return "wrong", str(error)
    except MemoryError as error:
        return "memory", str(error)
    except Exception as error:
        return "undocumented", f"{type(error).__name__}: {error}"


def run(target: Target, seed: int, indices: range, tell: Any) -> None:
    """Reads the files of some numbers, and tells of each."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        good, bad = Path(scratch, "good"), Path(scratch, "bad")
        good.mkdir()
        target.make(good)
        shutil.copytree(good, bad)
        expected = target.read(bad)
        assert target.judge(expected, expected) == "equal"
        for index in indices:
            shutil.rmtree(bad)
            bad.mkdir()
            write_files(bad, spoiled_files(target, good, seed, index))
            tell({"begun": index})
            before, start = _peak_bytes(), time.perf_counter()
            what, text = outcome(target, bad, expected)
            seconds = time.perf_counter() - start
            if _peak_bytes() - before > MOST_BYTES:
                what, text = (
                    "memory",
                    f"{_peak_bytes() - before:,} bytes, then {what} {text}",
                )
            tell({"index": index, "what": what, "text": text[:600], "seconds": seconds})


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def limit_memory() -> None:
    """Makes a large allocation an error, on top of what is reserved by now."""
    status = Path("/proc/self/statm")
    if status.exists():
        pages = int(status.read_text().split()[0])
        most = pages * resource.getpagesize() + (4 << 30)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Reads orders, lines of JSON, from the standard input until it ends."""
    from tests.fuzzing.targets import make_target

    # What the libraries print does not get between.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(message: Any) -> None:
        print(json.dumps(message), file=out, flush=True)

    import faulthandler

    faulthandler.enable()
    import tensorflow as tf

    tf.constant(0)
    limit_memory()
    for line in sys.stdin:
        order = json.loads(line)
        run(
            make_target(order["target"]),
            order["seed"],
            range(order["start"], order["stop"]),
            tell,
        )
        tell({"done": True})


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    # Not to wait for the threads of the libraries.
    os._exit(0)
