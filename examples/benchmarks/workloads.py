"""The workloads of the benchmark; each runs its sides alternately, pair by pair."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.comparison import Comparison
from benchmarks.machine import best_rates
from benchmarks.one_backend import measurements
from benchmarks.sides import (
    HUB_ENGINE,
    OURS,
    Floats,
    Peer,
    Side,
    compiled,
    hub_sides,
    onnx_sides,
)
from benchmarks.texts import (
    Texts,
    batches,
    count_tokens,
    random_letters,
    seeded_reviews,
    short_sentences,
)
from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, ScalarMix, compute_features
from keras_elmo.text.reviews import Reviews

SHORT_SENTENCE = 6  # tokens
LOADER = Path(__file__).with_name("load.py")
HIDDEN = 256


@dataclass(frozen=True)
class Setting:
    """The settings that the workloads share."""

    modules: dict[str, Path]  # by style; all workloads but loading use the first
    folder: Path  # for files
    reviews: Reviews  # the source of batches
    peers: Sequence[Peer]
    threads: int | None  # TensorFlow's threads per operation
    seed: int
    pairs: int  # how often each side is measured
    load_pairs: int  # and how often it loads each module in workload e
    batch_size: int
    large_batch_size: int  # in workload d
    small_batch_size: int  # in workloads h and i
    n_short: int  # sentences that each measurement of workload c embeds one by one
    n_job: int  # reviews that workload g trains on; it validates on as many
    epochs: int  # of workload g
    scale: Sequence[int]  # numbers of sentences in workload l

    @property
    def module(self) -> Path:
        return next(iter(self.modules.values()))

    @cached_property
    def layer(self) -> ElmoEmbeddingLayer:
        return ElmoEmbeddingLayer(self.module)

    @property
    def config(self) -> ElmoConfig:
        assert self.layer.config is not None
        return self.layer.config

    @cached_property
    def ours(self) -> Side:
        return Side(OURS, compiled(self.layer))

    @cached_property
    def sides(self) -> Sequence[Side | Peer]:
        return [self.ours, *hub_sides(self.module), *self.peers]

    def batches_of_reviews(self, size: int) -> tuple[str, list[list[Texts]]]:
        """The title, and the batches of each measurement."""
        runs = [[batch] for batch in batches(self.reviews[0], size, self.pairs)]
        return f"batches of {size} reviews", runs

    def short_sentences(self) -> tuple[str, list[list[Texts]]]:
        sentences = short_sentences(self.reviews[0], SHORT_SENTENCE)
        singles = list(batches(sentences, 1, self.pairs * self.n_short))
        runs = [singles[i :: self.pairs] for i in range(self.pairs)]
        return f"{self.n_short} sentences of {SHORT_SENTENCE} tokens, one by one", runs


def alternating(names: Sequence[str], pairs: int) -> Iterator[tuple[int, str]]:
    """Yields pair and side, in reversed order every second time."""
    for pair in range(pairs):
        for name in names if pair % 2 == 0 else reversed(names):
            yield pair, name


def embed_reviews(setting: Setting, workload: str, size: str) -> list[Comparison]:
    """Workloads a, d and h: batches of reviews."""
    title, runs = setting.batches_of_reviews(getattr(setting, size))
    return [_embed(setting, workload, title, runs, setting.sides)]


def embed_letters(setting: Setting) -> list[Comparison]:
    """Workload b: sentences of 1 to 30 words of 1 to 20 random letters."""
    size = setting.batch_size
    texts = random_letters(size * setting.pairs, setting.seed)
    runs = [[batch] for batch in batches(texts, size, setting.pairs)]
    title = f"batches of {size} sentences of random letters"
    return [_embed(setting, "b", title, runs, setting.sides)]


def embed_short_sentences(setting: Setting) -> list[Comparison]:
    """Workload c: one short sentence at a time."""
    return [_embed(setting, "c", *setting.short_sentences(), setting.sides)]


def call_bare(setting: Setting) -> list[Comparison]:
    """Workload j: calls of the layer outside of a model."""
    bare = Side("a bare call", lambda texts: setting.layer(texts).numpy())
    return _batches_and_singles(setting, "j", [setting.ours, bare])


def run_onnx(setting: Setting) -> list[Comparison]:
    """Workload k: the layer as an ONNX file."""
    sides = onnx_sides(setting.layer, setting.folder, setting.threads)
    return _batches_and_singles(setting, "k", [setting.ours, *sides])


def _batches_and_singles(
    setting: Setting, workload: str, sides: Sequence[Side]
) -> list[Comparison]:
    both = (setting.batches_of_reviews(setting.batch_size), setting.short_sentences())
    return [_embed(setting, workload, title, runs, sides) for title, runs in both]


def _embed(
    setting: Setting,
    workload: str,
    title: str,
    runs: Sequence[Sequence[Texts]],  # the batches of each measurement
    sides: Sequence[Side | Peer],
) -> Comparison:
    # The first batch of each shape takes longer.
    shapes = {(len(b), max(map(len, map(str.split, b)))): b for run in runs for b in run}
    for side in sides:
        side.timed(list(shapes.values()))
    rates = best_rates(setting.config)
    by_name = {side.name: side for side in sides}
    values: dict[str, list[float]] = {name: [] for name in by_name}
    outputs: dict[str, list[Floats]] = {name: [] for name in by_name}
    for pair, name in alternating(list(by_name), len(runs)):
        seconds, vectors = by_name[name].timed(runs[pair])
        values[name].append(seconds)
        outputs[name] += vectors
    rates = best_rates(setting.config, rates)
    largest = max(float(np.abs(v).max()) for v in outputs[OURS])
    return Comparison(
        workload,
        title,
        "s",
        values,
        [sum(map(count_tokens, run)) for run in runs],
        [sum(rates.bound(setting.config, list(batch)) for batch in run) for run in runs],
        largest_differences(outputs),
        {"largest output": largest, "best rates": str(rates)},
    )


def largest_differences(outputs: dict[str, list[Floats]]) -> dict[str, float]:
    """The largest difference of each side's vectors from ours."""
    ours = np.concatenate(outputs[OURS])
    others = {name: np.concatenate(x) for name, x in outputs.items() if name != OURS}
    return {name: float(np.abs(other - ours).max()) for name, other in others.items()}


def load(setting: Setting) -> list[Comparison]:
    """Workload e: loading and the first sentence, always in a fresh process."""
    comparisons = []
    for style, module in setting.modules.items():
        for path in filter(Path.is_file, module.rglob("*")):
            path.read_bytes()  # so that no side is the first to read from the disk
        found: dict[str, list[dict[str, Any]]] = {OURS: [], "hub.load": []}
        for _, name in alternating(list(found), setting.load_pairs):
            found[name].append(_in_fresh_process(setting, name, module))
        vectors = {name: [np.array(n["vector"]) for n in ns] for name, ns in found.items()}
        for key, title, unit in (
            ("load_seconds", "loading", "s"),
            ("first_seconds", "the first sentence after that", "s"),
            ("load_gigabytes", "peak memory of loading", "GB"),
            ("first_gigabytes", "peak memory with the first sentence", "GB"),
        ):
            values = {name: [n[key] for n in numbers] for name, numbers in found.items()}
            if values[OURS][0] is not None:  # not every system reports memory
                title = f"{title}, {style}"
                differences = largest_differences(vectors)
                comparison = Comparison("e", title, unit, values, differences=differences)
                comparisons.append(comparison)
    return comparisons


def _in_fresh_process(setting: Setting, name: str, module: Path) -> dict[str, Any]:
    sentence = str(short_sentences(setting.reviews[0], SHORT_SENTENCE)[0])
    side = "ours" if name == OURS else "hub"
    arguments = [side, str(module), sentence, str(setting.threads or 0)]
    result = subprocess.run(
        [sys.executable, str(LOADER), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
    )
    numbers: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return numbers


def train_steps(setting: Setting) -> list[Comparison]:
    """Workload f: training steps of the article's model."""
    texts, labels = setting.reviews
    size = setting.batch_size
    models: dict[str, tuple[Any, Any]] = {
        f"{OURS}, aggregation": ("native", "aggregation"),
        HUB_ENGINE: ("hub", "aggregation"),
        f"{OURS}, lstm": ("native", "lstm"),
        f"{OURS}, all": ("native", "all"),
    }
    trained = {}
    for name, (engine, fine_tune) in models.items():
        elmo: Any = ElmoEmbeddingLayer(setting.module, engine=engine, fine_tune=fine_tune)
        trained[name] = article_model(elmo, setting.seed)
        trained[name].train_on_batch(texts[:size], labels[:size])
    values: dict[str, list[float]] = {name: [] for name in models}
    losses: dict[str, list[float]] = {name: [] for name in models}
    runs = np.split(np.arange(setting.pairs * size) % len(texts), setting.pairs)
    title = f"training steps on {size} reviews"
    for pair, name in alternating(list(models), setting.pairs):
        rows, model = runs[pair], trained[name]  # rows: (size,)
        model.reset_metrics()  # otherwise the loss would be the mean over all steps
        start = time.perf_counter()
        logs = model.train_on_batch(texts[rows], labels[rows], return_dict=True)
        values[name].append(time.perf_counter() - start)
        losses[name].append(float(logs["loss"]))
    ours, hub, *_ = losses.values()  # only these two train the same variables
    difference = float(np.abs(np.subtract(ours, hub)).max())
    tokens = [count_tokens(texts[rows]) for rows in runs]
    differences = {HUB_ENGINE: difference}
    return [Comparison("f", title, "s", values, tokens, differences=differences)]


def run_job(setting: Setting) -> list[Comparison]:
    """Workload g: the article's whole job, with validation after each epoch, in two ways.

    The module's graph embeds each text in each epoch. Ours computes each text's pooled
    layers once, and trains the mix and the head on them. The models are the same, because
    mixing and mean pooling commute.
    """
    texts, labels = setting.reviews
    rows = np.arange(2 * setting.n_job) % len(texts)
    parts = [(texts[part], labels[part]) for part in np.split(rows, [setting.n_job])]

    def fit(model: keras.Model, training: Any, validation: Any) -> list[float]:
        # The reviews are already in random order, which must be the same for both.
        how = {"epochs": setting.epochs, "batch_size": setting.batch_size}
        fitted = model.fit(
            *training, validation_data=validation, shuffle=False, verbose=0, **how
        )
        return [round(float(x), 4) for x in fitted.history["val_accuracy"]]

    layer = ElmoEmbeddingLayer(setting.module, output_mode="pooled_layers")
    through_hub = article_model(
        ElmoEmbeddingLayer(setting.module, engine="hub"), setting.seed
    )
    # Our mix starts with the module's weights.
    mix = through_hub.layers[1].scalar_mix
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="keras-elmo-benchmark-") as folder:
        features = []
        for i, (some, values) in enumerate(parts):
            path = Path(folder) / f"{i}.npy"
            pooled = np.array(compute_features(layer, some, path, progress=False))
            features.append((pooled, values))  # (n, n_layers + 1, D), (n,)
    seconds_for_features = time.perf_counter() - start
    scalars = ScalarMix()
    on_features = article_model(scalars, setting.seed, features[0][0].shape[1:])
    scalars.set_weights(mix.get_weights())
    accuracies = {OURS: fit(on_features, *features)}
    ours = time.perf_counter() - start
    start = time.perf_counter()
    accuracies[HUB_ENGINE] = fit(through_hub, *parts)
    hub = time.perf_counter() - start
    details = {
        "validation accuracy": accuracies,
        "seconds for features": round(seconds_for_features, 2),
    }
    title = f"{setting.epochs} epochs on {setting.n_job} reviews, and as many to validate"
    names = (f"{OURS}, features once", f"{HUB_ENGINE}, every epoch")
    tokens = [setting.epochs * count_tokens(texts[rows])]
    seconds = {names[0]: [ours], names[1]: [hub]}
    return [Comparison("g", title, "s", seconds, tokens, details=details)]


def article_model(
    elmo: keras.layers.Layer, seed: int, shape: tuple[int, ...] | None = None
) -> keras.Model:
    """The article's model on strings or features; equal seeds give equal weights."""
    inputs = keras.Input((), dtype="string") if shape is None else keras.Input(shape)
    x = elmo(inputs)  # (batch, D)
    for i, (units, activation) in enumerate([(HIDDEN, "relu"), (1, "sigmoid")]):
        initializer = keras.initializers.GlorotUniform(seed=seed + i)
        x = keras.layers.Dense(units, activation, kernel_initializer=initializer)(x)
    model = keras.Model(inputs, x)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def train_on_backends(setting: Setting) -> list[Comparison]:
    """Workload i: forward passes and training steps of all weights on each backend.

    Each backend has a process of its own, one after the other.
    """
    runs = setting.batches_of_reviews(setting.small_batch_size)[1]
    texts = runs[0][0]
    job = {
        "options": setting.config.to_options(),
        "formulation": "keras-elmo",
        "policy": "float32",
        "batches": [texts.tolist()],
        "repeats": setting.pairs,
        "seconds": float("inf"),
    }
    rates = best_rates(setting.config)
    values: dict[str, dict[str, list[float]]] = {"forward": {}, "step": {}}
    for backend in ("tensorflow", "jax", "torch"):
        if importlib.util.find_spec(backend):
            for reply in measurements(backend, job, threads=setting.threads):
                if "error" in reply:
                    raise RuntimeError(f"{backend}: {reply['error']}")
                values[reply["mode"]][f"{OURS}, {backend}"] = reply["seconds"]
    for peer in setting.peers:
        for mode in values if peer.name.startswith("allennlp") else ():
            train = mode == "step"
            seconds = [peer.timed([texts], train)[0] for _ in range(setting.pairs + 1)]
            values[mode][peer.name] = seconds[1:]
    tokens = [count_tokens(texts)] * setting.pairs
    rates = best_rates(setting.config, rates)
    bounds = [rates.bound(setting.config, list(texts))] * setting.pairs
    title = f"{len(texts)} reviews on each backend"
    per_forward = {
        name: round(
            statistics.median(steps) / statistics.median(values["forward"][name]), 2
        )
        for name, steps in values["step"].items()
    }
    details = {"step / forward": per_forward}
    return [
        Comparison("i", f"forward, {title}", "s", values["forward"], tokens, bounds),
        # A gradient takes two more products for each of the forward pass.
        Comparison(
            *("i", f"training step, {title}", "s", values["step"], tokens),
            [3 * bound for bound in bounds],
            details=details,
        ),
    ]


def scale(setting: Setting) -> list[Comparison]:
    """Workload l: the cost of a token in ``compute_features`` of more and more sentences.

    The model is "mini": the smaller it is, the more everything else matters.
    """
    n = max(setting.scale)
    texts = seeded_reviews(n, 30, setting.seed)[0]
    lengths = np.random.default_rng(setting.seed).integers(5, 31, n)  # (n,)
    cut = [" ".join(t.split()[:k]) for t, k in zip(texts, lengths, strict=True)]
    layer = ElmoEmbeddingLayer("mini", "pooled_layers")
    values: dict[str, list[float]] = {}
    for i, size in enumerate((min(setting.scale), *setting.scale)):  # the first compiles
        start = time.perf_counter()
        path = setting.folder / f"scale{i}.npy"
        compute_features(layer, cut[:size], path, progress=False)
        seconds = time.perf_counter() - start
        path.unlink()
        values[f"{size:,} sentences"] = [1e6 * seconds / count_tokens(cut[:size])]
    costs = [cost[0] for cost in values.values()]
    details = {"highest / lowest": round(max(costs) / min(costs), 3)}
    return [Comparison("l", 'cost of a token, "mini"', "us/token", values, details=details)]


WORKLOADS: dict[str, Callable[[Setting], list[Comparison]]] = {
    "a": partial(embed_reviews, workload="a", size="batch_size"),
    "b": embed_letters,
    "c": embed_short_sentences,
    "d": partial(embed_reviews, workload="d", size="large_batch_size"),
    "e": load,
    "f": train_steps,
    "g": run_job,
    "h": partial(embed_reviews, workload="h", size="small_batch_size"),
    "i": train_on_backends,
    "j": call_bare,
    "k": run_onnx,
    "l": scale,
}
"""The workloads by their letters."""
