"""Cuts sentences into the windows that a language model is trained on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from keras_elmo.backends import generated_dataset
from keras_elmo.config import ElmoConfig
from keras_elmo.pretraining.vocabulary import BEGIN_SENTENCE, END_SENTENCE, Vocabulary
from keras_elmo.text.characters import CHARACTER_PADDING_ID
from keras_elmo.types import check_one_of, check_positive_integer

Window = dict[str, NDArray[Any]]
"""The arrays of one training step by name; see :class:`Windows`."""

SentenceState = Literal["carried", "reset"]

NO_TARGET = -1

# Few different shapes, so that few programs are compiled.
_FEWEST_WORDS = 128
_WORDS_STEP = 512
_CHARACTERS_STEP = 32


class Windows:
    """Cuts sentences into windows for truncated backpropagation through time.

    Each row is a separate text that continues in the next window; at the end of a sentence,
    the row takes the next one. The forward direction reads ``<S> w1 ... wn`` and predicts
    ``w1 ... wn </S>``; the backward direction reads ``</S> wn ... w1`` and predicts
    ``wn ... w1 <S>``. A window lists each of its words once, so that the character CNN runs
    once for each distinct word.

    Args:
        config: The model's configuration, which determines the character ids.
        vocabulary: The words to predict.
        batch_size: The number of rows of a window.
        steps: The number of steps of a window, and so of backpropagation.
        sentence_state: ``"carried"`` continues from sentence to sentence, as in bilm-tf:
            rows have no gaps, the last boundary of a sentence is read too, as in the
            embedding layer, and only the first window resets the state. ``"reset"`` starts
            each sentence in the zero state and in a new window; the rest of the sentence's
            last window is padding.
    """

    def __init__(
        self,
        config: ElmoConfig,
        vocabulary: Vocabulary,
        batch_size: int,
        steps: int,
        sentence_state: SentenceState = "carried",
    ) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.batch_size = check_positive_integer("batch_size", batch_size)
        self.steps = check_positive_integer("steps", steps)
        self.sentence_state = check_one_of(
            "sentence_state", sentence_state, get_args(SentenceState)
        )
        # What the model calls the boundaries that the vocabulary calls <S> and </S>.
        special = (BEGIN_SENTENCE, END_SENTENCE)
        self._boundaries = special if config.lexicon is None else config.lexicon.special[:2]
        self._word_ids = lru_cache(maxsize=1 << 17)(
            lambda word: config.batch_to_ids([[word]])[0, 0]
        )

    def __call__(
        self, sentences: Iterable[Sequence[str]], skip: int = 0
    ) -> Iterator[Window]:
        """Yields windows until the sentences and all rows are used up.

        Args:
            sentences: Sentences as sequences of words.
            skip: The number of windows to skip, which is faster than creating them.

        Yields:
            Arrays by name:

            - ``words``: int32 (words, ids), the ids of the window's distinct words, as
              ``config.batch_to_ids`` makes them, padded on both axes. The first row is
              padding.
            - ``forward``, ``backward``: int32 (batch_size, steps), the row in ``words``
              of each step, both in reading order. 0 is padding.
            - ``forward_targets``, ``backward_targets``: int32 (batch_size, steps), the
              vocabulary id of the word that each step predicts, or -1 for none.
            - ``starts``: bool (batch_size,), true for rows that start in the zero state.
        """
        carried = self.sentence_state == "carried"
        # Each row's next steps, forward and backward, in processing order.
        rows: list[list[_Steps]] = [[[], []] for _ in range(self.batch_size)]
        bounded = map(self._bounded, sentences)
        for number in itertools.count():
            starts = [number == 0 if carried else not forward for forward, _ in rows]
            for forward, backward in rows:
                while not forward or (carried and len(forward) < self.steps):
                    following = next(bounded, None)
                    if following is None:
                        break
                    forward += following[0]
                    backward += following[1]
            if not any(forward for forward, _ in rows):
                return
            taken = [[steps[: self.steps] for steps in row] for row in rows]
            rows = [[steps[self.steps :] for steps in row] for row in rows]
            if number >= skip:
                yield {**self._window(taken), "starts": np.array(starts)}

    def dataset(
        self, sentences: Callable[[], Iterable[Sequence[str]]], skip: int = 0
    ) -> Any:
        """A dataset that creates windows during training, on every backend.

        It needs TensorFlow.

        Args:
            sentences: A function that returns sentences as sequences of words.
            skip: The number of windows to skip.

        Returns:
            A ``tf.data.Dataset`` for ``fit``.
        """
        import tensorflow as tf

        steps = tf.TensorSpec((self.batch_size, self.steps), tf.int32)
        signature = {
            "words": tf.TensorSpec((None, None), tf.int32),
            **dict.fromkeys(("forward", "backward"), steps),
            **dict.fromkeys(("forward_targets", "backward_targets"), steps),
            "starts": tf.TensorSpec((self.batch_size,), tf.bool),
        }
        return generated_dataset(lambda: self(sentences(), skip), signature)

    def _bounded(self, words: Sequence[str]) -> tuple[_Steps, _Steps]:
        """A sentence's steps in both directions: pairs of a word and a word to predict."""
        begin, end_word = self._boundaries
        bounded = [begin, *words, end_word]
        ids = self.vocabulary.ids([BEGIN_SENTENCE, *words, END_SENTENCE]).tolist()
        forward = list(zip(bounded, [*ids[1:], NO_TARGET], strict=True))
        backward = list(zip(bounded[::-1], [*ids[-2::-1], NO_TARGET], strict=True))
        end = None if self.sentence_state == "carried" else -1
        return forward[:end], backward[:end]

    def _window(self, rows: Sequence[Sequence[_Steps]]) -> Window:
        words: dict[str, int] = {}
        window = {}
        for direction, name in enumerate(("forward", "backward")):
            indices = np.zeros((self.batch_size, self.steps), np.int32)
            targets = np.full((self.batch_size, self.steps), NO_TARGET, np.int32)
            for i, row in enumerate(rows):
                n = len(row[direction])
                indices[i, :n] = [
                    words.setdefault(word, len(words) + 1) for word, _ in row[direction]
                ]
                targets[i, :n] = [target for _, target in row[direction]]
            # The backward direction starts at the end.
            order = -1 if name == "backward" else 1
            window[name] = indices[:, ::order]
            window[f"{name}_targets"] = targets[:, ::order]
        return {"words": self._ids(list(words)), **window}

    def _ids(self, words: Sequence[str]) -> NDArray[np.int32]:
        length = self.config.token_ids.length
        n_rows = _FEWEST_WORDS
        while n_rows < len(words) + 1:
            n_rows += min(n_rows, _WORDS_STEP)
        ids = np.zeros((n_rows, length), np.int32)  # (words, length)
        for i, word in enumerate(words, start=1):
            ids[i] = self._word_ids(word)
        # Keep one window of the widest filter that sees only padding after the longest
        # word: more of them do not change the maximum over positions.
        ends = np.where((ids == 0) | (ids == CHARACTER_PADDING_ID), 0, range(1, length + 1))
        longest = int(np.max(ends))
        widest = max((width for width, _ in self.config.filters), default=1)
        n_columns = -(-(longest + widest) // _CHARACTERS_STEP) * _CHARACTERS_STEP
        return ids[:, :n_columns]


_Steps = list[tuple[str, int]]
"""Pairs of a word and the id of the word to predict, in processing order."""
