"""The command ``keras-elmo``: each subcommand has a module of its name.

It has ``SUMMARY``, ``DETAILS``, ``EXAMPLES``, ``add_arguments`` and ``run``. Only ``run``
imports more than the standard library, as Keras and TensorFlow take seconds.
"""

from __future__ import annotations

import _thread
import argparse
import contextlib
import errno
import importlib
import os
import re
import signal
import sys
import tempfile
import textwrap
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from keras_elmo import __version__
from keras_elmo.cli import terminal
from keras_elmo.cli.arguments import UsageError
from keras_elmo.errors import DiskFullError
from keras_elmo.imports import import_in

PURPOSES = {
    "use a model": ("list", "info", "embed"),
    "convert a model": ("convert", "verify"),
    "train a model": ("train", "evaluate"),
    "use the language model": ("substitutes",),
}
COMMANDS = tuple(name for names in PURPOSES.values() for name in names)

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
    main_parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for completions
        import argcomplete

        argcomplete.autocomplete(main_parser)
    arguments = vars(main_parser.parse_args(argv))
    run, parser = arguments.pop("run"), arguments.pop("parser")
    continues = _CONTINUES.get(parser.prog.split()[-1], "")
    _quiet_tensorflow()
    try:
        with _signals_as_exceptions(), terminal.bars():
            run(**arguments)
        return 0
    except UsageError as error:
        return parser.error(str(error))
    except BrokenPipeError:  # the reader has seen enough, as in "keras-elmo list | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (ValueError, OSError, ImportError, FloatingPointError, MemoryError) as error:
        message = parser.in_options(str(error)) or "there is not enough memory"
        is_full = isinstance(error, DiskFullError) or (
            isinstance(error, OSError) and error.errno in _NO_ROOM
        )
        if is_full or isinstance(error, MemoryError):
            return _ended(3, f"stopped: {message}")
        return _ended(1, f"error: {message}")
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        return _ended(3, "stopped: there is not enough memory")
    except _SignalReceived as received:
        return _ended(128 + received.number, f"stopped by {received}.{continues}")


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a backend, if there is one, ran out of memory."""
    if "keras" not in sys.modules:
        return False
    from keras_elmo.backends import is_out_of_memory

    return is_out_of_memory(error)


def _ended(code: int, message: str) -> int:
    terminal.write(f"keras-elmo: {message}\n", sys.stderr)
    return code


class _SignalReceived(BaseException):
    """Replaces a signal's own effect, so that what is open is closed first."""

    last: weakref.ref[_SignalReceived] | None = None

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        _SignalReceived.last = weakref.ref(self)

    @classmethod
    def is_on_its_way(cls) -> bool:
        return cls.last is not None and cls.last() is not None


@contextlib.contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Raises each signal, once more where it was swallowed, as by a bare ``except``."""

    def receive(number: int, _: object) -> None:
        received.append(number)
        if _SignalReceived.is_on_its_way():  # a second one ends the process at once
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        raise _SignalReceived(number)

    def insist() -> None:
        while not ended.wait(0.5):
            if received and not _SignalReceived.is_on_its_way():
                _thread.interrupt_main(signal.Signals(received[0]))

    def unraisable(raised: Any) -> None:
        if raised.exc_type is not _SignalReceived:
            shown(raised)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    ended = threading.Event()
    both = (signal.SIGINT, signal.SIGTERM)
    # Jobs in the background ignore some from the beginning.
    before = {each: signal.getsignal(each) for each in both}
    before = {each: old for each, old in before.items() if old != signal.SIG_IGN}
    for each in before:
        signal.signal(each, receive)
    shown, sys.unraisablehook = sys.unraisablehook, unraisable
    threading.Thread(target=insist, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        sys.unraisablehook = shown
        for each, handler in before.items():
            signal.signal(each, handler)


class _Formatter(argparse.HelpFormatter):
    """Fills paragraphs, and leaves lines that start with a space, or before them, alone."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.split("\n\n")
        return "\n\n".join(
            paragraph if "\n " in paragraph else textwrap.fill(paragraph, width)
            for paragraph in paragraphs
        )


class _Parser(argparse.ArgumentParser):
    """Reports errors on one line, in terms of the options."""

    def __init__(self, prog: str, **more: Any) -> None:
        super().__init__(prog, formatter_class=_Formatter, **more)
        self.color = False  # Python 3.14's own; terminal.write has them everywhere

    def _print_message(self, message: str, file: Any = None) -> None:
        terminal.write(message, file or sys.stderr)

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
    modules = {name: importlib.import_module(f"keras_elmo.cli.{name}") for name in COMMANDS}
    listed = [
        "\n".join(
            [f"{purpose}:", *(f"  {name:10}{modules[name].SUMMARY}" for name in names)]
        )
        for purpose, names in PURPOSES.items()
    ]
    parser = _Parser(
        "keras-elmo",
        usage="%(prog)s [-h] [--version] COMMAND ...",
        description="\n\n".join(["ELMo models without Python code.", *listed]),
        epilog="'keras-elmo COMMAND --help' lists a command's arguments, with examples.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(
        required=True, metavar="COMMAND", prog="keras-elmo", help=argparse.SUPPRESS
    )
    for name, module in modules.items():
        summary = module.SUMMARY
        examples = "\n".join(f"  keras-elmo {name} {line}" for line in module.EXAMPLES)
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}. {module.DETAILS}",
            epilog=f"examples:\n{examples}\n\n{_EXIT_CODES}",
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
