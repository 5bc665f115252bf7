"""``keras-elmo train`` and ``keras-elmo evaluate``: language models on text files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_elmo.config import ElmoConfig
from keras_elmo.pretraining import TrainingConfig, evaluate, train
from keras_elmo.pretraining.windows import SentenceState
from keras_elmo.text.strict_json import parse_json


def train_model(
    texts: Sequence[str],
    out: Path,
    config: Path | None,
    init: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Trains a model.

    Args:
        texts: Text files, directories or patterns.
        out: Where the model goes.
        config: A JSON file with the objects ``"model"`` (the content of an
            ``options.json``) and ``"training"`` (settings of ``TrainingConfig``), either
            of which may be missing.
        init: The source to start from, or None for random weights.
        quiet: Whether to print nothing.
        **options: As for :func:`keras_elmo.pretraining.train`.

    Raises:
        ValueError: The configuration is wrong, or does not say what to train.
        OSError: A file cannot be read or written.
        SourceError: ``init`` cannot be had.
    """
    shape, training = (None, TrainingConfig()) if config is None else read_config(config)
    if (shape is None) == (init is None):
        raise ValueError(
            "say either by a 'model' in the file of --config what shape the new model has, "
            "or by --init which model to start from"
            + (", not both." if shape is not None else ".")
        )
    model = shape if shape is not None else init
    assert model is not None
    train(texts, out, model, training, verbose=not quiet, **options)
    if not quiet:
        print(f"The model is in {str(out)!r}.")


def read_config(path: Path) -> tuple[ElmoConfig | None, TrainingConfig]:
    """Reads the file of ``--config``.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not JSON, or not such a configuration.
    """
    try:
        content = parse_json(path.read_bytes())
        if not isinstance(content, dict) or not content.keys() <= {"model", "training"}:
            raise ValueError("expected an object with 'model' and 'training' in it.")
        training = TrainingConfig.from_dict(content.get("training", {}))
        if "model" not in content:
            return None, training
        return ElmoConfig.from_options(content["model"]), training
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"Cannot use the configuration {str(path)!r}: {error!s:.1000}"
        ) from error


def show_perplexity(
    source: str,
    texts: Sequence[str],
    sentence_state: SentenceState,
    batch_size: int,
    as_json: bool,
) -> None:
    """Prints the perplexities of a source on text files.

    Args:
        source: A source with a vocabulary and a softmax.
        texts: Text files, directories or patterns.
        sentence_state: As for :func:`keras_elmo.pretraining.evaluate`.
        batch_size: As for :func:`keras_elmo.pretraining.evaluate`.
        as_json: Whether to print JSON.

    Raises:
        SourceError: The source cannot be had, or has no softmax.
        OSError: A text cannot be read.
        ValueError: The texts hold no words.
    """
    found = evaluate(source, texts, sentence_state, batch_size)
    if as_json:
        print(json.dumps({"source": source, "perplexity": found._asdict()}, indent=2))
        return
    for name, value in found._asdict().items():
        print(f"{name:10}{value:10.2f}")
