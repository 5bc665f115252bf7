"""Which of ELMo's layers does a task want? The mix that each of several tasks learns.

The layers of reviews, and of their tokens, are computed once, into files, in which an
interrupted run goes on. For each task a linear classifier is trained on their mix: with
learned weights, with equal ones, and on each layer alone. It prints weights and scores,
and draws the weights::

    python examples/layer_weights.py --data download --wnut17 wnut17
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from arguments import blaming, integer_from, require
from imdb_data import DataError, load_imdb
from imdb_sentiment import prepared, shuffled
from layer_weights_heads import LEARNED, Outcome, train
from layer_weights_plot import plot
from layer_weights_tasks import Layers, Task, named_entities, sentiment, words
from named_entities_data import ADDRESS, Sentence, read_parts

from keras_elmo import SourceError
from keras_elmo.text.reviews import Reviews, load_reviews

WORDS = 150  # of a review
HELD_OUT_PART = 0.5  # as many reviews are held out as this part of --limit
WORD_REVIEWS = (300, 100)  # whose tokens are used, to train on and held out

Parts = tuple[Reviews, Reviews]
Outcomes = dict[str, list[Outcome]]
"""The outcomes of each mix, one for each seed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Trains the heads of all tasks, prints what came out, and draws the weights.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    # What can go wrong goes wrong here, before anything is computed.
    require(parser, "matplotlib")
    with blaming(parser, "--data", DataError, OSError):
        reviews = read_reviews(args.data, args.limit)
    with blaming(parser, "--wnut17", DataError, OSError):
        sentences = read_parts(args.wnut17, None, 0) if args.wnut17 else None
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        tasks = make_tasks(args.source, reviews, sentences, args.output)
    except SourceError as error:
        parser.error(f"argument --source: {error}")
    except (ValueError, OSError) as error:
        parser.error(f"argument --output: {error}")
    results = {}
    for task in tasks:
        results[task.name] = trained(task, args.steps, range(args.seeds))
        print_task(task, results[task.name])
    save(results, args.output)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Learn the weights of ELMo's layers for several tasks."
    )
    add = parser.add_argument
    add(
        "--data",
        metavar="PATH",
        help="the IMDB reviews: aclImdb_v1.tar.gz, the directory it unpacks to, or "
        "'download' (80 MiB); without it, the few reviews that come with keras-elmo",
    )
    add(
        "--wnut17",
        type=Path,
        metavar="DIR",
        help="the directory with the files of WNUT-17, for the named entities "
        f"({ADDRESS}); without it, this task is left out",
    )
    add("--source", default="mini", help="the ELMo model (default: %(default)s)")
    add(
        "--limit",
        type=integer_from(4),
        default=2000,
        metavar="N",
        help="train on at most N reviews, and hold out at most half as many "
        "(default: %(default)s)",
    )
    add(
        "--steps",
        type=integer_from(1),
        default=1000,
        metavar="N",
        help="batches that each head is trained on (default: %(default)s)",
    )
    add(
        "--seeds",
        type=integer_from(1),
        default=3,
        metavar="N",
        help="train each head N times, with seeds 0, 1, ... (default: %(default)s)",
    )
    add(
        "--output",
        type=Path,
        default=Path("layer_weights_output"),
        metavar="DIR",
        help="where features, numbers and picture go (default: %(default)s)",
    )
    return parser


def read_reviews(data: str | None, limit: int) -> Parts:
    """Reads reviews to train on and reviews held out, in random order.

    Args:
        data: As ``--data``.
        limit: As ``--limit``.

    Returns:
        Both, cut, and taken apart into tokens.
    """
    training, held_out = load_imdb(data) if data else load_reviews()
    return (
        prepared(shuffled(training, limit, 0), WORDS),
        prepared(shuffled(held_out, int(HELD_OUT_PART * limit), 0), WORDS),
    )


def make_tasks(
    source: str,
    reviews: Parts,
    sentences: Mapping[str, Sequence[Sentence]] | None,
    folder: Path,
) -> list[Task]:
    """Computes the features of all tasks.

    Args:
        source: The ELMo model.
        reviews: To train on and held out.
        sentences: Those of WNUT-17, or ``None``.
        folder: Where the features go, or are.

    Returns:
        The tasks.
    """
    training, held_out = (
        part[0][:n].tolist() for part, n in zip(reviews, WORD_REVIEWS, strict=True)
    )
    tasks = [
        sentiment(source, reviews, folder),
        *words(source, (training, held_out), folder),
    ]
    if sentences is not None:
        tasks.append(named_entities(source, sentences, folder))
    return tasks


def trained(task: Task, n_steps: int, seeds: Sequence[int]) -> Outcomes:
    """Trains a head on each mix, once with each seed."""
    by_seed = [train(task, n_steps, seed) for seed in seeds]
    return {mix: [outcomes[mix] for outcomes in by_seed] for mix in by_seed[0]}


def print_task(task: Task, outcomes: Outcomes) -> None:
    """Prints what a task learned from, how large its layers are, its mix and scores."""
    print(
        f"\n{task.name}: {len(task.training[1]):,} to train on, "
        f"{len(task.held_out[1]):,} held out, {task.n_classes} classes"
    )
    print(f"  {'':<14}" + "".join(f"{f'layer {k}':>9}" for k in range(_depth(task))))
    print(f"  {'mean square':<14}" + _cells(mean_squares(task.training[0])))
    for seed, learned in enumerate(outcomes[LEARNED]):
        print(
            f"  {f'weights, {seed}':<14}{_cells(learned.weights)}   gamma "
            f"{learned.gamma:.3f}"
        )
    for mix, of_seeds in outcomes.items():
        scores = [outcome.score for outcome in of_seeds]
        print(
            f"  {task.measure} of {mix:<12}{np.mean(scores):>9.4f}   "
            f"({' '.join(f'{score:.4f}' for score in scores)})",
            flush=True,
        )


def _depth(task: Task) -> int:
    return task.training[0].shape[1]


def _cells(numbers: Any) -> str:
    return "".join(f"{number:>9.3f}" for number in numbers)


def mean_squares(layers: Layers) -> list[float]:
    """The mean square of each layer's numbers: a small layer needs a larger weight."""
    return [float(np.mean(np.square(layers[:, k]))) for k in range(layers.shape[1])]


def save(results: Mapping[str, Outcomes], folder: Path) -> None:
    """Writes the numbers and the picture, and says where."""
    numbers = {
        task: {
            mix: [outcome._asdict() for outcome in seeds] for mix, seeds in by_mix.items()
        }
        for task, by_mix in results.items()
    }
    text = json.dumps(numbers, indent=2) + "\n"
    (folder / "layer_weights.json").write_text(text, encoding="utf-8")
    plot(
        {task: by_mix[LEARNED] for task, by_mix in results.items()},
        folder / "layer_weights.png",
    )
    print()
    for name in ("layer_weights.json", "layer_weights.png"):
        print(f"Wrote {folder / name}")


if __name__ == "__main__":
    raise SystemExit(main())
