"""The arguments of ``keras-elmo embed``."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from keras_elmo.cli.shared_arguments import (
    DOWNLOADS,
    EXIT_CODES,
    SOURCE,
    Add,
    add_quiet,
    positive_integer,
    run_on_input,
)

EMBEDDING_SUFFIXES = (".hdf5", ".h5", ".npy", ".parquet")
_UNFINISHED = (
    "; 3, the disk or the memory did not suffice; 130 or 143, interrupted or terminated. "
    "After 3, 130 and 143 the same command goes on where it stopped."
)


def _embed(parser: argparse.ArgumentParser, out: Path, **arguments: Any) -> int | None:
    if out.suffix.lower() not in EMBEDDING_SUFFIXES:
        parser.error(
            f"OUTPUT must end in {', '.join(EMBEDDING_SUFFIXES)}; got {str(out)!r}"
        )
    from keras_elmo.cli.embed import embed

    return run_on_input(embed, {"out": out, **arguments})


def add_embed(add: Add) -> None:
    """Adds ``embed``."""
    embed = add(
        "embed",
        None,
        "write the vectors of a corpus to a file",
        "OUTPUT has its name when it is complete. Stopped or killed, the same command goes "
        f"on where it was. {DOWNLOADS}",
    )
    embed.epilog = EXIT_CODES.removesuffix(".") + _UNFINISHED
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
        "--source", required=True, help=f"{SOURCE}; or a saved Keras model (.keras)"
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
    add_quiet(embed)


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
        help="what to do with lines that are too long, not UTF-8 or not of the "
        "format, each of which is reported: fail, before anything is computed; repair, cut "
        "them, replace what is not UTF-8, or write no vectors, so that numbers stay those "
        "of the lines; skip, leave them out (default: %(default)s)",
    )
    embed.add_argument(
        "--max-tokens",
        type=positive_integer,
        default=10_000,
        metavar="N",
        help="lines with more tokens are too long (default: %(default)s)",
    )


def _add_batches(embed: argparse.ArgumentParser) -> None:
    embed.add_argument(
        "--batch-size",
        type=positive_integer,
        default=128,
        metavar="N",
        help="the most sentences to compute at once (default: %(default)s)",
    )
    embed.add_argument(
        "--token-budget",
        type=positive_integer,
        default=16384,
        metavar="N",
        help="the most tokens to compute at once, padding included; fewer take less memory "
        "(default: %(default)s)",
    )
