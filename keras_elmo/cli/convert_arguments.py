"""The arguments of ``keras-elmo convert``."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any, get_args

from keras_elmo.cli.shared_arguments import DOWNLOADS, SOURCE, Add, add_quiet
from keras_elmo.types import InputMode, OutputMode

FORMATS = ("hdf5", "keras", "savedmodel")

OUTPUT_MODES = get_args(OutputMode)
INPUT_MODES = get_args(InputMode)


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
    from keras_elmo.cli.convert import convert

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


def add_convert(add: Add) -> None:
    """Adds ``convert``."""
    convert = add(
        "convert",
        None,
        "write a model in another format",
        "What was written is loaded again, and its output compared, before it gets its "
        f"name: either all of OUT is there in the end, or nothing. {DOWNLOADS}",
    )
    convert.set_defaults(run=partial(_convert, convert))
    convert.add_argument("source", metavar="SOURCE", help=SOURCE)
    convert.add_argument(
        "out", metavar="OUT", type=Path, help="where to; its directory must exist"
    )
    convert.add_argument(
        "--to",
        choices=FORMATS,
        help="hdf5, a directory with options.json and weights.hdf5 (the default); keras, a "
        "Keras model from strings to the output (the default if OUT ends in .keras); "
        "savedmodel, the same as a directory for TensorFlow alone, with the signatures of "
        "the TF-Hub modules",
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
    add_quiet(convert)
