"""``keras-elmo embed``: the sentences of a file, or of standard input, as vectors."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_elmo.cli.arguments import (
    DOWNLOADS,
    SOURCE,
    UsageError,
    add_choice,
    add_flag,
    add_format,
    add_number,
    add_options,
    add_quiet,
    add_source,
    add_split,
    counted,
    positive_integer,
)
from keras_elmo.cli.terminal import print_rows
from keras_elmo.errors import BadLinesError

if TYPE_CHECKING:
    from keras_elmo.vectors.estimate import Estimate

SUMMARY = "write the vectors of a corpus to a file"
DETAILS = (
    "OUTPUT gets its name when it is complete. Stopped, killed, or out of disk or memory, "
    f"the same command continues where it stopped. {DOWNLOADS}"
)
EXAMPLES = (
    "texts.txt vectors.hdf5 --source mini",
    "texts.txt.gz means.parquet --source original --pooled --average",
    "reviews.csv reviews.npy --source mini --column text --split words",
    "texts.txt vectors.hdf5 --source original --dry-run",
)

SUFFIXES = (".hdf5", ".h5", ".npy", ".parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "texts",
        metavar="INPUT",
        help="a text file with a sentence in each line; JSON lines (.jsonl) or CSV (.csv, "
        ".tsv) with --column; proteins in FASTA (.fasta, .fa, .faa, .fas); words in "
        "CoNLL-U (.conllu) or columns (.conll); plain or compressed by gzip; or -, for "
        "standard input",
    )
    parser.add_argument(
        "path",
        metavar="OUTPUT",
        type=_output,
        help="HDF5 (.hdf5, .h5) as AllenNLP's command elmo wrote it, NumPy (.npy), or, "
        "with --pooled, Parquet (.parquet)",
    )
    text = f"{SOURCE}; or a saved Keras model (.keras)"
    add_source(parser, "--source", text, required=True)
    add_options(parser)
    _add_input(parser.add_argument_group("what INPUT holds"))
    _add_vectors(parser.add_argument_group("which vectors to write"))
    memory = parser.add_argument_group("memory")
    most = "the most {} to compute at once; fewer take less memory"
    add_number(memory, "--batch-size", 128, most.format("sentences"))
    add_number(memory, "--token-budget", 16384, most.format("tokens, padding included,"))
    add_flag(
        parser,
        "--dry-run",
        help="read INPUT, embed a sample, and report the size of OUTPUT and the time",
    )
    add_quiet(parser)


def _output(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(f"must end in {', '.join(SUFFIXES)}; got {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"there is no directory {str(path.parent)!r}: make it first"
        )
    return path


def _add_vectors(parser: Any) -> None:
    layers = parser.add_mutually_exclusive_group()
    parser.set_defaults(layers="all")
    for name, kept in (
        ("all", "the vectors of each layer (the default)"),
        ("top", "those of the last layer"),
        ("average", "the mean of the layers"),
        ("sum", "the sum of the layers"),
        ("mix", "the trained mix of a saved layer or TF1 Hub module"),
    ):
        what: Any = {"const": name, "dest": "layers", "help": f"keep {kept}"}
        layers.add_argument(f"--{name}", action="store_const", **what)
    parser.add_argument(
        "--pooled",
        nargs="?",
        choices=("mean", "sum"),
        const="mean",
        default=False,
        help="keep one vector for a sentence, the mean (the default) or sum of its tokens'",
    )
    add_choice(parser, "--dtype", ("float32", "float16"), help="how to store the numbers")
    keep = parser.add_mutually_exclusive_group()
    add_flag(
        keep,
        "--use-sentence-keys",
        dest="sentence_keys",
        default=None,
        help="name the datasets of an HDF5 file by their sentences, not by their numbers; "
        "those of FASTA and CoNLL-U are named by their ids, if all have one",
    )
    add_flag(keep, "--forget-sentences", help="leave the sentences out of OUTPUT")


def _add_input(parser: Any) -> None:
    add_format(parser, "INPUT")
    default = "space, character for FASTA, or that of the layer in a .keras SOURCE"
    add_split(parser, None, default)
    add_choice(
        parser,
        "--on-error",
        ("fail", "repair", "skip"),
        help="what to do with bad lines, each of which is reported: fail, before anything "
        "is computed; repair, cut lines that are too long and replace what is not UTF-8, "
        "so that numbers stay those of the lines; skip, leave them out",
    )
    parser.add_argument(
        "--max-tokens",
        type=positive_integer,
        metavar="N",
        help="texts with more tokens are too long (default: 10000, in FASTA 50000)",
    )


def run(
    texts: str,
    path: Path,
    source: str,
    options: str | None,
    dry_run: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    kind = path.suffix.lower()
    if kind == ".parquet" and not settings["pooled"]:
        raise UsageError("a Parquet file needs --pooled: its rows are of one length")
    if settings["sentence_keys"] and kind not in (".hdf5", ".h5"):
        raise UsageError(f"--use-sentence-keys is for HDF5, not {kind}")
    from rich.filesize import decimal

    from keras_elmo.vectors.compute import Job
    from keras_elmo.vectors.estimate import estimate_job
    from keras_elmo.vectors.options import Options
    from keras_elmo.vectors.vectors import embedding_layer

    job_options = Options(**settings)
    model: Any = source
    if options is not None:
        model = embedding_layer(source, job_options.output_mode, options=options)
    try:
        with _as_file(texts, path) as file:
            job = Job(model, file, path, job_options)
            if dry_run:
                print_rows(_rows(estimate_job(job)))
                return
            has_written = job.run(progress=not quiet)
    except BadLinesError as error:
        more = "" if settings["on_error"] == "repair" else "--on-error repair or "
        raise ValueError(  # the lines have been logged
            f"{counted(error.n_bad_lines, 'line')} of {texts!r} cannot be embedded "
            f"unchanged. Correct the input, or use {more}--on-error skip."
        ) from error
    if not quiet:
        lengths = job.corpus.n_tokens
        n_sentences, n_tokens = len(lengths), int(lengths.sum())
        content = f"{counted(n_sentences, 'sentence')}, {counted(n_tokens, 'token')}"
        if has_written:
            print(f"Wrote {str(path)!r} ({decimal(path.stat().st_size)}): {content}.")
        else:
            print(f"{str(path)!r} is finished ({content}). Nothing was written.")


@contextlib.contextmanager
def _as_file(corpus: str, out: Path) -> Iterator[Path]:
    """Keeps standard input in a file next to ``out``: it is read more than once."""
    if corpus != "-":
        yield Path(corpus)
        return
    from keras_elmo.vectors.files import locked

    if sys.stdin is None:
        raise ValueError("INPUT is '-', but standard input is closed. Name a file.")
    path = out.with_name(f"{out.name}.stdin")
    with locked(path):
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            yield path
        finally:
            path.unlink(missing_ok=True)


def _rows(estimate: Estimate) -> dict[str, str]:
    from rich.filesize import decimal

    return {
        "sentences": f"{estimate.n_sentences:,}",
        "tokens": f"{estimate.n_tokens:,}, {estimate.longest:,} in the longest sentence",
        "file": decimal(estimate.n_bytes),
        "room": f"{decimal(estimate.n_bytes_needed)} needed, "
        f"{decimal(estimate.n_bytes_free)} free",
        "rate": f"{estimate.tokens_per_second:,.0f} tokens/s, measured on "
        f"{estimate.n_tokens_sampled:,} here and now",
        "to do": counted(estimate.n_tokens_left, "token"),
        "time": _duration(estimate.seconds),
    }


def _duration(seconds: float) -> str:
    """A time to read: ``40 seconds``, ``2 hours 5 minutes``."""
    if round(seconds) < 60:
        return counted(round(seconds), "second")
    hours, minutes = divmod(round(seconds / 60), 60)
    parts = ((hours, "hour"), (minutes, "minute"))
    return " ".join(counted(number, unit) for number, unit in parts if number)
