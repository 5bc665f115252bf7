"""The command ``keras-elmo``: describes, converts, trains and uses models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

from keras_elmo.types import InputMode, OutputMode

FORMATS = ("hdf5", "keras", "savedmodel")

EMBEDDING_SUFFIXES = (".hdf5", ".h5", ".npy", ".parquet")

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
_UNFINISHED = (
    "; 3, the disk or the memory did not suffice; 130 or 143, interrupted or terminated. "
    "After 3, 130 and 143 the same command goes on where it stopped."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Its arguments; by default those of the process.

    Returns:
        The exit code: 0; 1 after an error; others of ``embed`` where it is not complete.

    Raises:
        SystemExit: The arguments are wrong (code 2), or ask for help or the version
            (code 0).
    """
    arguments = vars(_parser().parse_args(argv))
    run = arguments.pop("run")
    from keras_elmo.errors import SourceError

    try:
        code: int | None = run(**arguments)
    except (SourceError, OSError, _InputError) as error:
        print(f"keras-elmo: error: {error}", file=sys.stderr)
        return 1
    return code or 0


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


def _train(**arguments: Any) -> None:
    from keras_elmo.commands.train import train_model

    _run_on_input(train_model, arguments)


def _evaluate(**arguments: Any) -> None:
    from keras_elmo.commands.train import show_perplexity

    _run_on_input(show_perplexity, arguments)


def _embed(parser: argparse.ArgumentParser, out: Path, **arguments: Any) -> int | None:
    if out.suffix.lower() not in EMBEDDING_SUFFIXES:
        parser.error(
            f"OUTPUT must end in {', '.join(EMBEDDING_SUFFIXES)}; got {str(out)!r}"
        )
    from keras_elmo.commands.embed import embed

    return _run_on_input(embed, {"out": out, **arguments})


def _run_on_input(run: Callable[..., int | None], arguments: dict[str, Any]) -> int | None:
    """Turns what is wrong with the user's files into an error of the command."""
    try:
        return run(**arguments)
    except (ValueError, ImportError, FloatingPointError) as error:
        raise _InputError(str(error)) from error


class _InputError(Exception):
    """A file or setting of the user's is wrong; the message says what to do."""


class _Version(argparse.Action):
    """Prints the version, which costs the import of the library only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from keras_elmo import __version__

        print(f"keras-elmo {__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "keras-elmo",
        description="Describes, converts, verifies, trains and uses ELMo models.",
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
    _add_embed(add)
    _add_train(add)
    _add_evaluate(add)
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


def _add_embed(add: Callable[..., argparse.ArgumentParser]) -> None:
    embed = add(
        "embed",
        None,
        "write the vectors of a corpus to a file",
        "OUTPUT has its name when it is complete. Stopped or killed, the same command goes "
        f"on where it was. {_DOWNLOADS}",
    )
    embed.epilog = _EXIT_CODES.removesuffix(".") + _UNFINISHED
    embed.set_defaults(run=partial(_embed, embed))
    embed.add_argument(
        "corpus",
        metavar="INPUT",
        help="a text file with a sentence in each line, its tokens separated by spaces; "
        "JSON lines (.jsonl) or CSV (.csv, .tsv) with --column; plain or compressed by "
        "gzip; or -, for standard input",
    )
    embed.add_argument(
        "out",
        metavar="OUTPUT",
        type=Path,
        help="HDF5 (.hdf5, .h5) as AllenNLP's command elmo wrote it, NumPy (.npy), or, "
        "with --pooled, Parquet (.parquet)",
    )
    embed.add_argument(
        "--source", required=True, help=f"{_SOURCE}; or a saved Keras model (.keras)"
    )
    _add_vectors(embed)
    _add_input(embed)
    keep = embed.add_mutually_exclusive_group()
    keep.add_argument(
        "--use-sentence-keys",
        action="store_true",
        dest="sentence_keys",
        help="name the datasets of an HDF5 file by their sentences, not by their numbers",
    )
    keep.add_argument(
        "--forget-sentences",
        action="store_true",
        help="leave the sentences out of OUTPUT",
    )
    _add_batches(embed)
    embed.add_argument(
        "--dry-run",
        action="store_true",
        help="look through INPUT, embed a sample, and tell the size of OUTPUT and the time",
    )
    _add_quiet(embed)


def _add_vectors(embed: argparse.ArgumentParser) -> None:
    layers = embed.add_mutually_exclusive_group()
    for name, kept in (
        ("all", "the vectors of each layer (the default)"),
        ("top", "those of the last layer"),
        ("average", "the mean of the layers"),
        ("mix", "the trained mix of a saved layer or TF1 Hub module"),
    ):
        layers.add_argument(
            f"--{name}",
            action="store_const",
            const=name,
            dest="layers",
            help=f"keep {kept}",
        )
    embed.set_defaults(layers="all")
    embed.add_argument(
        "--pooled",
        action="store_true",
        help="keep one vector for a sentence, the mean of its tokens'",
    )
    embed.add_argument(
        "--dtype",
        choices=("float32", "float16"),
        default="float32",
        help="how to store the numbers (default: %(default)s)",
    )


def _add_input(embed: argparse.ArgumentParser) -> None:
    embed.add_argument(
        "--format",
        choices=("text", "jsonl", "csv", "tsv"),
        dest="input_format",
        help="what INPUT holds (default: its suffix tells; else text)",
    )
    embed.add_argument(
        "--column", metavar="NAME", help="the field of JSON lines or CSV that is the text"
    )
    embed.add_argument(
        "--on-error",
        choices=("fail", "repair", "skip"),
        default="fail",
        help="what to do with lines that are empty, too long, not UTF-8 or not of the "
        "format, each of which is reported: fail, before anything is computed; repair, cut "
        "them, replace what is not UTF-8, or write no vectors, so that numbers stay those "
        "of the lines; skip, leave them out (default: %(default)s)",
    )
    embed.add_argument(
        "--max-tokens",
        type=_positive_integer,
        default=10_000,
        metavar="N",
        help="lines with more tokens are too long (default: %(default)s)",
    )


def _add_batches(embed: argparse.ArgumentParser) -> None:
    embed.add_argument(
        "--batch-size",
        type=_positive_integer,
        default=128,
        metavar="N",
        help="the most sentences to compute at once (default: %(default)s)",
    )
    embed.add_argument(
        "--token-budget",
        type=_positive_integer,
        default=16384,
        metavar="N",
        help="the most tokens to compute at once, padding included; fewer take less memory "
        "(default: %(default)s)",
    )


def _add_train(add: Callable[..., argparse.ArgumentParser]) -> None:
    train = add(
        "train",
        _train,
        "train a model on text files",
        "DIR then is a source like any other. It also keeps what is needed to go on after "
        f"an interruption (--resume) or on other texts (--init DIR). {_DOWNLOADS}",
    )
    _add_texts(train)
    train.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the model goes"
    )
    train.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="JSON: 'model', the content of an options.json, for a new model, and "
        "'training', the settings of keras_elmo.pretraining.TrainingConfig",
    )
    train.add_argument(
        "--init", metavar="SOURCE", help=f"go on from a trained model: {_SOURCE}"
    )
    train.add_argument(
        "--vocabulary",
        metavar="FILE",
        help="the words to predict, one in a line (default: those of --init if it has any, "
        "else the most frequent of the texts)",
    )
    train.add_argument(
        "--resume",
        action="store_true",
        help="go on where an earlier run into DIR stopped, if there was one",
    )
    train.add_argument(
        "--tensorboard", action="store_true", help="write logs to DIR/tensorboard"
    )
    _add_quiet(train)


def _add_evaluate(add: Callable[..., argparse.ArgumentParser]) -> None:
    evaluate = add(
        "evaluate",
        _evaluate,
        "compute a model's perplexity on text files",
        "The model needs the softmax that it was trained with, as 'keras-elmo train' "
        "writes it; released models come without.",
    )
    evaluate.add_argument("source", metavar="SOURCE", help=_SOURCE)
    _add_texts(evaluate)
    evaluate.add_argument(
        "--sentence-state",
        choices=("reset", "carried"),
        default="reset",
        help="begin each sentence in the zero state, as the layer does, or in the state "
        "that the sentence before it ended in, as bilm-tf does (default: %(default)s)",
    )
    evaluate.add_argument(
        "--batch-size",
        type=_positive_integer,
        default=32,
        metavar="N",
        help="rows of text to compute at once (default: %(default)s)",
    )
    _add_json(evaluate)


def _add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "texts",
        metavar="TEXT",
        nargs="+",
        help="a text file (.gz is unpacked), a directory with *.txt files, or a pattern; "
        "one sentence in a line, its words separated by spaces",
    )


def _positive_integer(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


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
