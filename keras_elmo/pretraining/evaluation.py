"""The perplexity of a source on text files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_elmo.hub.sources import load_source
from keras_elmo.layers.arrays import assign_arrays
from keras_elmo.pretraining.language_model import DIRECTIONS, BidirectionalLanguageModel
from keras_elmo.pretraining.sentences import expand_paths, read_sentences
from keras_elmo.pretraining.softmax_file import load_softmax
from keras_elmo.pretraining.vocabulary import Vocabulary
from keras_elmo.pretraining.windows import SentenceState, Window, Windows
from keras_elmo.types import PathLike, Split


class Perplexities(NamedTuple):
    """How well a model predicts a text. It predicts words that it does not know as <UNK>.

    Attributes:
        mean: The exponential of the mean loss of both directions.
        forward: Of the words from those before them, and of the sentence's end.
        backward: Of the words from those after them, and of the sentence's start.
    """

    mean: float
    forward: float
    backward: float


def evaluate(
    source: PathLike,
    texts: Sequence[PathLike],
    sentence_state: SentenceState = "reset",
    batch_size: int = 32,
    window_steps: int = 64,
    split: Split | None = None,
    options: PathLike | None = None,
    vocabulary: PathLike | None = None,
    input_format: str | None = None,
    column: str | None = None,
) -> Perplexities:
    """Computes the perplexity of a source on text files, by a full softmax.

    Args:
        source: The directory that :func:`train` wrote, or any other source that has
            ``vocabulary.txt`` and ``softmax.npz``; or the directory of a checkpoint of
            bilm-tf, with the vocabulary in it.
        texts: Text files as :func:`train` takes them.
        sentence_state: ``"reset"`` starts each sentence in the zero state, as the
            embedding layer does; ``"carried"`` in the state in which the sentence before
            it in its row ended, as bilm-tf does: with one row, in the files' order.
        batch_size: Rows that are computed at once.
        window_steps: Steps that are computed at once; without effect on the result.
        split: How sentences are split into words, as for :func:`read_sentences`.
        options: The ``options.json`` of a ``source`` that is an ``.hdf5`` file; by default
            the one next to it.
        vocabulary: The file of the words that the source predicts, one in a line; by
            default the one in its directory.
        input_format: As for :func:`read_sentences`.
        column: As for :func:`read_sentences`.

    Raises:
        SourceError: The source could not be loaded, or has no softmax.
        FileNotFoundError: A text does not exist.
        ValueError: The texts hold no words.
    """
    paths = expand_paths(texts)

    def sentences() -> Iterator[list[str]]:
        reading: Any = {"input_format": input_format, "column": column}
        return read_sentences(paths, split=split, **reading)

    if next(sentences(), None) is None:
        raise ValueError(f"texts: there are no words in {', '.join(paths)}.")
    model, words = load_language_model(source, batch_size, options, vocabulary)
    windows = Windows(model.config, words, batch_size, window_steps, sentence_state)
    return evaluate_windows(model, windows(sentences()))


def evaluate_windows(
    model: BidirectionalLanguageModel, windows: Iterable[Window]
) -> Perplexities:
    """Computes the perplexity of a model on windows, by a full softmax.

    Args:
        model: The model.
        windows: What :class:`Windows` yields; the first one should start all rows.

    Raises:
        ValueError: There is no window.
    """
    model.compile()
    losses, counts = np.zeros(2), np.zeros(2)  # nats and targets of both directions
    # Not model.evaluate, which takes the end of data of unknown length for an accident.
    for window in windows:
        model.reset_metrics()  # before Keras 3.15 they go on from the batch before
        values = model.test_on_batch(window, return_dict=True)
        for i, direction in enumerate(DIRECTIONS):
            count = np.sum(window[f"{direction}_targets"] >= 0)
            losses[i] += count * np.log(values[f"{direction}_perplexity"])
            counts[i] += count
    if not counts.all():
        raise ValueError("windows: there is nothing to predict.")
    forward, backward = np.exp(losses / counts)
    mean = np.exp(losses.sum() / counts.sum())
    return Perplexities(float(mean), float(forward), float(backward))


def load_language_model(
    source: PathLike,
    batch_size: int,
    options: PathLike | None = None,
    vocabulary: PathLike | None = None,
) -> tuple[BidirectionalLanguageModel, Vocabulary]:
    """Reads a source as a language model.

    Args:
        source: A source with a softmax, as for :func:`evaluate`.
        batch_size: Rows of the windows that it reads.
        options: As for :func:`evaluate`.
        vocabulary: As for :func:`evaluate`.

    Returns:
        The model, and the words that it predicts.

    Raises:
        SourceError: The source could not be loaded, or has no softmax.
    """
    config, arrays, path = load_source(source, options=options)
    softmax = load_softmax(path, config.projection_dim, vocabulary)
    model = BidirectionalLanguageModel(config, len(softmax.vocabulary), batch_size)
    assign_arrays(model.bilm, arrays)
    model.softmax.kernel.assign(softmax.kernel)
    model.softmax.bias.assign(softmax.bias)
    return model, softmax.vocabulary
