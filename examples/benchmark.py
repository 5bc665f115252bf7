"""How fast is the layer? Side by side with the TF1 Hub module's own graph.

Both compute the same output from the same strings with the same weights, in turns, in one
run. See README.md beside this file for the workloads and for what the numbers mean::

    python examples/benchmark.py --json benchmark.json --chart benchmark.png
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from arguments import blaming, integer_from, require
from benchmark_comparison import Comparison
from benchmark_machine import description, lstm_work, word_work
from benchmark_report import print_table, write_chart, write_json
from benchmark_sides import Side, make_other_sides, make_sides
from benchmark_texts import real_reviews, seeded_reviews
from benchmark_workloads import NEED_SIDES, SHORT_SENTENCE, WORKLOADS, Setting
from hub_module import Mix, Style, random_arrays, write_module
from imdb_data import DataError

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError
from keras_elmo.hub.verification import VERIFY_VARIABLE
from keras_elmo.text.reviews import Reviews

SMALL_CONFIG = ElmoConfig(
    char_dim=4, filters=((1, 8), (2, 8)), n_highway=1, dim=32, projection_dim=16
)
# Every option that --small makes smaller: in full, small.
SIZES = {
    "pairs": (5, 2),
    "load_pairs": (3, 1),
    "words": (150, 12),
    "reviews": (128, 8),
    "batch_size": (32, 4),
    "large_batch_size": (128, 8),
    "n_short": (10, 2),
    "epochs": (5, 2),
}
# An even mix is what released modules have, and other libraries without training.
MIX: Mix = (np.zeros(3, np.float32), np.float32(1))
# At these scales of the weights gates, clips and activations all have an effect. At larger
# ones the recurrence is chaotic, and differences of rounding grow.
SCALE, SMALL_SCALE = 0.03, 0.25
STYLES = {"lean graph": Style(), "weights in the graph": Style(constants=True)}


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints a table, and writes numbers and a chart.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = fill_in(parser.parse_args(argv))
    # What can go wrong goes wrong here, before the hours of measuring.
    check(parser, args)
    # Outputs are compared here anyway.
    os.environ[VERIFY_VARIABLE] = "0"
    with blaming(parser, "--data", DataError, OSError):
        reviews = load_reviews(args)
    with tempfile.TemporaryDirectory(prefix="keras-elmo-benchmark-") as folder:
        with blaming(parser, "--module", SourceError, OSError):
            modules, layer = provide_modules(args, Path(folder))
        run(args, reviews, modules, layer, Path(folder))
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Compare this layer with a TF1 Hub module's own graph, pair by pair."
    )
    add = parser.add_argument
    add(
        "--module",
        type=Path,
        metavar="DIR",
        help="a TF1 Hub module; made there by seeded code if it does not exist (default: "
        "one of the original size in a temporary directory)",
    )
    add(
        "--data",
        metavar="PATH",
        help="the IMDB reviews: aclImdb_v1.tar.gz, the directory it unpacks to, or "
        "'download' (80 MiB); without it, texts like them made by seeded code",
    )
    add("--small", action="store_true", help="a tiny model and few texts: a quick run")
    add(
        "--workloads",
        type=_workloads,
        default="".join(WORKLOADS),
        metavar="LETTERS",
        help="which workloads, such as a,c (default: all)",
    )
    for name, lowest, what in (
        ("pairs", 1, "how often each side is measured"),
        ("words", SHORT_SENTENCE, "tokens to keep of a review"),
        ("reviews", 1, "reviews that workload g trains with, and as many to validate"),
    ):
        full, small = SIZES[name]
        text = f"{what} (default: {full}, or {small} with --small)"
        add(f"--{name}", type=integer_from(lowest), metavar="N", help=text)
    add(
        "--threads",
        type=integer_from(1),
        metavar="N",
        help="threads of an operation (default: all)",
    )
    add(
        "--seed",
        type=integer_from(0),
        default=0,
        metavar="N",
        help="makes weights and texts repeatable (default: %(default)s)",
    )
    add("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    add("--chart", type=Path, metavar="FILE", help="draw the ratios to a PNG file")
    return parser


def _workloads(text: str) -> str:
    letters = text.replace(",", "").replace(" ", "")
    if not letters or not set(letters) <= set(WORKLOADS):
        raise argparse.ArgumentTypeError(
            f"must be letters from {', '.join(WORKLOADS)}, not {text!r}"
        )
    return "".join(sorted(set(letters)))


def fill_in(args: argparse.Namespace) -> argparse.Namespace:
    """Sets what the command line left open, as far as it depends on ``--small``."""
    for name, sizes in SIZES.items():
        if getattr(args, name, None) is None:
            setattr(args, name, sizes[args.small])
    return args


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Ends the program where it could not come to its end later on."""
    if args.chart is not None:
        require(parser, "matplotlib")
    for name in ("json", "chart"):
        path = getattr(args, name)
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            parser.error(f"argument --{name}: cannot write a file {str(path)!r}")
    if args.threads is not None:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(args.threads)
        except RuntimeError as error:
            parser.error(f"argument --threads: TensorFlow has begun already: {error}")


def load_reviews(args: argparse.Namespace) -> Reviews:
    """Reads or makes as many reviews as the workloads take."""
    n = max(2 * args.reviews, args.pairs * args.large_batch_size)
    if args.data is not None:
        return real_reviews(args.data, n, args.words, args.seed)
    return seeded_reviews(n, args.words, args.seed)


def provide_modules(
    args: argparse.Namespace, folder: Path
) -> tuple[dict[str, Path], ElmoEmbeddingLayer]:
    """Finds or makes the modules.

    Args:
        args: The command line.
        folder: Where modules may go that are not to be kept.

    Returns:
        Directories by style, the one to measure with first, and a layer with its weights.

    Raises:
        SourceError: There is no module where ``--module`` says.
        OSError: A file cannot be written or read.
    """
    config, scale = (SMALL_CONFIG, SMALL_SCALE) if args.small else (ElmoConfig(), SCALE)
    lean, full = STYLES
    module = args.module or folder / "module"
    if module.exists():
        if not (module / "saved_model.pb").is_file():
            raise SourceError(f"{str(module)!r} is no TF1 Hub module.")
        modules = {str(module): module}
    else:
        print(f"Making a TF1 Hub module of {config.n_parameters:,} parameters", flush=True)
        arrays = random_arrays(config, args.seed, scale)
        modules = {lean: write_module(module, config, arrays, STYLES[lean], MIX)}
    layer = ElmoEmbeddingLayer(module)
    assert layer.config is not None
    if "e" in args.workloads:
        arrays = random_arrays(layer.config, args.seed, scale)
        modules[full] = write_module(
            folder / "large", layer.config, arrays, STYLES[full], MIX
        )
    return modules, layer


def run(
    args: argparse.Namespace,
    reviews: Reviews,
    modules: dict[str, Path],
    layer: ElmoEmbeddingLayer,
    folder: Path,
) -> None:
    """Runs the workloads and reports what they measure."""
    assert layer.config is not None
    setting = Setting(
        modules=modules,
        config=layer.config,
        reviews=reviews,
        pairs=args.pairs,
        load_pairs=args.load_pairs,
        batch_size=args.batch_size,
        large_batch_size=args.large_batch_size,
        n_short=args.n_short,
        n_job=args.reviews,
        epochs=args.epochs,
        threads=args.threads,
        seed=args.seed,
    )
    sides: list[Side] = []
    left_out: dict[str, str] = {}
    if NEED_SIDES & set(args.workloads):
        sides = make_sides(setting.module)
        others, left_out = make_other_sides(
            layer, folder / "hdf5", args.large_batch_size, args.threads
        )
        sides += others
    for name, why in left_out.items():
        print(f"Without {name}: {why}")
    comparisons: list[Comparison] = []
    try:
        for letter in args.workloads:
            comparisons += WORKLOADS[letter](setting, sides)
    finally:
        for side in sides:
            side.close()
    report(args, setting, comparisons, left_out)


def report(
    args: argparse.Namespace,
    setting: Setting,
    comparisons: Sequence[Comparison],
    left_out: dict[str, str],
) -> None:
    """Prints the table, and writes the files that were asked for."""
    machine = description()
    model: dict[str, Any] = {
        "options": setting.config.to_options(),
        "parameters": setting.config.n_parameters,
        "multiply_adds_per_step": lstm_work(setting.config),
        "multiply_adds_of_a_word_of_5_letters": word_work(setting.config, 7),
    }
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
    about = {
        "machine": machine,
        "model": model,
        "settings": settings,
        "left_out": left_out,
    }
    print()
    for name, value in machine.items():
        print(f"{name}: {value}")
    print_table(comparisons)
    if args.json is not None:
        write_json(args.json, about, comparisons)
        print(f"Wrote {args.json}")
    if args.chart is not None:
        heading = (
            f"keras-elmo {machine['keras_elmo']}, {model['parameters'] / 1e6:.3g} million "
            f"parameters, {machine['cores']} cores of {machine['processor']}"
        )
        write_chart(args.chart, comparisons, heading)
        print(f"Wrote {args.chart}")


if __name__ == "__main__":
    raise SystemExit(main())
