"""A Siamese network: two texts in, through one shared ELMo, and how alike they are out.

It learns without labels: film reviews are cut in two, and each first half must find its
second half among those of its batch. ELMo's pooled layers are computed once, into files; a
mix of them and a projection are trained on these in a minute, and joined with ELMo into one
model that takes two strings. It is saved, loaded again and used::

    python examples/siamese.py --data aclImdb_v1.tar.gz

Without ``--data`` it takes the few reviews that come with keras-elmo.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from arguments import blaming, integer_from, not_empty, require
from imdb_data import DataError
from siamese_model import make_head, similarity_model
from siamese_training import encoded, print_mix, train
from text_halves import half_features, read_halves
from text_halves_arguments import add_arguments
from text_retrieval import cosines, print_table, retrieval, save_numbers, tfidf_cosines
from text_similarity_plot import plot
from text_vectors import Floats, of_layer

from keras_elmo import ElmoEmbeddingLayer, SourceError, tokenize
from keras_elmo.training import join_head

VALIDATION_PART = 0.1
BEFORE, START = "average of the layers", "projection before training"
AFTER, WORDS = "after training", "TF-IDF"
TEXTS = ("The music is lovely.", "I bought the soundtrack.")


def main(argv: Sequence[str] | None = None) -> int:
    """Trains, measures, saves the model and uses what it saved.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    # What can go wrong goes wrong here, before anything is computed.
    require(parser, "sklearn", "matplotlib")
    with blaming(parser, "--source", SourceError):
        layer = ElmoEmbeddingLayer(args.source, "pooled_layers", trainable=False)
    with blaming(parser, "--data", DataError, OSError):
        reference, test = read_halves(
            args.data, args.limit, args.test, args.words, args.seed
        )
    with blaming(parser, "--output", ValueError, OSError):
        args.output.mkdir(parents=True, exist_ok=True)
        known = half_features(layer, reference, args.output / "reference.npy")
        pooled = half_features(layer, test, args.output / "test.npy")
    keras.utils.set_random_seed(args.seed)
    n = max(1, round(VALIDATION_PART * len(known[0])))
    validation = known[0][:n], known[1][:n]
    training = known[0][n:], known[1][n:]
    print(f"Training on {len(training[0]):,} reviews, validating on {n:,} others")
    head = make_head(training, args.size)
    start = cosines(*encoded(head, pooled))
    history = train(head, training, validation, args.epochs)
    print_mix(head)
    first, second = (of_layer(part, "average") for part in pooled)  # (n, D) each
    found = {
        BEFORE: cosines(first, second),
        START: start,
        AFTER: cosines(*encoded(head, pooled)),
        WORDS: tfidf_cosines(test, reference),
    }
    print_table({name: retrieval(similarities) for name, similarities in found.items()})
    model = similarity_model(join_head(layer, head))
    print(f"Numbers in the model, once for both inputs: {model.count_params():,}")
    save(model, found, history, args.output)
    print_similarity(args.output / "siamese.keras", args.compare, found[AFTER])
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Train a Siamese network to find the other half of a film review."
    )
    add = parser.add_argument
    add(
        "--compare",
        nargs=2,
        type=not_empty,
        default=TEXTS,
        metavar=("FIRST", "SECOND"),
        help="two texts whose similarity the saved model tells, after training (default: "
        "two that come with the program)",
    )
    add(
        "--epochs",
        type=integer_from(1),
        default=10,
        metavar="N",
        help="passes over the reviews; the best of them on a tenth that is held out is "
        "kept (default: %(default)s)",
    )
    add(
        "--size",
        type=integer_from(1),
        default=512,
        metavar="N",
        help="the length of the vectors, at most that of ELMo's (default: %(default)s)",
    )
    add_arguments(parser, "model, figures and picture")
    return parser


def save(
    model: keras.Model,
    found: Mapping[str, Floats],
    history: Mapping[str, list[float]],
    folder: Path,
) -> None:
    """Writes the model, the figures and the picture, and says where."""
    model.save(folder / "siamese.keras")
    rows = {name: retrieval(similarities) for name, similarities in found.items()}
    save_numbers(rows, folder / "siamese.json", history)
    panels = {name: found[name] for name in (BEFORE, AFTER, WORDS)}
    plot(panels, "Similarity of halves of film reviews", folder / "siamese.png")
    for name in ("siamese.keras", "siamese.json", "siamese.png"):
        print(f"Wrote {folder / name}")


def print_similarity(path: Path, texts: Sequence[str], found: Floats) -> None:
    """Loads the saved model, which needs nothing but its file, and asks it.

    Args:
        path: The model.
        texts: Two of them.
        found: The similarities of halves, to compare with, own ones on the diagonals.
    """
    model = keras.saving.load_model(path)
    pair = [keras.ops.convert_to_tensor([" ".join(tokenize(text))]) for text in texts]
    ((cosine,),) = model.predict_on_batch(pair)
    own = np.eye(found.shape[-1], dtype=bool)  # (candidates, candidates)
    print(f"The saved model on {texts[0]!r} and {texts[1]!r}: similarity {cosine:.3f}")
    for name, chosen in (("the same review", own), ("other reviews", ~own)):
        values = found[:, chosen]  # (groups, pairs)
        print(f"  halves of {name}: {values.mean():.3f}, +- {values.std():.3f}")


if __name__ == "__main__":
    raise SystemExit(main())
