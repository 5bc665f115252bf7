"""Trains a model on text files and writes it to a directory."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import DTypeLike

from keras_elmo.config import ElmoConfig
from keras_elmo.hub.sources import load_source
from keras_elmo.layers.arrays import assign_arrays, collect_arrays
from keras_elmo.pretraining.checkpoint import Checkpoint, Log, restore
from keras_elmo.pretraining.language_model import BidirectionalLanguageModel
from keras_elmo.pretraining.sentences import expand_paths, read_sentences
from keras_elmo.pretraining.softmax_file import (
    VOCABULARY_NAME,
    SoftmaxWeights,
    save_softmax,
    softmax_to_train,
)
from keras_elmo.pretraining.training_config import TrainingConfig
from keras_elmo.pretraining.vocabulary import Vocabulary, count_words
from keras_elmo.pretraining.windows import Windows
from keras_elmo.text.strict_json import parse_json
from keras_elmo.types import Arrays, PathLike, Split
from keras_elmo.weights.atomic import replacing
from keras_elmo.weights.sources import save_model

SETTINGS_NAME = "training.json"


def train(
    texts: Sequence[PathLike],
    out: PathLike,
    model: ElmoConfig | PathLike,
    training: TrainingConfig | None = None,
    vocabulary: PathLike | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    verbose: bool = True,
    split: Split | None = None,
    options: PathLike | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    input_format: str | None = None,
    column: str | None = None,
) -> BidirectionalLanguageModel:
    """Trains a biLM on text files, from scratch or from a trained one.

    ``out`` is then a source like any other, and can be trained further. It contains:

    - ``options.json`` and ``weights.hdf5``: the biLM, after the last step;
    - ``vocabulary.txt`` and ``softmax.npz``: the words and the output layer;
    - ``training.json``: all settings;
    - ``log.csv``: the training loss in nats and the perplexities, averaged over
      ``log_steps``;
    - ``checkpoint.npz``: the state from which an interrupted run resumes.

    Args:
        texts: Files, directories or patterns, as for :func:`expand_paths`: text files with
            one sentence per line, or other formats of :func:`read_sentences`.
        out: The directory to write; created if it does not exist.
        model: The configuration of a new model, or a source to start from: anything that
            the layer takes. If the source has a softmax, its training continues too.
        training: The settings; by default those of :class:`TrainingConfig`.
        vocabulary: A file of the words to predict, one per line, as :class:`Vocabulary`
            reads it. By default the source's words if it has any, otherwise the most
            frequent words of the texts.
        resume: Whether to continue an earlier run in ``out``, with the same result as a run
            without interruption. If there was none, training starts.
        tensorboard: Whether to write logs for TensorBoard to ``out/tensorboard``.
        verbose: Whether to show the progress.
        split: How sentences are split into words, as for :func:`read_sentences`.
        options: The ``options.json`` of a ``model`` that is an ``.hdf5`` file; by default
            the one next to it.
        callbacks: More of Keras's callbacks. An epoch has ``log_steps`` steps.
        input_format: As for :func:`read_sentences`.
        column: As for :func:`read_sentences`.

    Returns:
        The trained model.

    Raises:
        FileNotFoundError: A text does not exist.
        FileExistsError: ``out`` is not empty, and ``resume`` is false.
        ValueError: The texts contain no words, or texts, words or settings differ from
            those of the run to resume.
        SourceError: ``model`` names a source that could not be loaded, or whose softmax
            has no words next to it and not those of ``vocabulary``.
        FloatingPointError: The loss or a weight became infinite or NaN.
        ImportError: ``tensorboard`` is true and TensorBoard is not installed.
    """
    if tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "tensorboard=True needs TensorBoard, which is not installed: "
            'pip install "keras-elmo[tensorboard]".'
        )
    training = training or TrainingConfig()
    paths = expand_paths(texts)
    folder = Path(out)
    earlier = _earlier_settings(folder, resume)
    arrays: Arrays = {}
    known = None
    if isinstance(model, ElmoConfig):
        config = model
        if options is not None:
            raise ValueError(
                f"options={str(options)!r} is for a model in an .hdf5 file; this one is a "
                "configuration. Leave it out."
            )
    else:
        config, arrays, path = load_source(model, options=options)
        known = softmax_to_train(path, config.projection_dim, vocabulary)
    if config.lexicon is not None:
        raise ValueError(
            f"model: training needs one that reads bytes; this one has {config.lexicon} "
            "of its own. Start from another source, or from a configuration."
        )
    reading: dict[str, Any] = {"input_format": input_format, "column": column}

    def sentences(shuffle_seed: int | None = None) -> Iterator[list[str]]:
        return read_sentences(paths, shuffle_seed, split=split, **reading)

    counts = count_words(sentences())
    if not counts:
        raise ValueError(f"texts: found no words in {', '.join(paths)}.")
    if vocabulary is not None:
        words = Vocabulary.load(vocabulary)
    elif known is not None:
        words = known.vocabulary
    else:
        words = Vocabulary.from_counts(counts, training.vocabulary_size)
    settings = {
        "model": config.to_options(),
        "init": None if model is config else str(model),
        "vocabulary": hashlib.sha256("\n".join(words.words).encode()).hexdigest(),
        "texts": {text: _sha256(text) for text in paths},
        "split": split,
        "backend": keras.backend.backend(),
        **{name: value for name, value in reading.items() if value is not None},
        "training": training.to_dict(),
    }
    _check_same(earlier or settings, settings, folder)
    keras.utils.set_random_seed(training.seed)
    language_model = _language_model(config, arrays, known, words, counts, training)
    language_model.compile(optimizer=training.make_optimizer())
    # Not earlier: wrong arguments must leave no files.
    folder.mkdir(parents=True, exist_ok=True)
    if earlier is None:
        with replacing(folder / SETTINGS_NAME) as file:
            file.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    words.save(folder / VOCABULARY_NAME)
    more = [*callbacks]
    if tensorboard:
        more.append(keras.callbacks.TensorBoard(folder / "tensorboard"))
    _fit(language_model, words, sentences, training, folder, more, verbose)
    save_language_model(language_model, words, folder)
    return language_model


def save_language_model(
    model: BidirectionalLanguageModel,
    vocabulary: Vocabulary,
    directory: PathLike,
    dtype: DTypeLike = np.float32,
) -> None:
    """Writes a model as a source that can be trained further.

    Args:
        model: The model.
        vocabulary: The words that it predicts.
        directory: The directory to write; created if it does not exist.
        dtype: The stored dtype; float16 takes half the space.

    Raises:
        ValueError: The model reads words, and they are not those of the vocabulary.
    """
    folder = Path(directory)
    known = model.config.lexicon
    if known is not None and known.words and known.words != vocabulary.words:
        raise ValueError(
            f"vocabulary: {len(vocabulary):,} words that are not the {len(known.words):,} "
            "which the model reads; a directory has one list for both."
        )
    save_model(folder, model.config, collect_arrays(model.bilm), dtype)
    kernel, bias = map(ops.convert_to_numpy, (model.softmax.kernel, model.softmax.bias))
    save_softmax(folder, SoftmaxWeights(vocabulary, kernel, bias), dtype)


def _earlier_settings(folder: Path, resume: bool) -> dict[str, Any] | None:
    """The settings of the run to resume; None if ``folder`` is empty."""
    path = folder / SETTINGS_NAME
    if resume and path.is_file():
        try:
            earlier = parse_json(path.read_bytes())
            if not isinstance(earlier, dict):
                raise ValueError("expected an object")
        except ValueError as error:
            raise ValueError(
                f"resume: cannot read the settings in {str(path)!r} ({error}). Train into "
                "another directory."
            ) from error
        return earlier
    if not folder.exists() or not any(folder.iterdir()):
        return None
    what = f"out: {str(folder)!r} is not empty"
    if resume:
        raise FileExistsError(f"{what} and holds no run to resume. Choose a new directory.")
    raise FileExistsError(f"{what}. Choose a new directory, or resume its run.")


def _check_same(earlier: dict[str, Any], settings: dict[str, Any], folder: Path) -> None:
    names = settings.keys() | earlier.keys()
    changed = sorted(name for name in names if settings.get(name) != earlier.get(name))
    if changed:
        raise ValueError(
            f"resume: the run in {str(folder)!r} has other settings; these differ from its "
            f"{SETTINGS_NAME}: {', '.join(changed)}. Resume with the same settings, or "
            "train into another directory with this one as the source."
        )


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _language_model(
    config: ElmoConfig,
    arrays: Arrays,
    known: SoftmaxWeights | None,
    words: Vocabulary,
    counts: Counter[str],
    training: TrainingConfig,
) -> BidirectionalLanguageModel:
    """The model before training; words that ``known`` lacks are initialized."""
    n_samples = training.n_samples
    model = BidirectionalLanguageModel(
        config,
        len(words),
        training.batch_size,
        n_samples if n_samples is not None and n_samples < len(words) else None,
        training.dropout,
        frequencies=words.frequencies(counts),
        seed=training.seed,
        dtype=training.precision,
    )
    if arrays:
        assign_arrays(model.bilm, arrays)
    if known is not None:
        rows = {word: row for row, word in enumerate(known.vocabulary.words)}
        pairs = [(i, rows[word]) for i, word in enumerate(words.words) if word in rows]
        here, there = np.array(pairs).T  # (known words,) each
        softmax = model.softmax
        for variable, array in ((softmax.kernel, known.kernel), (softmax.bias, known.bias)):
            values = np.array(ops.convert_to_numpy(variable))
            values[here] = array[there]
            variable.assign(values)
    return model


def _fit(
    model: BidirectionalLanguageModel,
    words: Vocabulary,
    sentences: Callable[[int | None], Iterator[list[str]]],
    training: TrainingConfig,
    folder: Path,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: bool,
) -> None:
    steps_done = restore(model, folder)
    if steps_done == training.n_steps:
        return

    def epochs() -> Iterator[list[str]]:
        for epoch in itertools.count():
            yield from sentences(training.seed + epoch)

    windows = Windows(
        model.config,
        words,
        training.batch_size,
        training.window_steps,
        training.sentence_state,
    )
    ours = [
        Log(folder, training.log_steps, steps_done),
        Checkpoint(folder, training.log_steps),
    ]
    model.fit(
        windows.dataset(epochs, skip=steps_done),
        initial_epoch=steps_done // training.log_steps,
        epochs=training.n_steps // training.log_steps,
        steps_per_epoch=training.log_steps,
        shuffle=False,  # the sentences are shuffled already
        callbacks=[*ours, *callbacks],
        verbose=1 if verbose else 0,
    )
