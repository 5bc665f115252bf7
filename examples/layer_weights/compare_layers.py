"""Compares the weights of ELMo's layers that several tasks learn.

The layers of reviews and of their tokens are computed once and written to files; an
interrupted run resumes. For each task a linear classifier is trained on a mix of the
layers with learned weights, on one with equal weights, and on each layer alone. The
program prints weights and scores, and draws the weights::

    python examples/layer_weights/compare_layers.py --data download --wnut17 wnut17

Without ``--data`` it uses the few reviews that come with keras-elmo.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from heads import LEARNED, Outcome, train
from tasks import Task, named_entities, sentiment, words

from keras_elmo import tokenize
from keras_elmo.text import load_reviews
from keras_elmo.text.imdb import load_imdb

WORDS = 150  # of a review

Outcomes = dict[str, list[Outcome]]
"""The outcomes of each mix, one for each seed."""


def main() -> None:
    args = parse_arguments()
    parts = read_reviews(args.data, args.limit)
    args.output.mkdir(parents=True, exist_ok=True)
    tasks = [
        sentiment(args.source, parts, args.output),
        *words(args.source, parts, args.output),
    ]
    if args.wnut17:
        tasks.append(named_entities(args.source, args.wnut17, args.output))

    results: dict[str, Outcomes] = {}
    for task in tasks:
        by_seed = [train(task, args.steps, seed) for seed in range(args.seeds)]
        results[task.name] = {mix: [o[mix] for o in by_seed] for mix in by_seed[0]}
        print_task(task, results[task.name])

    plot(results, args.output / "layer_weights.png")
    print(f"\nWrote {args.output / 'layer_weights.png'}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data", help="aclImdb_v1.tar.gz, the directory it unpacks to, or 'download'")
    add("--wnut17", type=Path, help="the folder of WNUT-17, for named entities")
    add("--source", default="mini", help="the ELMo model")
    add("--limit", type=int, default=2000, help="training reviews; half as many held out")
    add("--steps", type=int, default=1000, help="batches for each head")
    add("--seeds", type=int, default=3, help="number of runs per task")
    add("--output", type=Path, default=Path("layer_weights_output"), metavar="DIR")
    return parser.parse_args()


def read_reviews(data: str | None, limit: int) -> list[tuple[Any, Any]]:
    """Training and held-out texts, balanced, cut and tokenized, with their labels."""
    parts = load_imdb(data) if data else load_reviews()
    chosen = []
    for (texts, labels), n in zip(parts, (limit, limit // 2), strict=True):
        random = np.random.default_rng(0)
        order = random.permutation(len(texts))
        halves = [order[labels[order] == label][: n // 2] for label in (0, 1)]
        order = random.permutation(np.concatenate(halves))
        cut = [" ".join(tokenize(" ".join(text.split()[:WORDS]))) for text in texts[order]]
        chosen.append((cut, labels[order]))
    return chosen


def print_task(task: Task, outcomes: Outcomes) -> None:
    """Prints a task's data, the size of its layers, its mix and scores."""
    layers, labels = task.training
    print(f"\n{task.name}: {len(labels):,} to train on, ", end="")
    print(f"{len(task.held_out[1]):,} held out, {task.n_classes} classes")
    n_layers = layers.shape[1]
    print(" " * 16 + "".join(f"{f'layer {k}':>9}" for k in range(n_layers)))
    # A small layer needs a larger weight.
    squares = np.mean(np.square(layers), axis=(0, 2)).tolist()  # (n_layers + 1,)
    print(f"  {'mean square':<14}{cells(squares)}")
    for seed, learned in enumerate(outcomes[LEARNED]):
        name = f"weights, {seed}"
        print(f"  {name:<14}{cells(learned.weights)}   gamma {learned.gamma:.3f}")
    for mix, of_seeds in outcomes.items():
        scores = [outcome.score for outcome in of_seeds]
        each = " ".join(f"{score:.4f}" for score in scores)
        print(
            f"  {task.measure} of {mix:<12}{np.mean(scores):>9.4f}   ({each})", flush=True
        )


def cells(numbers: Sequence[float]) -> str:
    return "".join(f"{number:>9.3f}" for number in numbers)


def plot(results: dict[str, Outcomes], path: Path) -> None:
    """Draws the mean weights over the seeds as bars, and each seed as a dot."""
    learned = [outcomes[LEARNED] for outcomes in results.values()]
    # (tasks, seeds, layers)
    weights = np.array([[outcome.weights for outcome in seeds] for seeds in learned])
    n_tasks, n_seeds, n_layers = weights.shape
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    width = 0.8 / n_layers
    for k in range(n_layers):
        name = "layer 0, the token vectors" if k == 0 else f"layer {k}"
        places = np.arange(n_tasks) + (k - (n_layers - 1) / 2) * width
        axes.bar(places, weights[:, :, k].mean(axis=1), width, color=f"C{k}", label=name)
        axes.plot(np.repeat(places, n_seeds), weights[:, :, k].ravel(), "k.", ms=4)
    axes.axhline(1 / n_layers, color="gray", ls="--", label="equal weights, the start")
    axes.set_xticks(np.arange(n_tasks), list(results))
    axes.set(ylabel="weight in the mix", ylim=(0, 1))
    figure.legend(loc="outside lower center", ncols=n_layers + 1, frameon=False)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
