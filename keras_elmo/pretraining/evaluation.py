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
from keras_elmo.progress import progress_bar
from keras_elmo.types import PathLike, Split


class Perplexities(NamedTuple):
    """The perplexities of a model on a text. Unknown words count as ``<UNK>``.

    Attributes:
        mean: The exponential of the mean loss of both directions.
        forward: The perplexity of each word given the words before it, and of the
            sentence's end.
        backward: The perplexity of each word given the words after it, and of the
            sentence's start.
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
    verbose: bool = False,
    input_format: str | None = None,
    column: str | None = None,
) -> Perplexities:
    """Computes the perplexity of a source on text files, with a full softmax.

    Args:
        source: The directory that :func:`train` wrote, or any other source that has
            ``vocabulary.txt`` and ``softmax.npz``; a directory with a published softmax; or
            a checkpoint of bilm-tf, with the vocabulary in its directory.
        texts: Text files, directories or patterns, as for :func:`train`.
        sentence_state: ``"reset"`` starts each sentence in the zero state, like the
            embedding layer. ``"carried"``, as in bilm-tf, starts it in the final state of
            the previous sentence of its row. With one row, that is the files' order.
        batch_size: The number of rows computed at once.
        window_steps: The number of steps computed at once; it does not change the result.
        split: How sentences are split into words, as for :func:`train`.
        options: The ``options.json`` of a ``source`` that is an ``.hdf5`` file; by default
            the one next to it.
        vocabulary: The file of the words that the source predicts, one in a line; by
            default the one in its directory.
        verbose: Whether to show a progress bar.
        input_format: As for :func:`read_sentences`.
        column: As for :func:`read_sentences`.

    Raises:
        SourceError: The source could not be loaded, or has no softmax.
        FileNotFoundError: A text does not exist.
        ValueError: The texts contain no words.
    """
    paths = expand_paths(texts)

    def sentences() -> Iterator[list[str]]:
        reading: Any = {"input_format": input_format, "column": column}
        return read_sentences(paths, split=split, **reading)

    n_tokens = sum(len(words) + 1 for words in sentences())
    if not n_tokens:
        raise ValueError(f"texts: found no words in {', '.join(paths)}.")
    model, known = load_language_model(source, batch_size, options, vocabulary)
    windows = Windows(model.config, known, batch_size, window_steps, sentence_state)
    bar = progress_bar("Evaluating", " tokens", n_tokens, shown=verbose)

    def counted() -> Iterator[Window]:
        for window in windows(sentences()):
            yield window
            bar.update(int(np.sum(window["forward_targets"] >= 0)))

    with bar:
        return evaluate_windows(model, counted())


def evaluate_windows(
    model: BidirectionalLanguageModel, windows: Iterable[Window]
) -> Perplexities:
    """Computes the perplexity of a model on windows, with a full softmax.

    Args:
        model: The model.
        windows: The windows that :class:`Windows` yields. All rows should start in the
            first one.

    Raises:
        ValueError: There are no windows.
    """
    model.compile()
    losses, counts = np.zeros(2), np.zeros(2)  # nats and targets of both directions
    # Not model.evaluate, which warns when data of unknown length end.
    for window in windows:
        model.reset_metrics()  # before Keras 3.15, metrics include earlier batches
        values = model.test_on_batch(window, return_dict=True)
        for i, direction in enumerate(DIRECTIONS):
            count = np.sum(window[f"{direction}_targets"] >= 0)
            losses[i] += count * np.log(values[f"{direction}_perplexity"])
            counts[i] += count
    if not counts.all():
        raise ValueError("windows: they contain nothing to predict.")
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
        batch_size: The number of rows of the windows that it reads.
        options: As for :func:`evaluate`.
        vocabulary: As for :func:`evaluate`.

    Returns:
        The model and the words that it predicts.

    Raises:
        SourceError: The source could not be loaded, or has no softmax.
    """
    config, arrays, path = load_source(source, options=options)
    reads_bytes = config.lexicon is None
    softmax = load_softmax(path, config.projection_dim, vocabulary, reads_bytes)
    model = BidirectionalLanguageModel(config, len(softmax.vocabulary), batch_size)
    assign_arrays(model.bilm, arrays)
    model.softmax.kernel.assign(softmax.kernel)
    model.softmax.bias.assign(softmax.bias)
    return model, softmax.vocabulary
