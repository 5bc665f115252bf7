"""Datasets of planned batches of arrays, on every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo import backends
from keras_elmo.text.batching import BatchPlan, Indices, rounded_up

Lengths = NDArray[np.int64]


class Part(NamedTuple):
    """The inputs or the labels of a dataset."""

    rows: Callable[[Indices], NDArray[Any]]  # of a batch
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]  # object for strings


def array_part(array: NDArray[Any]) -> Part:
    """The rows of an array (n, ...), which may be memory-mapped."""
    shape = (None, *array.shape[1:])
    return Part(lambda rows: np.asarray(array[rows]), shape, array.dtype)


def padded_part(arrays: Sequence[Any], steps: Lengths) -> Part:
    """Arrays (time_i, ...), padded with zeros in each batch."""
    first = np.asarray(arrays[0])

    def padded(rows: Indices) -> NDArray[Any]:
        time = max(1, int(steps[rows].max()))
        result = np.zeros((len(rows), time, *first.shape[1:]), first.dtype)
        for target, row in zip(result, rows, strict=True):
            array = np.asarray(arrays[int(row)])
            target[: len(array)] = array
        return result  # (batch, time, ...)

    return Part(padded, (None, None, *first.shape[1:]), first.dtype)


def padded_lengths(lengths: Lengths) -> Lengths:
    """The padded lengths of texts, (n,).

    JAX compiles a program for each shape of a batch: fewer different lengths are faster.
    """
    if keras.backend.backend() == "jax":
        return np.minimum(rounded_up(lengths), lengths.max())
    return lengths


def planned_dataset(plan: BatchPlan, parts: Sequence[Part], initial_epoch: int) -> Any:
    """The batches of a plan; each iteration is the next epoch.

    A ``tf.data.Dataset``, or a ``keras.utils.PyDataset`` on JAX and PyTorch.
    """
    batches = _PlannedBatches(plan, parts, initial_epoch)
    if not backends.is_tensorflow():
        return batches
    import tensorflow as tf

    signature = tuple(tf.TensorSpec(part.shape, part.dtype) for part in parts)
    dataset = backends.generated_dataset(
        lambda: iter(batches), signature if len(signature) > 1 else signature[0]
    )
    # Progress bars need the number of batches, which a generator does not have.
    return dataset.apply(tf.data.experimental.assert_cardinality(len(plan)))


class _PlannedBatches(keras.utils.PyDataset):
    def __init__(self, plan: BatchPlan, parts: Sequence[Part], initial_epoch: int) -> None:
        super().__init__()
        self._plan = plan
        self._parts = parts
        self._epoch = initial_epoch
        self._rows = plan.epoch(initial_epoch)
        self._read: set[int] = set()

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index: int) -> Any:
        self._read.add(index)
        return self._batch(self._rows[index])

    def __iter__(self) -> Iterator[Any]:
        batches = self._rows
        self._advance()
        return map(self._batch, batches)

    def on_epoch_end(self) -> None:
        # Keras, which may read in any order, also calls this before the first epoch, after
        # one batch, and with steps_per_epoch amid the batches.
        if len(self._read) >= len(self):
            self._advance()

    def _advance(self) -> None:
        self._epoch += 1
        self._rows = self._plan.epoch(self._epoch)
        self._read.clear()

    def _batch(self, rows: Indices) -> Any:
        arrays = tuple(part.rows(rows) for part in self._parts)
        return arrays if len(arrays) > 1 else arrays[0]
