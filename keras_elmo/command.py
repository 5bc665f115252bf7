"""The command ``keras-elmo``: describes, converts and verifies models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

from keras_elmo.types import InputMode, OutputMode

FORMATS = ("hdf5", "keras", "savedmodel")

OUTPUT_MODES = get_args(OutputMode)
INPUT_MODES = get_args(InputMode)

_SOURCE = (
    "what ElmoEmbeddingLayer takes: the name of a model (see 'keras-elmo list'), a "
    "directory, .zip archive or .hdf5 file, the directory or .tar.gz archive of a TF1 Hub "
    "module, the URL of such a file, or a handle on TF-Hub or Kaggle"
)
_DOWNLOADS = "What is not on this machine yet is downloaded into the cache, once."
_EXIT_CODES = (
    "Exit codes: 0, all is well; 1, an error, told on one line of stderr or more; 2, the "
    "arguments are wrong."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Its arguments; by default those of the process.

    Returns:
        The exit code: 0, or 1 after an error.

    Raises:
        SystemExit: The arguments are wrong (code 2), or ask for help or the version
            (code 0).
    """
    arguments = vars(_parser().parse_args(argv))
    run = arguments.pop("run")
    from keras_elmo.errors import SourceError

    try:
        run(**arguments)
    except (SourceError, OSError) as error:
        print(f"keras-elmo: error: {error}", file=sys.stderr)
        return 1
    return 0


def _list(**arguments: Any) -> None:
    from keras_elmo.commands.info import show_models

    show_models(**arguments)


def _info(**arguments: Any) -> None:
    from keras_elmo.commands.info import show_source

    show_source(**arguments)


def _verify(**arguments: Any) -> None:
    from keras_elmo.commands.verify import show_verification

    show_verification(**arguments)


def _convert(
    parser: argparse.ArgumentParser, out: Path, to: str | None, **arguments: Any
) -> None:
    to = _format(parser, out, to)
    modes = [arguments["output_mode"], arguments["input_mode"]]
    if to == "hdf5" and modes != [None, None]:
        parser.error(
            "HDF5 holds a model for every mode: --output-mode and --input-mode are for "
            "--to keras and --to savedmodel"
        )
    from keras_elmo.commands.convert import convert

    convert(out=out, to=to, **arguments)


def _format(parser: argparse.ArgumentParser, out: Path, to: str | None) -> str:
    """The format that ``--to`` or the suffix of OUT says; an error if they disagree."""
    if not out.name:
        parser.error(f"OUT must end in the name of a file or directory; got {str(out)!r}")
    is_keras_file = out.suffix == ".keras"
    if to is None and not is_keras_file and out.suffix:
        parser.error(f"the suffix of {out.name!r} does not tell the format: add --to")
    if to is not None and (to == "keras") != is_keras_file:
        parser.error(
            f"--to {to} does not fit {out.name!r}: a .keras file has that suffix, a "
            "directory does not"
        )
    return to or ("keras" if is_keras_file else "hdf5")


class _Version(argparse.Action):
    """Prints the version, which costs the import of the library only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from keras_elmo import __version__

        print(f"keras-elmo {__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "keras-elmo", description="Describes, converts and verifies ELMo models."
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        default=argparse.SUPPRESS,
        help="print the version",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = partial(_add, commands)

    models = add("list", _list, "list the models that can be asked for by name")
    _add_json(models)

    info = add("info", _info, "describe a model", _DOWNLOADS)
    info.add_argument("source", metavar="SOURCE", help=_SOURCE)
    _add_json(info)

    verify = add(
        "verify", _verify, "compare a TF1 Hub module's outputs with the layer's", _DOWNLOADS
    )
    verify.add_argument("source", metavar="SOURCE", help=_SOURCE)
    either = verify.add_mutually_exclusive_group()
    _add_json(either)
    _add_quiet(either)

    _add_convert(add)
    return parser


def _add_convert(add: Callable[..., argparse.ArgumentParser]) -> None:
    convert = add(
        "convert",
        None,
        "write a model in another format",
        "What was written is loaded again, and its output compared, before it gets its "
        f"name: either all of OUT is there in the end, or nothing. {_DOWNLOADS}",
    )
    convert.set_defaults(run=partial(_convert, convert))
    convert.add_argument("source", metavar="SOURCE", help=_SOURCE)
    convert.add_argument(
        "out", metavar="OUT", type=Path, help="where to; its directory must exist"
    )
    convert.add_argument(
        "--to",
        choices=FORMATS,
        help="hdf5, a directory with options.json and weights.hdf5 (the default); keras, a "
        "Keras model from strings to the output (the default if OUT ends in .keras); "
        "savedmodel, the same as a directory for TensorFlow alone",
    )
    convert.add_argument(
        "--output-mode", choices=OUTPUT_MODES, help="the model's output (default: default)"
    )
    convert.add_argument(
        "--input-mode", choices=INPUT_MODES, help="the model's input (default: sentences)"
    )
    convert.add_argument(
        "--force",
        action="store_true",
        help="replace OUT, if it is of the kind that would be written",
    )
    _add_quiet(convert)


def _add(
    commands: Any, name: str, run: Any, summary: str, more: str = ""
) -> argparse.ArgumentParser:
    description = f"{summary[0].upper()}{summary[1:]}. {more}"
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=_EXIT_CODES
    )
    parser.set_defaults(run=run)
    return parser


def _add_json(parser: Any) -> None:
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")


def _add_quiet(parser: Any) -> None:
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing where all is well"
    )


if __name__ == "__main__":
    sys.exit(main())
