"""The workloads of benchmark.py: each runs its sides in turns, pair by pair."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_comparison import Comparison
from benchmark_machine import GemmRate, useful_work
from benchmark_sides import HUB_ENGINE, INCOMPARABLE, OURS, Floats, Side
from benchmark_texts import Texts, batches, count_tokens, random_letters, short_sentences
from benchmark_training import TrainingStep, job_on_features, job_through_hub, make_step
from tqdm import tqdm

from keras_elmo import ElmoConfig
from keras_elmo.text.reviews import Reviews

SHORT_SENTENCE = 6  # tokens
LOADER = Path(__file__).with_name("benchmark_load.py")
STEPS = {
    HUB_ENGINE: ("hub", "aggregation"),
    f"{OURS}, aggregation": ("native", "aggregation"),
    f"{OURS}, lstm": ("native", "lstm"),
    f"{OURS}, all": ("native", "all"),
}

Run = Sequence[Texts]
"""The batches of one measurement."""


@dataclass(frozen=True)
class Setting:
    """What the workloads share.

    Attributes:
        modules: Directories of TF1 Hub modules by their style; the first is the one that
            all workloads but loading use.
        config: The shape of their model.
        reviews: Texts and labels, to take batches from.
        pairs: How often each side is measured.
        load_pairs: How often each side loads each module in workload e.
        batch_size: Sentences in a batch.
        large_batch_size: Sentences in a batch of workload d.
        n_short: How many sentences workload c embeds one by one in a measurement.
        n_job: How many reviews workload g trains with, and how many it validates with.
        epochs: How many passes workload g takes.
        threads: TensorFlow's threads for an operation; ``None`` for all.
        seed: Makes the texts repeatable.
    """

    modules: dict[str, Path]
    config: ElmoConfig
    reviews: Reviews
    pairs: int
    load_pairs: int
    batch_size: int
    large_batch_size: int
    n_short: int
    n_job: int
    epochs: int
    threads: int | None
    seed: int

    @property
    def module(self) -> Path:
        """The module of all workloads but loading."""
        return next(iter(self.modules.values()))

    @property
    def first_sentence(self) -> str:
        """A short sentence."""
        return str(short_sentences(self.reviews[0], SHORT_SENTENCE)[0])


def in_turns(names: Sequence[str], pairs: int, title: str) -> Iterator[tuple[int, str]]:
    """Tells whose turn it is, in reversed order every second time.

    Yields:
        The number of the pair and the name of the side.
    """
    with tqdm(total=pairs * len(names), desc=title, unit=" runs") as progress:
        for pair in range(pairs):
            for name in names if pair % 2 == 0 else reversed(names):
                yield pair, name
                progress.update()


def embed_reviews(setting: Setting, sides: Sequence[Side]) -> list[Comparison]:
    """Workload a: batches of reviews."""
    size = setting.batch_size
    runs = [[b] for b in islice(batches(setting.reviews[0], size), setting.pairs)]
    return [_embed(setting, sides, "a", f"batches of {size} reviews", runs)]


def embed_letters(setting: Setting, sides: Sequence[Side]) -> list[Comparison]:
    """Workload b: sentences of 1 to 30 words of 1 to 20 random letters."""
    size = setting.batch_size
    texts = random_letters(size * setting.pairs, setting.seed)
    runs = [[b] for b in islice(batches(texts, size), setting.pairs)]
    title = f"batches of {size} sentences of random letters"
    return [_embed(setting, sides, "b", title, runs)]


def embed_short_sentences(setting: Setting, sides: Sequence[Side]) -> list[Comparison]:
    """Workload c: one short sentence at a time."""
    sentences = short_sentences(setting.reviews[0], SHORT_SENTENCE)
    numbers = np.arange(setting.pairs * setting.n_short) % len(sentences)
    singles = [sentences[i : i + 1] for i in numbers]
    runs = [singles[i :: setting.pairs] for i in range(setting.pairs)]
    title = f"{setting.n_short} sentences of {SHORT_SENTENCE} tokens, one by one"
    return [_embed(setting, sides, "c", title, runs)]


def embed_large_batches(setting: Setting, sides: Sequence[Side]) -> list[Comparison]:
    """Workload d: large batches of reviews."""
    size = setting.large_batch_size
    runs = [[b] for b in islice(batches(setting.reviews[0], size), setting.pairs)]
    return [_embed(setting, sides, "d", f"batches of {size} reviews", runs)]


def _embed(
    setting: Setting, sides: Sequence[Side], workload: str, title: str, runs: Sequence[Run]
) -> Comparison:
    # The first batch of a shape costs more.
    shapes = {_shape(batch): batch for run in runs for batch in run}
    for side in tqdm(sides, desc=f"({workload}) warm-up", unit=" sides"):
        side.timed(list(shapes.values()))
    gemm = GemmRate(setting.config)
    rate = gemm()
    by_name = {side.name: side for side in sides}
    values: dict[str, list[float]] = {side.name: [] for side in sides}
    outputs: dict[str, list[Floats]] = {side.name: [] for side in sides}
    for pair, name in in_turns(list(by_name), len(runs), f"({workload}) {title}"):
        seconds, vectors = by_name[name].timed(runs[pair])
        values[name].append(seconds)
        outputs[name] += vectors
    return Comparison(
        workload,
        title,
        "s",
        sides[0].name,
        values,
        [sum(map(count_tokens, run)) for run in runs],
        [sum(useful_work(setting.config, list(batch)) for batch in run) for run in runs],
        max(rate, gemm()),
        largest_differences(outputs),
        {"largest_output": max(float(np.abs(v).max()) for v in outputs[OURS])},
    )


def _shape(batch: Texts) -> tuple[int, int]:
    return len(batch), max(len(text.split()) for text in batch)


def largest_differences(outputs: dict[str, list[Floats]]) -> dict[str, float]:
    """How far each side's vectors are from ours, at most."""
    return {
        name: max(
            float(np.abs(a - b).max()) for a, b in zip(vectors, outputs[OURS], strict=True)
        )
        for name, vectors in outputs.items()
        if name != OURS and name not in INCOMPARABLE
    }


def load(setting: Setting, sides: Sequence[Side]) -> list[Comparison]:
    """Workload e: loading and the first sentence, each time in a fresh process."""
    return [c for style in setting.modules for c in _load(setting, style)]


def _load(setting: Setting, style: str) -> list[Comparison]:
    module = setting.modules[style]
    for path in filter(Path.is_file, module.rglob("*")):
        path.read_bytes()  # so that no side is the first to read from the disk
    found: dict[str, list[dict[str, Any]]] = {OURS: [], "hub.load": []}
    for _, name in in_turns(list(found), setting.load_pairs, f"(e) loading, {style}"):
        found[name].append(_in_fresh_process(setting, name, module))
    vectors = {name: [np.array(n["vector"]) for n in ns] for name, ns in found.items()}
    differences = largest_differences(vectors)
    comparisons = []
    for key, title, unit in (
        ("load_seconds", "loading", "s"),
        ("first_seconds", "the first sentence after that", "s"),
        ("load_gigabytes", "peak memory of loading", "GB"),
        ("first_gigabytes", "peak memory with the first sentence", "GB"),
    ):
        values = {name: [n[key] for n in numbers] for name, numbers in found.items()}
        # Not every system tells a process' peak memory.
        if values[OURS][0] is not None:
            comparison = Comparison(
                "e", f"{title}, {style}", unit, OURS, values, differences=differences
            )
            comparisons.append(comparison)
    return comparisons


def _in_fresh_process(setting: Setting, name: str, module: Path) -> dict[str, Any]:
    side = "ours" if name == OURS else "hub"
    arguments = [side, str(module), setting.first_sentence, str(setting.threads or 0)]
    result = subprocess.run(
        [sys.executable, str(LOADER), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise RuntimeError(f"loading by {name} failed: {result.stderr}")
    numbers: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return numbers


def train_steps(setting: Setting, sides: Sequence[Side]) -> list[Comparison]:
    """Workload f: training steps of the article's model."""
    texts, labels = setting.reviews
    size, subject = setting.batch_size, f"{OURS}, aggregation"
    steps: dict[str, TrainingStep] = {}
    for name, (engine, fine_tune) in tqdm(STEPS.items(), desc="(f) warm-up", unit=" sides"):
        steps[name] = make_step(setting.module, engine, fine_tune, setting.seed)
        steps[name](texts[:size], labels[:size])
    values: dict[str, list[float]] = {name: [] for name in steps}
    losses: dict[str, list[float]] = {name: [] for name in steps}
    places = np.arange(setting.pairs * size) % len(texts)
    runs = np.split(places, setting.pairs)  # (size,) each
    title = f"training steps on {size} reviews"
    for pair, name in in_turns(list(steps), setting.pairs, f"(f) {title}"):
        seconds, loss = steps[name](texts[runs[pair]], labels[runs[pair]])
        values[name].append(seconds)
        losses[name].append(loss)
    # Only these two train the same variables.
    difference = np.abs(np.subtract(losses[HUB_ENGINE], losses[subject])).max()
    tokens = [count_tokens(texts[rows]) for rows in runs]
    return [
        Comparison(
            "f",
            title,
            "s",
            subject,
            values,
            tokens,
            differences={HUB_ENGINE: float(difference)},
            details={"losses": losses},
        )
    ]


def run_job(setting: Setting, sides: Sequence[Side]) -> list[Comparison]:
    """Workload g: the article's whole job, each epoch validated."""
    texts, labels = setting.reviews
    rows = np.arange(2 * setting.n_job) % len(texts)
    training, validation = (
        (texts[part], labels[part]) for part in np.split(rows, [setting.n_job])
    )
    settings = (setting.module, training, validation, setting.epochs, setting.batch_size)
    title = (
        f"{setting.epochs} epochs on {setting.n_job} reviews, "
        f"validated with {setting.n_job} others"
    )
    jobs = {
        f"{OURS}, features once": job_on_features,
        f"{HUB_ENGINE}, every epoch": job_through_hub,
    }
    found = {}
    for _, name in in_turns(list(jobs), 1, f"(g) {title}"):
        found[name] = jobs[name](*settings, setting.seed)
    ours, theirs = found.values()
    accuracies = {name: job.accuracies for name, job in found.items()}
    return [
        Comparison(
            "g",
            title,
            "s",
            next(iter(jobs)),
            {name: [job.seconds] for name, job in found.items()},
            [setting.epochs * count_tokens(texts[rows])],
            details={
                "validation_accuracies": accuracies,
                "largest_accuracy_difference": float(
                    np.abs(np.subtract(ours.accuracies, theirs.accuracies)).max()
                ),
                "seconds_for_features": ours.features_seconds,
            },
        )
    ]


WORKLOADS: dict[str, Callable[[Setting, Sequence[Side]], list[Comparison]]] = {
    "a": embed_reviews,
    "b": embed_letters,
    "c": embed_short_sentences,
    "d": embed_large_batches,
    "e": load,
    "f": train_steps,
    "g": run_job,
}
"""The workloads by their letters."""
NEED_SIDES = frozenset("abcd")
