"""Embeds a corpus of many files on a cluster, or on all processors of this machine.

    python examples/embed_with_ray.py OUTPUT shards/*.txt --pooled --workers 2

needs no network: it starts Ray on this machine and uses "mini", the ELMo that comes with
the package. Each line is a sentence. Parquet files with a column of texts and JSON Lines
with a field of texts work as well (--column). With --address it joins a running cluster;
OUTPUT and the input files must be on a file system that all machines share.

Each input file becomes a folder OUTPUT/NAME of Parquet files, with the rows in their order.
The folder gets its name when it is complete. If a worker or a machine fails, Ray repeats
its work. If this program itself is killed, run the same command again: it resumes with the
first file that has no folder. Split your corpus into files of an hour's work at most.
"""

from __future__ import annotations

import argparse
import codecs
import gzip
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pyarrow
import ray
import ray.data

from keras_elmo.vectors import embed_dataset

RECORD = ".job.json"  # in OUTPUT: all that affects the vectors; a resumed run must match it
VECTOR_OPTIONS = ("column", "layers", "pooled", "dtype", "on_error", "max_tokens")


def main() -> None:
    args = make_parser().parse_args()
    if len({path.name for path in args.inputs}) < len(args.inputs):
        sys.exit("Two input files have the same name. Rename one of them.")
    if tables := [p for p in args.inputs if kind(p) in (".csv", ".tsv")]:
        sys.exit(f"{tables[0]} is a table. Convert it to text, JSON Lines or Parquet.")
    args.output.mkdir(parents=True, exist_ok=True)
    try:
        # The lock is released with the process, however that ends.
        with filelock.FileLock(args.output / ".lock", timeout=0):
            check_record(args)
            start_ray(args)
            for path in args.inputs:
                embed_file(path, args)
    except filelock.Timeout:
        sys.exit(f"{args.output}: another process is writing there.")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("output", type=Path, metavar="OUTPUT", help="the folder to write")
    add("inputs", type=Path, nargs="+", metavar="FILE", help=".parquet, .jsonl, or text")
    add("--source", default="mini", help="the ELMo model")
    add("--column", default="text", help="the column or field of the texts (text)")
    add("--layers", default="all", choices=("all", "top", "average", "mix"))
    add("--pooled", action="store_true", help="one vector per sentence")
    add("--dtype", default="float32", choices=("float32", "float16"))
    add("--on-error", default="fail", choices=("fail", "skip", "repair"))
    add("--max-tokens", type=int, default=10_000)
    add("--workers", type=int, help="number of workers (as many as the CPUs allow)")
    add("--cpus", type=int, default=1, help="CPUs per worker (1)")
    add("--gpus", type=float, default=0, help="GPUs per worker (0)")
    add("--address", help="a running cluster's; 'auto' on one of its machines")
    return parser


def check_record(args: argparse.Namespace) -> None:
    """Keeps vectors of different kinds, or of changed files, out of one output."""
    record = args.output / RECORD
    job = {name: getattr(args, name) for name in ("source", *VECTOR_OPTIONS)}
    job |= {f"size of {path.name}": path.stat().st_size for path in args.inputs}
    if any(not path.name.startswith(".") for path in args.output.iterdir()):
        if not record.exists():
            sys.exit(f"{args.output} holds other files. Choose another folder.")
        before = json.loads(record.read_text("utf-8"))
        if changed := [name for name in job if before.get(name, job[name]) != job[name]]:
            sys.exit(
                f"{args.output} belongs to a run with other settings; these differ: "
                f"{', '.join(changed)}. Choose another folder, or delete this one."
            )
        job = {**before, **job}
    temporary = record.with_suffix(".part")
    temporary.write_text(json.dumps(job, indent=2), "utf-8")
    temporary.replace(record)


def start_ray(args: argparse.Namespace) -> None:
    """Joins a cluster, or starts one on this machine."""
    n_cpus = None
    if args.address is None:
        args.workers = args.workers or max((os.cpu_count() or 1) // args.cpus, 1)
        # One more than the workers need, for the tasks that read and write.
        n_cpus = args.cpus * args.workers + 1
    ray.init(address=args.address, num_cpus=n_cpus)
    # The rows of a folder's files, one after the other, are then those of the input.
    ray.data.DataContext.get_current().execution_options.preserve_order = True


def embed_file(path: Path, args: argparse.Namespace) -> None:
    """Embeds a file, unless its folder exists; the folder is renamed at the end."""
    complete = args.output / path.name
    if complete.exists():
        print(f"{path}: done before")
        return
    started = time.monotonic()
    for left in args.output.glob(".unfinished-*"):
        shutil.rmtree(left, ignore_errors=True)
    vectors = embed_dataset(
        read(path, args.column),
        args.source,
        concurrency=args.workers,
        num_cpus=args.cpus,
        num_gpus=args.gpus,
        **{name: getattr(args, name) for name in VECTOR_OPTIONS},
    ).map_batches(decode, fn_args=[args.column], batch_size=None, batch_format="pyarrow")
    # A unique name: workers of a killed run may still write to theirs for a moment.
    unfinished = args.output / f".unfinished-{os.getpid()}-{time.time_ns()}"
    unfinished.mkdir()
    rows = 1 << 16 if args.pooled else None  # per file; files of token vectors have 128 MiB
    vectors.write_parquet(str(unfinished.absolute()), min_rows_per_file=rows)
    os.sync()  # otherwise a power cut could keep the new name and lose the content
    unfinished.rename(complete)
    print(f"{path}: done in {time.monotonic() - started:,.0f} s")


def kind(path: Path) -> str:
    """The suffix of a file's format, without that of its compression."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def read(path: Path, column: str) -> ray.data.Dataset:
    """The rows of a file; the lines of a text file are bytes."""
    name = str(path.absolute())
    if kind(path) == ".parquet":
        return ray.data.read_parquet(name)
    if kind(path) in (".jsonl", ".ndjson", ".json"):
        return ray.data.read_json(name, file_extensions=None)

    # Ray's own reader splits at more than line feeds and fails on invalid UTF-8.
    # A nested function, so that workers do not import this module.
    def lines(_: Any) -> Iterator[Any]:
        with (gzip.open if name.endswith(".gz") else open)(name, "rb") as file:
            if file.read(3) != codecs.BOM_UTF8:
                file.seek(0)
            while block := file.readlines(1 << 24):
                yield pyarrow.table({column: [line.rstrip(b"\r\n") for line in block]})

    return ray.data.from_items([name]).map_batches(lines)


def decode(table: Any, column: str) -> Any:
    """Decodes texts that are bytes; invalid UTF-8 is replaced."""
    texts = table.column(column)
    if texts.type not in (pyarrow.binary(), pyarrow.large_binary()):
        return table
    decoded = [text.decode("utf-8", "replace") for text in texts.to_pylist()]
    place = table.column_names.index(column)
    return table.set_column(place, column, pyarrow.array(decoded, pyarrow.string()))


if __name__ == "__main__":
    main()
