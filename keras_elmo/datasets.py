"""Texts as batches for ``fit`` and ``predict``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo import checks
from keras_elmo.batching import BatchPlan, Indices
from keras_elmo.texts import first_tokens, read_labels, read_texts, token_counts


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
) -> Any:
    """Makes a data set of texts: shuffled, cut, and in batches of limited size.

    Tokens are what the layer splits sentences at: what stands between spaces. Without
    ``shuffle`` and ``group_by_length`` the texts stay in their order. ::

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

    Returns:
        A ``tf.data.Dataset`` of strings (batch,), or of pairs of them and the labels
        (batch, ...). It knows its number of batches.

    Raises:
        TypeError: The texts are no strings, or the labels no numbers.
        ValueError: There are no texts, as many labels are not there, one of them is
            missing, or another argument is out of its range.
        FileNotFoundError: There is no such file.

    Example:
        >>> from keras_elmo import text_dataset
        >>> dataset = text_dataset(["One", "A longer text", "Two"], [0, 1, 0], batch_size=2)
        >>> for batch, labels in dataset.as_numpy_iterator():
        ...     print(batch, labels)
        [b'One' b'A longer text'] [0 1]
        [b'Two'] [0]
    """
    import tensorflow as tf

    encoded = read_texts(texts)
    targets = None if labels is None else read_labels(labels, len(encoded))
    if max_tokens is not None:
        checks.positive_integer("max_tokens", max_tokens)
        encoded = [first_tokens(text, max_tokens) for text in encoded]
    plan = BatchPlan(
        token_counts(encoded), batch_size, token_budget, group_by_length, shuffle, seed
    )
    array = np.array(encoded, dtype=object)  # (n,)
    parts: list[Part] = [(array.__getitem__, tf.TensorSpec((None,), tf.string))]
    if targets is not None:
        parts.append(array_part(targets))
    return batched_dataset(plan, parts)


Part = tuple[Callable[[Indices], NDArray[Any]], Any]
"""What gives the rows of a batch, and their ``tf.TensorSpec``."""


def array_part(array: NDArray[Any]) -> Part:
    """The rows of an array (n, ...), which may be memory-mapped."""
    import tensorflow as tf

    spec = tf.TensorSpec((None, *array.shape[1:]), array.dtype)
    return lambda rows: np.asarray(array[rows]), spec


def batched_dataset(plan: BatchPlan, parts: Sequence[Part]) -> Any:
    """Makes a data set of a plan's batches, of another epoch in each iteration.

    Args:
        plan: Which rows go into a batch together.
        parts: The inputs, and the labels if there are any.

    Returns:
        A ``tf.data.Dataset`` that knows its number of batches.
    """
    import tensorflow as tf

    epochs = itertools.count()

    def batches() -> Iterator[Any]:
        for rows in plan.epoch(next(epochs)):
            arrays = tuple(get(rows) for get, _ in parts)
            yield arrays if len(arrays) > 1 else arrays[0]

    signature = tuple(spec for _, spec in parts)
    dataset = tf.data.Dataset.from_generator(
        batches, output_signature=signature if len(signature) > 1 else signature[0]
    )
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    # The number is what progress bars need; a generator does not tell it.
    return dataset.apply(tf.data.experimental.assert_cardinality(len(plan)))
