"""Trains an ELMo further on your own text, and prints the perplexity before and after.

A tenth of the lines is held out. Their perplexity is computed before training and after
each pass over the others. The model of the best pass is kept: a source for
``ElmoEmbeddingLayer``::

    python examples/own_text/train_further.py my_texts/*.txt

Without arguments it uses the film reviews that come with keras-elmo.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import matplotlib.pyplot as plt

from keras_elmo import tokenize
from keras_elmo.pretraining import (
    BidirectionalLanguageModel,
    TrainingConfig,
    Vocabulary,
    Windows,
    load_language_model,
    save_language_model,
)
from keras_elmo.text.reviews import load_reviews

BATCH_SIZE = 64
WINDOW_STEPS = 24
N_SAMPLES = 2048
DROPOUT = 0.2
HELD_OUT_PART = 0.1
PERPLEXITIES = ("perplexity", "forward_perplexity", "backward_perplexity")

Sentences = list[list[str]]


def main() -> None:
    args = parse_arguments()
    if args.output.exists() and any(args.output.iterdir()):
        raise SystemExit(f"{args.output} is not empty. Choose another --output.")
    args.output.mkdir(parents=True, exist_ok=True)
    sentences = read(args.texts, args.tokenized)
    if args.held_out:
        training, held_out = sentences, read([args.held_out], args.tokenized)
    else:
        training, held_out = divide(sentences, args.seed)

    keras.utils.set_random_seed(args.seed)
    model, vocabulary = trainable_model(args.source, args.seed)
    words = set(vocabulary.words)
    for name, part in (("Training", training), ("Held out", held_out)):
        known = [token in words for tokens in part for token in tokens]
        share = 1 - sum(known) / len(known)
        print(f"{name}: {len(part):,} lines, {len(known):,} tokens, ", end="")
        # All of them are predicted as the word <UNK>.
        print(f"of which {share:.1%} are not in the vocabulary", flush=True)

    windows = Windows(model.config, vocabulary, BATCH_SIZE, WINDOW_STEPS, "reset")
    n_steps = sum(1 for _ in windows(training))
    n_held_out = sum(1 for _ in windows(held_out))
    settings = TrainingConfig(
        n_steps=args.epochs * n_steps,
        log_steps=n_steps,
        learning_rate=args.learning_rate,
        warmup_steps=n_steps // 2,
    )
    model.compile(settings.make_optimizer())

    def shuffled() -> Iterator[list[str]]:
        for epoch in itertools.count(args.seed):
            yield from random.Random(epoch).sample(training, len(training))

    measured = windows.dataset(lambda: held_out)
    before = model.evaluate(measured, steps=n_held_out, verbose=0, return_dict=True)
    # It never stops early; it restores the weights of the best epoch.
    best = keras.callbacks.EarlyStopping(
        "val_perplexity", mode="min", patience=args.epochs, restore_best_weights=True
    )
    history = model.fit(
        windows.dataset(shuffled),
        validation_data=measured,
        validation_steps=n_held_out,
        steps_per_epoch=n_steps,
        epochs=args.epochs,
        shuffle=False,  # they are shuffled already
        callbacks=[best],
        verbose=2,
    ).history
    numbers = {name: [before[name], *history[f"val_{name}"]] for name in PERPLEXITIES}
    for epoch, row in enumerate(zip(*numbers.values(), strict=True)):
        both, forward, backward = (f"{value:.2f}" for value in row)
        print(f"After {epoch} passes: {both}, forward {forward}, backward {backward}")

    save_language_model(model, vocabulary, args.output / "model")
    for name, part in (("training.txt", training), ("held_out.txt", held_out)):
        lines = "".join(" ".join(tokens) + "\n" for tokens in part)
        (args.output / name).write_text(lines, encoding="utf-8")
    plot(numbers, args.output / "perplexities.png")
    print(f"Wrote the model, the texts and perplexities.png to {args.output}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("texts", nargs="*", type=Path, help="files with one text per line")
    add("--held-out", type=Path, help="text to measure on instead of a tenth of the lines")
    add("--tokenized", action="store_true", help="spaces already separate all tokens")
    add("--source", default="mini", help="the model to start from (default: %(default)s)")
    add("--epochs", type=int, default=2, help="passes over the texts; the best is kept")
    add("--learning-rate", type=float, default=3e-4, help="the highest learning rate")
    add("--seed", type=int, default=0, help="seed of the split, the order and dropout")
    add("--output", type=Path, default=Path("own_text_output"), metavar="DIR")
    return parser.parse_args()


def read(paths: Sequence[Path], tokenized: bool) -> Sentences:
    """The tokens of each line that is not empty."""
    if paths:
        # Not splitlines: it also splits at characters that tokens contain.
        lines = [line for p in paths for line in p.read_text("utf-8").split("\n")]
    else:
        lines = [text for texts, _ in load_reviews() for text in texts]
    rows = (line.split() if tokenized else tokenize(line) for line in lines)
    return [row for row in rows if row]


def divide(sentences: Sentences, seed: int) -> tuple[Sentences, Sentences]:
    """Holds out a tenth, without the lines that also occur in the rest."""
    shuffled = random.Random(seed).sample(sentences, len(sentences))
    n_held_out = round(HELD_OUT_PART * len(sentences))
    training = shuffled[n_held_out:]
    known = set(map(tuple, training))
    held_out = [tokens for tokens in shuffled[:n_held_out] if tuple(tokens) not in known]
    if not held_out:
        raise SystemExit(
            "No lines can be held out: the text is too short, or its lines repeat. Pass "
            "more text, or --held-out."
        )
    return training, held_out


def trainable_model(
    source: str, seed: int
) -> tuple[BidirectionalLanguageModel, Vocabulary]:
    """The language model of a source, with dropout and a sampled softmax.

    It keeps its vocabulary: otherwise perplexities could not be compared.
    """
    known, vocabulary = load_language_model(source, BATCH_SIZE)
    model = BidirectionalLanguageModel(
        known.config,
        len(vocabulary),
        BATCH_SIZE,
        n_samples=N_SAMPLES if len(vocabulary) > N_SAMPLES else None,
        dropout=DROPOUT,
        seed=seed,
    )
    weights = zip(model.trainable_variables, known.trainable_variables, strict=True)
    for variable, value in weights:
        variable.assign(value)
    return model, vocabulary


def plot(numbers: dict[str, list[float]], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    styles = ("ko-", "C0s--", "C1^--")
    for (name, values), style in zip(numbers.items(), styles, strict=True):
        axes.plot(values, style, ms=5, label=name.replace("_", " "))
    axes.set(xlabel="passes over the text", ylabel="perplexity of the text held out")
    axes.set(ylim=(0, None), title="ELMo trained further on other text")
    axes.set_xticks(range(len(values)))
    axes.legend()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
