"""Which names are in a text, and of what kind? A tagger on ELMo, on the WNUT-17 data.

ELMo's layers are computed once for each token, into files, in which an interrupted run goes
on. A mix of them, a BiLSTM and a softmax are trained on these, and beside them the same
tagger on a word embedding that is learned from the training sentences. It prints how many
entities both find, and draws a chart::

    python examples/named_entities.py --data wnut17 "Anna flew to Berlin ."
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from arguments import blaming, integer_from, not_empty, require
from imdb_data import DataError
from named_entities_data import ADDRESS, Sentence, read_parts
from named_entities_plot import plot
from named_entities_scores import Score, entities, score, scores_by_type, surface_score
from named_entities_taggers import (
    elmo_features,
    elmo_tagger,
    make_vocabulary,
    predict,
    tag_names,
    token_model,
    train,
    word_ids,
    word_tagger,
)

from keras_elmo import ElmoEmbeddingLayer, SourceError, tokenize

ELMO, LEARNED = "ELMo", "learned embedding"
SCORED = {"dev": "development sentences", "test": "test sentences"}
ALL, DIFFERENT = "all entities", "different entities"


@dataclass(frozen=True)
class Result:
    """What a tagger found in some sentences.

    Attributes:
        overall: All entities.
        surface: Each different one once.
        by_type: Those of each type.
    """

    overall: Score
    surface: Score
    by_type: dict[str, Score]

    def by_name(self) -> dict[str, Score]:
        """All of them, by what they are called in tables."""
        return {ALL: self.overall, DIFFERENT: self.surface, **self.by_type}


def main(argv: Sequence[str] | None = None) -> int:
    """Trains both taggers, scores them, draws the chart and saves the one on ELMo.

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
        parts = read_parts(args.data, args.limit, args.seed)
    print_counts(parts)
    with blaming(parser, "--source", SourceError):
        layer = ElmoEmbeddingLayer(args.source, "layers", trainable=False)
    with blaming(parser, "--output", ValueError, OSError):
        args.output.mkdir(parents=True, exist_ok=True)
        features = {
            part: elmo_features(layer, sentences, args.output / f"{part}.npy")
            for part, sentences in parts.items()
        }
    vocabulary = make_vocabulary(parts["train"])
    ids = {part: word_ids(sentences, vocabulary) for part, sentences in parts.items()}
    tags = tag_names(parts["train"])
    keras.utils.set_random_seed(args.seed)
    tagger = elmo_tagger(features["train"], len(tags))
    baseline = word_tagger(vocabulary, layer.output_dim, len(tags))
    results = {
        ELMO: trained(ELMO, tagger, features, parts, tags, args),
        LEARNED: trained(LEARNED, baseline, ids, parts, tags, args),
    }
    print_results(results)
    save(args.source, tagger, results, args.output)
    if args.sentence is not None:
        print_entities(args.output / "tagger.keras", args.sentence, tags)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Find named entities by a tagger on ELMo's layers."
    )
    add = parser.add_argument
    add(
        "sentence",
        nargs="?",
        type=not_empty,
        help="a sentence whose entities the saved tagger finds, after training",
    )
    add(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"the directory with the files of WNUT-17 ({ADDRESS})",
    )
    add("--source", default="mini", help="the ELMo model (default: %(default)s)")
    add(
        "--epochs",
        type=integer_from(1),
        default=15,
        metavar="N",
        help="passes over the training sentences; the best of them on the development "
        "sentences is kept (default: %(default)s)",
    )
    add(
        "--limit",
        type=integer_from(1),
        metavar="N",
        help="at most N sentences of each file, chosen at random",
    )
    add(
        "--seed",
        type=integer_from(0),
        default=0,
        metavar="N",
        help="of that choice, the first weights and the order (default: %(default)s)",
    )
    add(
        "--output",
        type=Path,
        default=Path("named_entities_output"),
        metavar="DIR",
        help="where features, scores, chart and tagger go (default: %(default)s); with "
        "mini, all of WNUT-17 make files of some 310 MB",
    )
    return parser


def print_counts(parts: Mapping[str, Sequence[Sentence]]) -> None:
    """Prints how much there is of each part."""
    for part, sentences in parts.items():
        n_tokens = sum(len(sentence.tokens) for sentence in sentences)
        n_entities = sum(len(entities(sentence.tags)) for sentence in sentences)
        print(
            f"{part:<5} {len(sentences):>6,} sentences {n_tokens:>7,} tokens "
            f"{n_entities:>6,} entities"
        )


def trained(
    name: str,
    tagger: keras.Model,
    inputs: Mapping[str, Any],
    parts: Mapping[str, Sequence[Sentence]],
    tags: Sequence[str],
    args: argparse.Namespace,
) -> dict[str, Result]:
    """Trains a tagger, and scores it on what it was not trained on.

    Args:
        name: What the tagger is called.
        tagger: The model.
        inputs: What it takes, for each part.
        parts: The sentences of each part.
        tags: The names of the tags.
        args: The epochs and the seed.

    Returns:
        The result on each part but the training sentences.
    """
    print(f"\nTraining the tagger on: {name}")
    train(
        tagger,
        (inputs["train"], parts["train"]),
        (inputs["dev"], parts["dev"]),
        tags,
        args.epochs,
        args.seed,
    )
    results = {}
    for part in SCORED:
        found = predict(tagger, inputs[part], tags)
        results[part] = Result(
            score(parts[part], found),
            surface_score(parts[part], found),
            scores_by_type(parts[part], found),
        )
    return results


def print_results(results: Mapping[str, Mapping[str, Result]]) -> None:
    """Prints precision, recall and F1 of each tagger on each part."""
    columns = ("precision", "recall", "F1")
    for part, title in SCORED.items():
        print(f"\n{title:<24}" + "".join(f"{name:^32}" for name in results).rstrip())
        print(" " * 24 + (2 * " " + "".join(f"{c:>10}" for c in columns)) * len(results))
        tables = [by_part[part].by_name() for by_part in results.values()]
        for name in tables[0]:
            cells = "".join(_cells(table[name]) for table in tables)
            print(f"{name:<24}{cells}")


def _cells(found: Score) -> str:
    numbers = (found.precision, found.recall, found.f1)
    return 2 * " " + "".join(f"{number:>10.4f}" for number in numbers)


def save(
    source: str,
    tagger: keras.Model,
    results: Mapping[str, Mapping[str, Result]],
    folder: Path,
) -> None:
    """Writes the tagger, joined with ELMo, the scores and the chart, and says where."""
    token_model(source, tagger).save(folder / "tagger.keras")
    numbers = {
        name: {part: _as_numbers(result) for part, result in by_part.items()}
        for name, by_part in results.items()
    }
    text = json.dumps(numbers, indent=2) + "\n"
    (folder / "scores.json").write_text(text, encoding="utf-8")
    panels = {
        title: {
            name: {ALL: by_part[part].overall, **by_part[part].by_type}
            for name, by_part in results.items()
        }
        for part, title in SCORED.items()
    }
    plot(panels, folder / "f1.png")
    print()
    for name in ("tagger.keras", "scores.json", "f1.png"):
        print(f"Wrote {folder / name}")


def _as_numbers(result: Result) -> dict[str, Any]:
    return {
        name: {"precision": found.precision, "recall": found.recall, "f1": found.f1}
        for name, found in result.by_name().items()
    }


def print_entities(path: Path, sentence: str, tags: Sequence[str]) -> None:
    """Loads the saved tagger, which needs nothing but its file, and asks it."""
    model = keras.saving.load_model(path)
    tokens = tokenize(sentence)
    batch = keras.ops.convert_to_tensor([tokens], dtype="string")  # (1, time)
    probabilities = model.predict_on_batch(batch)  # (1, time, n_tags)
    found = entities(tags[number] for number in np.argmax(probabilities[0], axis=-1))
    told = [f"{' '.join(tokens[e.start : e.end])} ({e.kind})" for e in found]
    print(f"The saved tagger on {sentence!r}: {', '.join(told) or 'no entities'}")


if __name__ == "__main__":
    raise SystemExit(main())
