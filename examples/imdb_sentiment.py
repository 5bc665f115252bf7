"""Classifies film reviews as positive or negative: ELMo and two Dense layers, on strings.

The model of Jacob Zweig's article "ELMo Embeddings in Keras with TensorFlow Hub" (2019)
in Keras 3. Without ``--data`` it needs no network. See README.md in this folder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure

from keras_elmo import ElmoEmbeddingLayer, text_dataset
from keras_elmo.text.imdb import load_imdb
from keras_elmo.text.reviews import load_reviews

parser = argparse.ArgumentParser(
    description="Train a sentiment classifier on ELMo embeddings of film reviews.",
    formatter_class=argparse.ArgumentDefaultsHelpFormatter,
)
add = parser.add_argument
add("sentence", nargs="?", help="a sentence to classify with the saved model at the end")
add(
    "--data",
    metavar="PATH",
    help="the IMDB reviews: aclImdb_v1.tar.gz, the directory that it unpacks to, or "
    "'download' (80 MiB); default: the few reviews that come with keras-elmo",
)
add("--source", default="mini", help="the ELMo model; see ElmoEmbeddingLayer")
add("--fine-tune", choices=["aggregation", "lstm", "all"], default="aggregation")
add("--max-tokens", type=int, default=150, help="tokens to keep of a review")
add("--limit", type=int, metavar="N", help="train and test on at most N reviews")
add("--epochs", type=int, default=8, help="passes over the reviews; 5 suffice for all")
add("--batch-size", type=int, default=32)
add("--learning-rate", type=float, default=1e-3)
add("--dropout", type=float, default=0.5, help="dropout rate between the Dense layers")
add("--seed", type=int, default=0, help="equal seeds give equal runs")
add("--output", type=Path, default=Path("imdb_sentiment_output"), metavar="DIR")
args = parser.parse_args()
keras.utils.set_random_seed(args.seed)

# The model: ELMo's mean over the tokens, then two Dense layers. Only TensorFlow has string
# tensors; on the other backends text_dataset turns the reviews into character ids.
has_strings = keras.backend.backend() == "tensorflow"
reads: Any = {"split": "words"} if has_strings else {"input_mode": "character_ids"}
elmo = ElmoEmbeddingLayer(args.source, fine_tune=args.fine_tune, name="elmo", **reads)
shape = () if has_strings else (None, elmo.max_characters_per_token)
review = keras.Input(shape, dtype="string" if has_strings else "int32")
hidden = keras.layers.Dense(256, activation="relu")(elmo(review))  # (batch, 256)
hidden = keras.layers.Dropout(args.dropout)(hidden)
positive = keras.layers.Dense(1, activation="sigmoid")(hidden)  # (batch, 1)
model = keras.Model(review, positive)
model.compile(
    keras.optimizers.Adam(args.learning_rate), "binary_crossentropy", metrics=["accuracy"]
)


def count(variables: list[keras.Variable]) -> int:
    """The number of parameters in variables."""
    return sum(int(np.prod(variable.shape)) for variable in variables)


print(
    f"Parameters: {count(model.weights):,}, of which {count(model.trainable_weights):,} "
    f"are trained ({count(elmo.trainable_weights):,} of them in ELMo)"
)

# The reviews in random order. A tenth of the training reviews validates each epoch.
rng = np.random.default_rng(args.seed)
parts = []
for texts, labels in load_imdb(args.data) if args.data else load_reviews():
    order = rng.permutation(len(texts))[: args.limit]
    parts.append((texts[order], labels[order]))
(reviews, labels), test = parts
args.output.mkdir(parents=True, exist_ok=True)
n = max(1, round(len(reviews) / 10))
settings = {"batch_size": args.batch_size, "max_tokens": args.max_tokens, "split": "words"}
validation = text_dataset(reviews[:n], labels[:n], **settings)
training = text_dataset(reviews[n:], labels[n:], shuffle=True, seed=args.seed, **settings)
print(f"Training on {len(reviews) - n:,} reviews, validating on {n:,} others")

# The dataset shuffles itself.
fitted = model.fit(training, validation_data=validation, epochs=args.epochs, shuffle=False)
history = fitted.history
accuracy = model.evaluate(text_dataset(*test, **settings), return_dict=True)["accuracy"]
print(f"Test accuracy: {accuracy:.4f} on {len(test[0]):,} reviews")
mix = elmo.scalar_mix
assert mix is not None  # it is None in some output modes
shares = " ".join(f"{x:.4f}" for x in keras.ops.softmax(mix.layer_weights))
print(f"Layer weights: {shares}; gamma: {float(mix.gamma):.4f}")

model.save(args.output / "model.keras")
numbers = json.dumps({**history, "test_accuracy": accuracy}, indent=2)
(args.output / "history.json").write_text(numbers + "\n", encoding="utf-8")
figure = Figure(figsize=(9, 4), layout="constrained")
for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
    axes.plot(range(1, args.epochs + 1), history[name], label="training")
    axes.plot(range(1, args.epochs + 1), history[f"val_{name}"], label="validation")
    axes.set(xlabel="epoch", ylabel=name)
    axes.legend()
figure.savefig(args.output / "training_curves.png", dpi=150)
print(f"Wrote model.keras, history.json and training_curves.png to {args.output}")

if args.sentence:
    model = keras.saving.load_model(args.output / "model.keras")  # nothing else is needed
    sentence = text_dataset([args.sentence], split="words")
    probability = float(model.predict(sentence, verbose=0)[0, 0])
    verdict = "positive" if probability >= 0.5 else "negative"
    print(f"{args.sentence!r} is {verdict} (p(positive) = {probability:.4f})")
