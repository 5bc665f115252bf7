"""Embeds a corpus of many files on a cluster, or on all processors of this machine.

    python examples/embed_with_ray.py OUTPUT shards/*.txt --pooled --workers 2

needs no connection: it starts Ray on this machine, and uses "mini", the ELMo that comes
with the package. Each line is a sentence. Parquet files with a column of texts, and JSON
lines with such a field, do as well (--column); lines may be compressed by gzip. With
--address it uses a cluster that runs; OUTPUT and the files must be on a file system that
all its machines share.

Each input file becomes a folder OUTPUT/NAME of Parquet files, with the rows in their order.
It gets that name when it is complete. Ray does again what a worker or a machine was at when
it died. Where this program itself dies, the same command goes on with the first file that
has no folder. So what can be lost is the work on one file: make many of them, of what takes
an hour at most.
"""

from __future__ import annotations

import argparse
import codecs
import gzip
import json
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import filelock
import pyarrow
import ray
import ray.data
import ray.exceptions
from arguments import integer_from

from keras_elmo.text.sentences import OnError
from keras_elmo.vectors import embed_dataset
from keras_elmo.vectors.options import DTYPES, Layers

RECORD = ".job.json"  # in OUTPUT: what was asked for, and the sizes of the files
# Whatever changes the vectors. The rest may differ between runs on the same output.
VECTOR_OPTIONS = ("column", "layers", "pooled", "dtype", "on_error", "max_tokens")
ROWS_IN_A_FILE = 1 << 16  # pooled; files of token vectors have about 128 MiB


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="the folder to write")
    parser.add_argument(
        "inputs",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="Parquet (.parquet), JSON lines (.jsonl, .json), else plain text",
    )
    parser.add_argument("--source", default="mini", help="what ElmoEmbeddingLayer takes")
    parser.add_argument("--column", default="text", help="where the texts are (text)")
    parser.add_argument("--layers", default="all", choices=get_args(Layers))
    parser.add_argument("--pooled", action="store_true", help="a vector for a sentence")
    parser.add_argument("--dtype", default="float32", choices=DTYPES)
    parser.add_argument("--on-error", default="fail", choices=get_args(OnError))
    parser.add_argument("--max-tokens", type=integer_from(1), default=10_000)
    parser.add_argument(
        "--workers",
        type=integer_from(1),
        help="how many (as many as this machine has CPUs for; on a cluster, as Ray Data "
        "sees fit)",
    )
    parser.add_argument(
        "--cpus", type=integer_from(1), default=1, help="of each worker (1)"
    )
    parser.add_argument("--gpus", type=float, default=0, help="of each worker (0)")
    parser.add_argument(
        "--address", help="of a running cluster, 'auto' on one of its machines"
    )
    args = parser.parse_args(argv)
    if args.workers is None and args.address is None:
        args.workers = max((os.cpu_count() or 1) // args.cpus, 1)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Embeds those of the files that are not done yet."""
    args = parsed(argv)
    try:
        check_inputs(args.inputs)
        if args.output.exists() and not args.output.is_dir():
            raise ValueError(f"{args.output} is a file; OUTPUT must be a folder.")
        args.output.mkdir(parents=True, exist_ok=True)
        # The lock ends with the process, however that ends.
        with filelock.FileLock(args.output / ".lock", timeout=0):
            check_same_job(args)
            start_ray(args)
            for path in args.inputs:
                try:
                    embed_file(path, args)
                except (ray.exceptions.RayError, OSError, ValueError) as error:
                    raise ValueError(f"{path}: {reason(error)}") from error
    except filelock.Timeout:
        sys.exit(f"{args.output}: another process is writing there.")
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    return 0


def check_inputs(paths: Sequence[Path]) -> None:
    """Checks that all are there, and that each has a name of its own."""
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {str(path)!r}.")
        if kind(path) in (".csv", ".tsv"):
            raise ValueError(
                f"{str(path)!r} is a table. Make lines, JSON lines or Parquet of it."
            )
        if path.name.startswith("."):
            raise ValueError(
                f"{str(path)!r} begins with a dot, as this program's own files do. Give it "
                "another name."
            )
    names = [path.name for path in paths]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"Several files have the same name: {', '.join(sorted(twice))}.")


def check_same_job(args: argparse.Namespace) -> None:
    """Keeps vectors of different kinds, or of changed files, from meeting in one output."""
    record = args.output / RECORD
    options: dict[str, Any] = {name: getattr(args, name) for name in VECTOR_OPTIONS}
    options["source"] = args.source
    sizes = {path.name: path.stat().st_size for path in args.inputs}
    found = [path.name for path in args.output.iterdir() if not path.name.startswith(".")]
    if found and not record.exists():
        raise ValueError(
            f"{args.output} holds something else: {', '.join(found)[:100]}. Name another "
            "folder."
        )
    if found:
        try:
            before = json.loads(record.read_text("utf-8"))
            changed = [name for name in options if before["options"][name] != options[name]]
            changed += [n for n in sizes if before["bytes"].get(n, sizes[n]) != sizes[n]]
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{record} is damaged. Name another folder.") from error
        if changed:
            raise ValueError(
                f"{args.output} was begun with something else; these differ: "
                f"{', '.join(changed)}. Name another folder, or delete it."
            )
        sizes = {**before["bytes"], **sizes}
    temporary = record.with_suffix(".part")
    temporary.write_text(
        json.dumps({"options": options, "bytes": sizes}, indent=2), "utf-8"
    )
    temporary.replace(record)


def start_ray(args: argparse.Namespace) -> None:
    """Joins a cluster, or makes one of this machine."""
    if not ray.is_initialized():
        cpus = None
        if args.address is None:
            # One more than the workers', for those who read and write: they wait mostly.
            cpus = args.cpus * args.workers + 1
        ray.init(address=args.address, num_cpus=cpus)
    # The rows of a folder's files, one after the other, are then those of the input.
    ray.data.DataContext.get_current().execution_options.preserve_order = True


def embed_file(path: Path, args: argparse.Namespace) -> None:
    """Embeds a file, unless that is done, and gives the vectors their name at the end."""
    complete = args.output / path.name
    if complete.exists():
        print(f"{path}: done before")
        return
    started = time.monotonic()
    vectors = embed_dataset(
        read(path, args.column),
        args.source,
        concurrency=args.workers,
        num_cpus=args.cpus,
        num_gpus=args.gpus,
        **{name: getattr(args, name) for name in VECTOR_OPTIONS},
    )
    vectors = with_strings(vectors, args.column)
    for left in args.output.glob(".unfinished-*"):
        shutil.rmtree(left, ignore_errors=True)
    # A name of its own: workers of a run that died may write to theirs for a moment yet.
    unfinished = args.output / f".unfinished-{uuid.uuid4().hex}"
    unfinished.mkdir()
    try:
        vectors.write_parquet(
            str(unfinished.absolute()),
            min_rows_per_file=ROWS_IN_A_FILE if args.pooled else None,
        )
        os.sync()  # else a power cut might leave the name, and take the content
        unfinished.rename(complete)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    print(f"{path}: done in {time.monotonic() - started:,.0f} s")


def kind(path: Path) -> str:
    """The suffix that tells what is in a file, compressed or not."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def read(path: Path, column: str) -> ray.data.Dataset:
    """The rows of a file; the lines of a text as bytes."""
    name = str(path.absolute())
    if kind(path) == ".parquet":
        return ray.data.read_parquet(name)
    if kind(path) in (".jsonl", ".ndjson", ".json"):
        return ray.data.read_json(name, file_extensions=None)

    # Ray's own reader ends lines at more than line feeds, and ends at what is not UTF-8.
    # Within this function, so that workers need neither this module nor keras-elmo for it.
    def lines(_: Any) -> Iterator[Any]:
        with (gzip.open if name.endswith(".gz") else open)(name, "rb") as file:
            if file.read(3) != codecs.BOM_UTF8:
                file.seek(0)
            while block := file.readlines(1 << 24):
                yield pyarrow.table({column: [line.rstrip(b"\r\n") for line in block]})

    return ray.data.from_items([name]).map_batches(lines)


def with_strings(vectors: ray.data.Dataset, column: str) -> ray.data.Dataset:
    """Decodes texts that are bytes; where they are repaired, they need not be UTF-8."""

    def decode(table: Any) -> Any:
        texts = table.column(column)
        if texts.type not in (pyarrow.binary(), pyarrow.large_binary()):
            return table
        decoded = [text.decode("utf-8", "replace") for text in texts.to_pylist()]
        place = table.column_names.index(column)
        return table.set_column(place, column, pyarrow.array(decoded, pyarrow.string()))

    return vectors.map_batches(decode, batch_size=None, batch_format="pyarrow")


def reason(error: Exception) -> str:
    """What went wrong in a worker, without the calls that led there, and Ray's advice."""
    text = str(getattr(error, "cause", error))
    text = re.split(r"^[\w.]*Error: ", text, flags=re.MULTILINE)[-1]
    return re.split(r"\nFailed to [\w ]+ after \d+/\d+ attempts", text)[0].strip()


if __name__ == "__main__":
    raise SystemExit(main())
