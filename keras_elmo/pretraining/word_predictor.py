"""What a language model predicts at each token of a sentence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from keras_elmo.backends import is_tensorflow
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.pretraining.softmax_file import SoftmaxWeights, load_softmax
from keras_elmo.pretraining.vocabulary import BEGIN_SENTENCE, END_SENTENCE, SPECIAL_WORDS
from keras_elmo.text.token_lists import read_token_lists
from keras_elmo.types import PathLike, Split, check_one_of, check_positive_integer
from keras_elmo.weights.locate import read_located

Floats = NDArray[np.float32]

_MOST_LOGITS = 1 << 24  # computed at a time
_SENTENCES = 256  # computed at a time


class Score(NamedTuple):
    """How well a language model predicts a sentence of n tokens.

    Attributes:
        tokens: The tokens.
        forward: The log-likelihood in nats of each token, given those before it, float32
            (n,). Words outside the vocabulary are predicted as ``<UNK>``.
        backward: The same, given the tokens after it.
        perplexity: That of the sentence, of both directions, with the end that the forward
            model predicts and the start that the backward model predicts.
    """

    tokens: list[str]
    forward: NDArray[np.float32]
    backward: NDArray[np.float32]
    perplexity: float


class Substitutes(NamedTuple):
    """The most probable words in the place of a token, with their probabilities.

    Attributes:
        token: The token.
        forward: Given the tokens before it.
        backward: Given the tokens after it.
        both: Given both, by the product of the two probabilities, normalized.
    """

    token: str
    forward: list[tuple[str, float]]
    backward: list[tuple[str, float]]
    both: list[tuple[str, float]]


class WordPredictor:
    """Predicts words in context, with ELMo's softmax, on every backend of Keras.

    The forward model predicts a token from the top layer at the token before it, the
    backward model from the top layer at the token after it: neither has seen the token
    itself (Peters et al. 2018). Each sentence starts in the zero state.

    Args:
        source: A source with a softmax: ``"mini"``, the directory that :func:`train` wrote,
            or released weights with their softmax and vocabulary next to them.
        split: How strings are split, as in :class:`~keras_elmo.ElmoEmbeddingLayer`.
        options: As for :func:`evaluate`.
        vocabulary: As for :func:`evaluate`.

    Raises:
        SourceError: The source could not be loaded, or has no softmax.

    Example:
        >>> from keras_elmo.pretraining import WordPredictor
        >>> predictor = WordPredictor("mini", split="words")
        >>> (sentence,) = predictor.substitutes(["The plot is thin."], n=3)
        >>> [len(token.both) for token in sentence]
        [3, 3, 3, 3, 3]
    """

    def __init__(
        self,
        source: PathLike,
        split: Split = "space",
        options: PathLike | None = None,
        vocabulary: PathLike | None = None,
    ) -> None:
        self._split = check_one_of("split", split, get_args(Split))

        def read(path: Path) -> tuple[ElmoEmbeddingLayer, SoftmaxWeights]:
            layer = ElmoEmbeddingLayer(
                path,
                "layers",
                "sentences" if is_tensorflow() else "character_ids",
                trainable=False,
                keep_sentence_boundaries=True,
                options=options,
            )
            config = layer.config
            assert config is not None  # engine="hub" alone has none
            reads_bytes = config.lexicon is None
            softmax = load_softmax(path, config.projection_dim, vocabulary, reads_bytes)
            return layer, softmax

        found = read_located(source, read, has_options=options is not None)
        self._layer, self._softmax = found

    def scores(self, sentences: Any) -> list[Score]:
        """Computes the log-likelihood of each token, and the perplexity of each sentence.

        Args:
            sentences: Strings, or lists of tokens, as for ``ElmoEmbeddingLayer.encode``.
        """
        ids = self._softmax.vocabulary.ids
        scores = []
        for tokens, states in self._states(sentences):
            targets = (ids([*tokens, END_SENTENCE]), ids([BEGIN_SENTENCE, *tokens]))
            forward, backward = (
                np.concatenate(
                    [
                        np.take_along_axis(logs, target[rows, None], axis=1)[:, 0]
                        for rows, logs in self._log_probabilities(state)
                    ]
                )  # (tokens + 1,)
                for state, target in zip(states, targets, strict=True)
            )
            perplexity = np.exp(-np.mean([forward, backward]))
            score = Score(tokens, forward[:-1], backward[1:], float(perplexity))
            scores.append(score)
        return scores

    def substitutes(self, sentences: Any, n: int = 10) -> list[list[Substitutes]]:
        """Finds the most probable words in the place of each token.

        ``<S>``, ``</S>`` and ``<UNK>`` are left out; the token itself is not.

        Args:
            sentences: Strings, or lists of tokens, as for ``ElmoEmbeddingLayer.encode``.
            n: How many words to return.

        Returns:
            For each sentence, a list with one :class:`Substitutes` for each token.
        """
        n = min(check_positive_integer("n", n), len(self._softmax.vocabulary))
        special = self._softmax.vocabulary.ids(SPECIAL_WORDS)
        found: list[list[Substitutes]] = []
        for tokens, (before, after) in self._states(sentences):
            found.append([])
            pairs = zip(
                self._log_probabilities(before[:-1]),
                self._log_probabilities(after[1:]),
                strict=True,
            )
            for (rows, forward), (_, backward) in pairs:
                both = _normalized(forward + backward)  # (rows, vocabulary)
                for i, token in enumerate(tokens[rows]):
                    best = []
                    for logs in (forward[i], backward[i], both[i]):
                        logs[special] = -np.inf
                        best.append(self._best(logs, n))
                    found[-1].append(Substitutes(token, *best))
        return found

    def _states(self, sentences: Any) -> Iterator[tuple[list[str], tuple[Floats, Floats]]]:
        """Of each sentence the tokens, and what predicts them and a boundary.

        Two arrays (tokens + 1, projection_dim): from the start of the sentence, and to its
        end.
        """
        layer = self._layer
        lists, _ = read_token_lists(sentences, self._split, layer.pad_token, None)
        while batch := list(itertools.islice(lists, _SENTENCES)):
            for tokens, layers in zip(batch, layer.encode(batch, verbose=0), strict=True):
                forward, backward = np.split(layers[:, -1], 2, axis=-1)
                texts = [token.decode("utf-8", "replace") for token in tokens]
                yield texts, (forward[:-1], backward[1:])

    def _log_probabilities(self, states: Floats) -> Iterator[tuple[slice, Floats]]:
        """Rows of ``states``, and the logarithms of the probabilities of all words."""
        _, kernel, bias = self._softmax
        step = max(1, _MOST_LOGITS // len(bias))
        for start in range(0, len(states), step):
            rows = slice(start, start + step)
            yield rows, _normalized(states[rows] @ kernel.T + bias)  # (rows, vocabulary)

    def _best(self, logs: Floats, n: int) -> list[tuple[str, float]]:
        ids = np.argpartition(logs, -n)[-n:]
        ids = ids[np.argsort(-logs[ids], kind="stable")]
        words = self._softmax.vocabulary.words
        return [(words[i], float(np.exp(logs[i]))) for i in ids if logs[i] > -np.inf]


def _normalized(logits: Floats) -> Floats:
    """The logarithms of the softmax over the last axis."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
