"""Trains a Siamese network that returns the similarity of two texts.

It learns without labels: film reviews are cut in two, and each first half must find its
second half among those of its batch. ELMo's pooled layers are computed once and written to
files. A mix of them and a projection are trained on these files in a minute, and joined
with ELMo into one model that takes two strings. The model is saved, loaded and used::

    python examples/similar_texts/siamese.py --data download

Without ``--data`` it uses the few reviews that come with keras-elmo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from halves import (
    Floats,
    Pair,
    half_features,
    make_parser,
    plot,
    print_table,
    read_halves,
    retrieval,
    similarities,
    tfidf_similarities,
)
from keras import layers, ops

from keras_elmo import ElmoEmbeddingLayer, ScalarMix
from keras_elmo.training import join_head

# Chosen on the validation reviews.
BATCH_SIZE = 256
TEMPERATURE = 0.05
LEARNING_RATE = 1e-4
WEIGHT_DECAY = 0.01
DROPOUT = 0.5
RIDGE = 0.1  # added to the covariance within reviews, relative to the mean variance
VALIDATION_PART = 0.1

TEXTS = ["The music is lovely.", "I bought the soundtrack."]
START, AFTER = "projection before training", "after training"


def main() -> None:
    parser = make_parser(__doc__.split("\n")[0])
    add = parser.add_argument
    add("--compare", nargs=2, default=TEXTS, help="two texts for the saved model")
    add("--epochs", type=int, default=10, help="the best one on validation reviews is kept")
    add("--size", type=int, default=512, help="of the vectors, at most ELMo's")
    args = parser.parse_args()
    reference, test = read_halves(args)
    layer = ElmoEmbeddingLayer(args.source, "pooled_layers", split="words", trainable=False)
    args.output.mkdir(parents=True, exist_ok=True)
    known = half_features(layer, reference, args.output / "reference.npy")
    pooled = half_features(layer, test, args.output / "test.npy")

    keras.utils.set_random_seed(args.seed)
    n = max(1, round(VALIDATION_PART * len(known[0])))
    validation = known[0][:n], known[1][:n]
    training = known[0][n:], known[1][n:]
    print(f"Training on {len(training[0]):,} reviews, validating on {n:,} others")
    head = make_head(training, args.size)
    first, second = (part.mean(axis=1) for part in pooled)  # (n, D) each
    found = {
        "average of the layers": similarities(first, second),
        START: similarities(*encoded(head, pooled)),
    }
    train(head, training, validation, args.epochs)
    found[AFTER] = similarities(*encoded(head, pooled))
    found["TF-IDF"] = tfidf_similarities(test, reference)
    (mix,) = (layer for layer in head.layers if isinstance(layer, ScalarMix))
    shares = ops.convert_to_numpy(ops.softmax(mix.layer_weights))  # (n_layers + 1,)
    gamma = float(ops.convert_to_numpy(mix.gamma))
    print(f"Layer weights: {' '.join(f'{x:.3f}' for x in shares)}; gamma: {gamma:.3f}")
    print_table({name: retrieval(similar) for name, similar in found.items()})

    model = two_inputs(join_head(layer, head), layers.Dot(axes=1))  # to (batch, 1)
    print(f"Numbers in the model, once for both inputs: {model.count_params():,}")
    model.save(args.output / "siamese.keras")
    plot({n: s for n, s in found.items() if n != START}, args.output / "siamese.png")
    print(f"Wrote siamese.keras and siamese.png to {args.output}")
    print_similarity(args.output / "siamese.keras", args.compare, found[AFTER])


def make_head(training: Pair, size: int) -> keras.Model:
    """From pooled layers (batch, n_layers + 1, D) to vectors (batch, size) of length 1.

    A mix of the layers and a projection, which starts from a closed-form solution: training
    from random numbers ends at a worse one.
    """
    normalization = layers.Normalization(axis=(1, 2))
    normalization.adapt(np.concatenate(training))
    inputs = keras.Input(training[0].shape[1:])  # (batch, n_layers + 1, D)
    mix = keras.Model(inputs, ScalarMix()(normalization(inputs)))
    mixed = [ops.convert_to_numpy(mix(x)) for x in training]  # (n, D) each
    kernel = discriminant(mixed[0], mixed[1], size)  # (D, size)
    projection = layers.Dense(kernel.shape[1], use_bias=False)
    x = projection(layers.Dropout(DROPOUT)(mix.output))  # (batch, size)
    projection.set_weights([kernel])
    return keras.Model(inputs, layers.UnitNormalization()(x), name="head")


def discriminant(first: Floats, second: Floats, size: int) -> Floats:
    """The directions in which reviews differ but their halves do not, (features, size).

    Linear discriminant analysis (Rao 1948) of both halves (n, features), with each review
    as a class of two: the covariance within reviews becomes the identity, and the
    directions with the most remaining variance are kept.
    """
    both = np.concatenate([first, second]).astype(np.float64)  # (2 * n, features)
    within = np.cov((first - second).T) / 2  # (features, features)
    # Few pairs do not span all directions.
    within += RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    whitening = np.linalg.inv(np.linalg.cholesky(within)).T  # (features, features)
    _, directions = np.linalg.eigh(whitening.T @ np.cov(both.T) @ whitening)  # ascending
    return whitening @ directions[:, ::-1][:, :size]


def two_inputs(encoder: keras.Model, join: Callable[[list[Any]], Any]) -> keras.Model:
    """A model with two inputs and one encoder, and so one set of weights."""
    (tensor,) = encoder.inputs
    inputs = [
        keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
        for name in ("first", "second")
    ]
    return keras.Model(inputs, join([encoder(x) for x in inputs]))


def contrastive_loss(_: Any, pairs: Any) -> Any:
    """Each half must find the other half of its review among those of the batch.

    Takes unit vectors of both halves, (batch, 2, size), and returns the mean of the
    cross-entropies of both directions, (batch,). There are no labels.
    """
    first, second = pairs[:, 0], pairs[:, 1]  # (batch, size)
    logits = ops.matmul(first, ops.transpose(second)) / TEMPERATURE  # (batch, batch)
    right = ops.eye(ops.shape(first)[0])  # (batch, batch)
    forward, backward = (
        ops.categorical_crossentropy(right, side, from_logits=True)
        for side in (logits, ops.transpose(logits))
    )
    return (forward + backward) / 2


def train(head: keras.Model, training: Pair, validation: Pair, n_epochs: int) -> None:
    """Trains a head and restores the weights of its best epoch on other reviews."""
    model = two_inputs(head, lambda vectors: ops.stack(vectors, axis=1))
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    model.compile(optimizer, contrastive_loss)
    no_labels = np.zeros(len(training[0]))
    best, weights = -1.0, head.get_weights()
    for epoch in range(n_epochs):
        history = model.fit(list(training), no_labels, batch_size=BATCH_SIZE, verbose=0)
        found = retrieval(similarities(*encoded(head, validation))).reciprocal_rank
        loss = history.history["loss"][0]
        print(f"Epoch {epoch + 1}: loss {loss:.4f}, validation MRR {found:.4f}", flush=True)
        if found > best:
            best, weights = found, head.get_weights()
    head.set_weights(weights)


def encoded(head: keras.Model, pair: Pair) -> Pair:
    """The vectors (n, size) of first and second halves, from their features."""
    first, second = (ops.convert_to_numpy(head(x)) for x in pair)
    return first, second


def print_similarity(path: Path, texts: Sequence[str], found: Floats) -> None:
    """Compares two texts with the saved model, which needs only its file."""
    model = keras.saving.load_model(path)
    pair = [ops.convert_to_tensor([text]) for text in texts]
    ((cosine,),) = model.predict_on_batch(pair)
    own = np.eye(found.shape[-1], dtype=bool)  # (candidates, candidates)
    print(f"The saved model on {texts[0]!r} and {texts[1]!r}: similarity {cosine:.3f}")
    for name, chosen in (("the same review", own), ("other reviews", ~own)):
        values = found[:, chosen]  # (groups, pairs)
        print(f"  halves of {name}: {values.mean():.3f}, +- {values.std():.3f}")


if __name__ == "__main__":
    main()
