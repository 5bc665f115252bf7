"""Trains a tagger of named entities on ELMo's layers, on the WNUT-17 data.

ELMo's layers are computed once and written to files; an interrupted run resumes. A mix of
them, a BiLSTM and a softmax are trained on these files. For comparison, the same tagger is
trained on a word embedding that is learned from the training sentences::

    python examples/named_entities/train_tagger.py --data wnut17 "Anna flew to Berlin ."
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import matplotlib.pyplot as plt
import numpy as np
from entities import FILES, Score, Sentence, entities, read_sentences, score_tags
from taggers import UNKNOWN, elmo_tagger, token_model, word_tagger

from keras_elmo import ElmoEmbeddingLayer, compute_features, tokenize
from keras_elmo.training import feature_dataset

LEARNING_RATE = 2e-3
BATCH_SIZE = 32
LEAST_COUNT = 2  # of words in the vocabulary; rarer ones train the unknown word

Results = dict[str, dict[str, dict[str, Score]]]
"""Scores by tagger, part ("dev" or "test") and kind of entity."""


def main() -> None:
    args = parse_arguments()
    parts = {part: read_sentences(args.data / name) for part, name in FILES.items()}
    for part, sentences in parts.items():
        n_tokens = sum(len(sentence.tokens) for sentence in sentences)
        n_entities = sum(len(entities(sentence.tags)) for sentence in sentences)
        counts = f"{n_tokens:,} tokens, {n_entities:,} entities"
        print(f"{part}: {len(sentences):,} sentences, {counts}")

    layer = ElmoEmbeddingLayer(args.source, "layers", trainable=False)
    args.output.mkdir(parents=True, exist_ok=True)
    features = {}
    for part, sentences in parts.items():
        texts = [" ".join(sentence.tokens) for sentence in sentences]
        path = args.output / f"{part}.npy"
        # Half precision keeps three digits.
        features[part] = compute_features(layer, texts, path, dtype="float16")

    tags = {tag for sentence in parts["train"] for tag in sentence.tags}
    tag_names = ["O", *sorted(tags - {"O"})]
    frequencies = Counter(token for s in parts["train"] for token in s.tokens)
    words = [word for word, count in frequencies.most_common() if count >= LEAST_COUNT]
    keras.utils.set_random_seed(args.seed)
    size = (layer.n_layers + 1, layer.output_dim)
    taggers = {
        "ELMo": elmo_tagger(size, len(tag_names)),
        "learned embedding": word_tagger(len(words), layer.output_dim, len(tag_names)),
    }

    results: Results = {}
    for name, tagger in taggers.items():
        print(f"\nTraining the tagger on: {name}")
        data = {}
        for part, sentences in parts.items():
            rows = labels(sentences, words, tag_names)
            seed = args.seed if part == "train" else None
            data[part] = batches(features[part], rows, name != "ELMo", seed)
        train(tagger, data["train"], data["dev"], parts["dev"], tag_names, args.epochs)
        results[name] = {}
        for part in ("dev", "test"):
            found = predict(tagger, data[part], parts[part], tag_names)
            results[name][part] = score_tags(parts[part], found)
    print_results(results)

    model = token_model(args.source, taggers["ELMo"])
    model.save(args.output / "tagger.keras")
    plot(results, args.output / "f1.png")
    print(f"\nWrote tagger.keras and f1.png to {args.output}")
    if args.sentence:
        print_entities(args.output / "tagger.keras", args.sentence, tag_names)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("sentence", nargs="?", help="a sentence for the saved tagger")
    add("--data", type=Path, required=True, metavar="DIR", help="the files of WNUT-17")
    add("--source", default="mini", help="the ELMo model (default: %(default)s)")
    add("--epochs", type=int, default=15, help="the best one on dev is kept")
    add("--seed", type=int, default=0, help="seed of the initial weights and the order")
    add("--output", type=Path, default=Path("named_entities_output"), metavar="DIR")
    return parser.parse_args()


def labels(
    sentences: Sequence[Sentence], words: Sequence[str], tag_names: Sequence[str]
) -> list[list[tuple[int, int]]]:
    """The ids of each token's word and tag; unknown tags count as O."""
    word_ids = {word: i for i, word in enumerate(words, UNKNOWN + 1)}
    tag_ids = {tag: i for i, tag in enumerate(tag_names)}
    return [
        [(word_ids.get(w, UNKNOWN), tag_ids.get(t, 0)) for w, t in zip(*s, strict=True)]
        for s in sentences
    ]


def batches(features: Any, rows: Sequence[Any], on_words: bool, seed: int | None) -> Any:
    """Batches of layers or word ids, and of tag ids; both taggers get the same batches.

    With a seed, sentences are shuffled and grouped by length.
    """
    other = seed is not None
    order: Any = {"group_by_length": other, "shuffle": other, "seed": seed}
    data = feature_dataset(features, token_labels=rows, batch_size=BATCH_SIZE, **order)
    if on_words:
        return data.map(lambda layers, ids: (ids[..., 0], ids[..., 1]))
    return data.map(lambda layers, ids: (layers, ids[..., 1]))


def train(
    tagger: keras.Model,
    data: Any,
    dev: Any,
    sentences: Sequence[Sentence],
    tag_names: Sequence[str],
    n_epochs: int,
) -> None:
    """Trains a tagger and restores the weights of its best epoch on ``dev``."""
    # Keras leaves masked steps, which are padding, out of the loss.
    tagger.compile(keras.optimizers.Adam(LEARNING_RATE), "sparse_categorical_crossentropy")
    best, weights = -1.0, tagger.get_weights()
    for epoch in range(n_epochs):
        history = tagger.fit(data, shuffle=False, verbose=0)  # the dataset shuffles itself
        found = predict(tagger, dev, sentences, tag_names)
        f1 = score_tags(sentences, found)["all entities"].f1
        loss = history.history["loss"][0]
        print(f"Epoch {epoch + 1}: loss {loss:.4f}, F1 on dev {f1:.4f}", flush=True)
        if f1 >= best:
            best, weights = f1, tagger.get_weights()
    tagger.set_weights(weights)


def predict(
    tagger: keras.Model, data: Any, sentences: Sequence[Sentence], tag_names: Sequence[str]
) -> list[list[str]]:
    """The most probable tag of each token."""
    rows: list[Any] = []
    for inputs, _ in data:
        rows.extend(tagger.predict_on_batch(inputs).argmax(axis=-1))  # (time,) each
    return [
        [tag_names[number] for number in row[: len(sentence.tokens)]]
        for row, sentence in zip(rows, sentences, strict=True)
    ]


def print_results(results: Results) -> None:
    for part in ("dev", "test"):
        print(f"\n{part:<24}" + "".join(f"{name:^32}" for name in results).rstrip())
        print(" " * 24 + f"{'precision':>12}{'recall':>10}{'F1':>10}" * len(results))
        tables = [by_part[part] for by_part in results.values()]
        for kind in tables[0]:
            cells = "".join("{:>12.4f}{:>10.4f}{:>10.4f}".format(*t[kind]) for t in tables)
            print(f"{kind:<24}{cells}")


def plot(results: Results, path: Path) -> None:
    """Draws F1 by kind of entity as bars, a panel for each part."""
    figure, both_axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for axes, part in zip(both_axes, ("dev", "test"), strict=True):
        for i, (name, by_part) in enumerate(results.items()):
            scores = by_part[part]
            kinds = [f"{kind} ({score.n_entities:,})" for kind, score in scores.items()]
            places = np.arange(len(kinds)) + 0.4 * i
            bars = axes.barh(places, [s.f1 for s in scores.values()], 0.4, label=name)
            axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
            axes.set_yticks(places - 0.2, kinds)
        axes.invert_yaxis()  # all entities on top
        axes.set(title=f"{part} sentences", xlabel="F1 of entities", xlim=(0, 1))
    both_axes[0].legend(loc="lower right")
    figure.savefig(path, dpi=100)


def print_entities(path: Path, sentence: str, tag_names: Sequence[str]) -> None:
    """Loads the saved tagger, which needs only its file."""
    model = keras.saving.load_model(path)
    tokens = tokenize(sentence)
    batch = keras.ops.convert_to_tensor([tokens], dtype="string")  # (1, time)
    numbers = model.predict_on_batch(batch)[0].argmax(axis=-1)  # (time,)
    found = [
        f"{' '.join(tokens[entity.start : entity.end])} ({entity.kind})"
        for entity in entities(tag_names[number] for number in numbers)
    ]
    print(f"The saved tagger on {sentence!r}: {', '.join(found) or 'no entities'}")


if __name__ == "__main__":
    main()
