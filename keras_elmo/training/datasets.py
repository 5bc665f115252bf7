"""Texts as batches for ``fit`` and ``predict``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo import backends
from keras_elmo.text.characters import MAX_CHARACTERS_PER_TOKEN
from keras_elmo.text.sentence_ids import SentenceIds
from keras_elmo.text.texts import first_tokens, read_labels, read_texts, token_counts
from keras_elmo.types import (
    InputMode,
    check_characters_per_token,
    check_one_of,
    check_positive_integer,
)
from keras_elmo.vectors.batching import BatchPlan, Indices, rounded_up


def text_dataset(
    texts: Any,
    labels: Any = None,
    *,
    batch_size: int = 32,
    max_tokens: int | None = None,
    token_budget: int | None = None,
    group_by_length: bool = False,
    shuffle: bool = False,
    seed: int | None = None,
    initial_epoch: int = 0,
    input_mode: InputMode | None = None,
    max_characters_per_token: int | None = None,
) -> Any:
    """Makes a data set of texts: shuffled, cut, and in batches of limited size.

    Tokens are what the layer splits sentences at: what stands between spaces. Without
    ``shuffle`` and ``group_by_length`` the texts stay in their order. On the JAX and
    PyTorch backends the texts come as character ids, and TensorFlow is not needed. ::

        dataset = text_dataset(texts, labels, group_by_length=True, shuffle=True)
        model.fit(dataset, epochs=3, shuffle=False)  # the data set shuffles by itself

    Args:
        texts: A list, tuple, NumPy array (n,) or (n, 1), pandas Series or string tensor
            of ``str`` or ``bytes``; or a ``pathlib.Path``, or several, of text files in
            UTF-8 (``.gz`` too), where each line is a text.
        labels: Numbers (n, ...) in a list, NumPy array, pandas Series or tensor, or
            ``None`` for a data set of texts alone.
        batch_size: The most texts in a batch.
        max_tokens: Keep the first ``max_tokens`` tokens of each text; ``None`` for all.
        token_budget: The most steps in a batch, padding included: its texts times the
            tokens of its longest. A text that is longer by itself has a batch of its own.
            ``None`` for any number.
        group_by_length: Whether a batch holds texts of similar length, so that little is
            padded. By itself it sorts the texts, longest first.
        shuffle: Whether each iteration has another order. With ``group_by_length`` the
            texts change places with those of about the same length, and the batches with
            each other. With ``token_budget`` alone only the batches do.
        seed: Makes the orders repeatable: equal seeds give an equal first iteration, an
            equal second one and so on. ``None`` draws one from Python's random numbers,
            which ``keras.utils.set_random_seed`` makes repeatable.
        initial_epoch: How many epochs are done: the first iteration has the order that
            the next one would have had. For a run that goes on where it was killed; see
            :class:`~keras_elmo.training.TrainingBackup`.
        input_mode: What the texts come as, which is the layer's argument of that name:
            ``"sentences"``, strings, or ``"character_ids"``, the same ids that the layer
            makes of them. ``None`` for sentences on the TensorFlow backend, and for ids
            on the others, which have no strings.
        max_characters_per_token: For character ids: the length of a token's row of ids;
            ``None`` for 50, which all released models have.

    Returns:
        A ``tf.data.Dataset`` of strings (batch,) or character ids (batch, time,
        max_characters_per_token), or of pairs of them and the labels (batch, ...). On the
        JAX and PyTorch backends it is a ``keras.utils.PyDataset`` of NumPy arrays. It
        knows its number of batches. On the JAX backend, which compiles a program for each
        shape, padding rounds time up to four binary digits, or to the longest text's
        tokens, and counts in ``token_budget``.

    Raises:
        TypeError: The texts are no strings, or the labels no numbers.
        ValueError: There are no texts, as many labels are not there, one of them is
            missing, or another argument is out of its range or needs the TensorFlow
            backend.
        FileNotFoundError: There is no such file.

    Example:
        >>> from keras_elmo import text_dataset
        >>> dataset = text_dataset(["One", "A longer text", "Two"], [0, 1, 0], batch_size=2)
        >>> for batch, labels in dataset.as_numpy_iterator():
        ...     print(batch, labels)
        [b'One' b'A longer text'] [0 1]
        [b'Two'] [0]
    """
    mode = _checked_input_mode(input_mode)
    characters = _checked_characters(max_characters_per_token, mode)
    encoded = read_texts(texts)
    targets = None if labels is None else read_labels(labels, len(encoded))
    is_number = isinstance(initial_epoch, int) and not isinstance(initial_epoch, bool)
    if not is_number or initial_epoch < 0:
        raise ValueError(
            f"initial_epoch must be an integer from 0 on; got {initial_epoch!r}."
        )
    if max_tokens is not None:
        check_positive_integer("max_tokens", max_tokens)
        encoded = [first_tokens(text, max_tokens) for text in encoded]
    lengths = token_counts(encoded)  # (n,)
    if keras.backend.backend() == "jax":
        lengths = np.minimum(rounded_up(lengths), lengths.max())
    plan = BatchPlan(lengths, batch_size, token_budget, group_by_length, shuffle, seed)
    if mode == "sentences":
        array = np.array(encoded, dtype=object)  # (n,)
        parts: list[Part] = [(array.__getitem__, Spec((None,), array.dtype))]
    else:
        ids = SentenceIds(encoded, lengths, characters)
        parts = [(ids, Spec((None, None, characters), np.dtype(np.int32)))]
    if targets is not None:
        parts.append(array_part(targets))
    if backends.is_tensorflow():
        return batched_dataset(plan, parts, initial_epoch)
    return PlannedBatches(plan, [get for get, _ in parts], initial_epoch)


def _checked_input_mode(input_mode: InputMode | None) -> str:
    if input_mode is None:
        return "sentences" if backends.is_tensorflow() else "character_ids"
    check_one_of("input_mode", input_mode, ("sentences", "character_ids"))
    backends.check_input_mode(input_mode)
    return input_mode


def _checked_characters(max_characters: int | None, input_mode: str) -> int:
    if max_characters is None:
        return MAX_CHARACTERS_PER_TOKEN
    if input_mode == "sentences":
        raise ValueError(
            f"max_characters_per_token={max_characters!r} has an effect on character ids "
            "only. Leave it out, or use input_mode='character_ids'."
        )
    return check_characters_per_token("max_characters_per_token", max_characters)


class Spec(NamedTuple):
    """The shape of an array, whose number of rows may be any, and its dtype."""

    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


Part = tuple[Callable[[Indices], NDArray[Any]], Any]
"""What gives the rows of a batch, and their :class:`Spec` or ``tf.TensorSpec``."""


def array_part(array: NDArray[Any]) -> Part:
    """The rows of an array (n, ...), which may be memory-mapped."""
    spec = Spec((None, *array.shape[1:]), array.dtype)
    return lambda rows: np.asarray(array[rows]), spec


def batched_dataset(plan: BatchPlan, parts: Sequence[Part], initial_epoch: int = 0) -> Any:
    """Makes a data set of a plan's batches, of another epoch in each iteration.

    Args:
        plan: Which rows go into a batch together.
        parts: The inputs, and the labels if there are any.
        initial_epoch: The epoch of the first iteration.

    Returns:
        A ``tf.data.Dataset`` that knows its number of batches.
    """
    import tensorflow as tf

    epochs = itertools.count(initial_epoch)

    def batches() -> Iterator[Any]:
        for rows in plan.epoch(next(epochs)):
            yield _batch([get for get, _ in parts], rows)

    # An array of objects holds strings.
    signature = tuple(tf.TensorSpec(spec.shape, spec.dtype) for _, spec in parts)
    dataset = tf.data.Dataset.from_generator(
        batches, output_signature=signature if len(signature) > 1 else signature[0]
    )
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    # The number is what progress bars need; a generator does not tell it.
    return dataset.apply(tf.data.experimental.assert_cardinality(len(plan)))


class PlannedBatches(keras.utils.PyDataset):
    """The same without TensorFlow.

    Args:
        plan: Which rows go into a batch together.
        parts: What gives the rows of the inputs, and of the labels if there are any.
        initial_epoch: The epoch of the first iteration.
    """

    def __init__(
        self,
        plan: BatchPlan,
        parts: Sequence[Callable[[Indices], NDArray[Any]]],
        initial_epoch: int = 0,
    ) -> None:
        super().__init__()
        self._plan = plan
        self._parts = parts
        self._epoch = initial_epoch
        self._rows = plan.epoch(initial_epoch)

    def __len__(self) -> int:
        """The number of batches."""
        return len(self._plan)

    def __getitem__(self, index: int) -> Any:
        """A batch of this epoch."""
        return _batch(self._parts, self._rows[index])

    def __iter__(self) -> Iterator[Any]:
        """The batches of this epoch; another one follows."""
        batches = self._rows
        self.on_epoch_end()
        for rows in batches:
            yield _batch(self._parts, rows)

    def on_epoch_end(self) -> None:
        """Goes on to the next epoch, as Keras asks for."""
        self._epoch += 1
        self._rows = self._plan.epoch(self._epoch)


def _batch(parts: Sequence[Callable[[Indices], NDArray[Any]]], rows: Indices) -> Any:
    arrays = tuple(get(rows) for get in parts)
    return arrays if len(arrays) > 1 else arrays[0]
