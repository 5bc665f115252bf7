"""Fine-tunes all of ELMo on the sentiment of IMDB reviews.

ELMo is trained together with a linear classifier on the mean and the maximum over the
tokens of all layers. Each epoch leaves out another fifth of the words. The trained ELMo is
a source for ``ElmoEmbeddingLayer``::

    python examples/imdb/fine_tune.py aclImdb_v1.tar.gz --output tuned
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_elmo import ElmoEmbeddingLayer, text_dataset
from keras_elmo.text.imdb import load_imdb

# The classifier's inputs are normalized by the spread of this many reviews' features.
REVIEWS_TO_MEASURE = 2000


def main() -> None:
    args = make_parser().parse_args()
    keras.utils.set_random_seed(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    halves = []
    for texts, labels in load_imdb(args.data):
        order = np.random.default_rng(args.seed).permutation(len(texts))[: args.limit]
        cut = [" ".join(text.split()[: args.words]) for text in texts[order]]
        halves.append((cut, labels[order]))
    (reviews, labels), test = halves
    n = max(1, round(len(reviews) / 10))
    settings = {"batch_size": args.batch_size, "group_by_length": True, "split": "words"}
    has_strings = keras.backend.backend() == "tensorflow"
    elmo = ElmoEmbeddingLayer(
        args.source,
        output_mode="layers",
        input_mode="sentences" if has_strings else "character_ids",
        fine_tune="all",
    )
    shape = () if has_strings else (None, elmo.max_characters_per_token)
    review = keras.Input(shape, dtype="string" if has_strings else "int32")
    pooled = MeanAndMaximum()(elmo(review))  # (batch, features)
    features = keras.Model(review, pooled)
    normalization = keras.layers.Normalization()
    sample = text_dataset(reviews[n : n + REVIEWS_TO_MEASURE], **settings)
    normalization.adapt(features.predict(sample))
    x = keras.layers.Dropout(args.dropout)(normalization(pooled))
    x = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros")(x)
    model = keras.Model(review, x)

    # The learning rate rises for a tenth of the steps, then falls to zero.
    n_steps = args.epochs * math.ceil((len(reviews) - n) / args.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, n_steps - n_steps // 10),
        warmup_target=args.learning_rate,
        warmup_steps=max(1, n_steps // 10),
    )
    model.compile(
        keras.optimizers.Adam(rate, beta_2=0.99, global_clipnorm=1.0),
        "binary_crossentropy",
        metrics=["accuracy"],
    )
    validation = text_dataset(reviews[:n], labels[:n], **settings)
    random = np.random.default_rng(args.seed)
    history: dict[str, list[float]] = {}
    for epoch in range(args.epochs):
        # Other words are missing in each epoch, so that no single one decides.
        kept = [
            " ".join(word for word in text.split() if random.random() >= args.word_dropout)
            for text in reviews[n:]
        ]
        training = text_dataset(
            kept, labels[n:], shuffle=True, seed=args.seed + epoch, **settings
        )
        fitted = model.fit(
            training,
            validation_data=validation,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,  # the dataset shuffles itself
        )
        for name, values in fitted.history.items():
            history.setdefault(name, []).extend(values)
    accuracy = model.evaluate(text_dataset(*test, **settings), return_dict=True)["accuracy"]
    print(f"Test accuracy: {accuracy:.4f} on {len(test[0]):,} reviews")
    elmo.save_hdf5(args.output)
    numbers = json.dumps({**history, "test_accuracy": accuracy}, indent=2)
    (args.output / "history.json").write_text(numbers + "\n", encoding="utf-8")
    print(f"Wrote the trained ELMo and history.json to {args.output}")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Fine-tune all of an ELMo on the sentiment of IMDB reviews.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("data", help="aclImdb_v1.tar.gz, the directory it unpacks to, or 'download'")
    add("--source", default="mini", help="the ELMo model to start from")
    add("--words", type=int, default=150, help="words to keep of a review")
    add("--limit", type=int, metavar="N", help="at most N reviews of each half")
    add("--epochs", type=int, default=3)
    add("--batch-size", type=int, default=64)
    add("--learning-rate", type=float, default=5e-4, help="the highest learning rate")
    add("--dropout", type=float, default=0.5, help="dropout rate of the features")
    add("--word-dropout", type=float, default=0.2, help="share of words left out")
    add("--seed", type=int, default=0, help="seed of the order and of dropout")
    add("--output", type=Path, default=Path("imdb_fine_tuned"), metavar="DIR")
    return parser


class MeanAndMaximum(keras.layers.Layer):
    """The mean and the maximum over the tokens of all layers.

    Takes ``"layers"`` (batch, time, n_layers + 1, D) with their mask, and returns
    (batch, 2 * (n_layers + 1) * D).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True  # it takes a mask, and passes none on

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None

    def call(self, layers: Any, mask: Any = None) -> Any:
        # The maximum of a review without tokens is zeros.
        batch, time = ops.shape(layers)[:2]
        x = ops.reshape(layers, (batch, time, layers.shape[2] * layers.shape[3]))
        mask = ops.expand_dims(mask, -1)  # (batch, time, 1)
        n_tokens = ops.sum(ops.cast(mask, x.dtype), axis=1)  # (batch, 1)
        mean = ops.sum(x, axis=1) / ops.maximum(n_tokens, 1)  # padding is zeros
        highest = ops.max(ops.where(mask, x, -1e4), axis=1)  # (batch, features)
        return ops.concatenate([mean, ops.where(n_tokens > 0, highest, 0)], axis=-1)


if __name__ == "__main__":
    main()
