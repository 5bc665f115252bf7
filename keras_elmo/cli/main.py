"""The command ``keras-elmo``: each subcommand has a module of its name.

It has ``SUMMARY``, ``DETAILS``, ``add_arguments`` and ``run``. Only ``run`` imports more
than the standard library, as Keras and TensorFlow take seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import NoReturn

from keras_elmo import __version__
from keras_elmo.cli.arguments import UsageError
from keras_elmo.errors import DiskFullError
from keras_elmo.imports import import_in

COMMANDS = (
    "list",
    "info",
    "convert",
    "verify",
    "embed",
    "train",
    "evaluate",
    "substitutes",
)

_EXIT_CODES = (
    "Exit codes: 0, all is well; 1, an error, reported on one line of stderr; 2, the "
    "arguments are wrong; 3, the disk is full or memory ran out; 130 or 143, interrupted "
    "or terminated."
)
_CONTINUES = {
    "embed": " The same command continues from here.",
    "train": " With --resume it continues from the last checkpoint.",
}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code; wrong arguments and help exit."""
    arguments = vars(_parser().parse_args(argv))
    run, parser = arguments.pop("run"), arguments.pop("parser")
    continues = _CONTINUES.get(parser.prog.split()[-1], "")
    _quiet_tensorflow()
    try:
        with _signals_as_exceptions():
            run(**arguments)
        return 0
    except UsageError as error:
        return parser.error(str(error))
    except (ValueError, OSError, ImportError, FloatingPointError, MemoryError) as error:
        message = parser.in_options(str(error)) or "there is not enough memory"
        is_full = isinstance(error, DiskFullError) or (
            isinstance(error, OSError) and error.errno in _NO_ROOM
        )
        if is_full or isinstance(error, MemoryError):
            return _ended(3, f"stopped: {message}")
        return _ended(1, f"error: {message}")
    except _SignalReceived as received:
        return _ended(128 + received.number, f"stopped by {received}.{continues}")


def _ended(code: int, message: str) -> int:
    print(f"keras-elmo: {message}", file=sys.stderr)
    return code


class _SignalReceived(BaseException):
    """Replaces a signal's own effect, so that what is open is closed first."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    def receive(number: int, _: object) -> None:
        # A second one ends the process at once.
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise _SignalReceived(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        both = (signal.SIGINT, signal.SIGTERM)
        # Jobs in the background ignore some from the beginning.
        handlers = {each: signal.getsignal(each) for each in both}
        before = {each: old for each, old in handlers.items() if old != signal.SIG_IGN}
    for each in before:
        signal.signal(each, receive)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _Parser(argparse.ArgumentParser):
    """Reports errors on one line, in terms of the options."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def in_options(self, message: str) -> str:
        """A message that begins with an argument of Python, with the option instead."""
        names = {
            action.dest: (action.option_strings or [str(action.metavar)])[-1]
            for action in self._actions
        }
        return re.sub(
            r"^(\w+)(?=[:=]| must\b)", lambda match: names.get(match[1], match[1]), message
        )


def _parser() -> _Parser:
    parser = _Parser(
        "keras-elmo",
        description="Describes, converts, verifies, trains and uses ELMo models.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"keras_elmo.cli.{name}")
        summary, details = module.SUMMARY, module.DETAILS
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}. {details}",
            epilog=_EXIT_CODES,
        )
        command.set_defaults(run=module.run, parser=command)
        module.add_arguments(command)
    return parser


def _quiet_tensorflow() -> None:
    """Keeps TensorFlow's log away, unless the environment sets the level 0."""
    level = os.environ.setdefault(_LOG_LEVEL, "3")
    if level != "0" and "tensorflow" not in sys.modules:
        import_in("tensorflow", _held_stderr)


@contextlib.contextmanager
def _held_stderr() -> Iterator[None]:
    """Passes on what is written to stderr only if an exception follows."""
    # TensorFlow's libraries write some lines as they are loaded, whatever the log level.
    try:
        stderr = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


if __name__ == "__main__":
    sys.exit(main())
