"""A worker of a Ray cluster, which adds vectors to rows of a table.

Imported only if Ray is used, and then on every machine.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.encoding import Floats
from keras_elmo.text.batching import plan_batches
from keras_elmo.text.reader import MAX_BAD_LINES_KEPT, Sentence, make_sentence
from keras_elmo.text.record import Record
from keras_elmo.vectors.embedder import Embedder
from keras_elmo.vectors.options import Options
from keras_elmo.vectors.vectors import embedding_layer

_SHOWN_CHARACTERS = 60

logger = logging.getLogger("keras_elmo")


class Worker:
    """Embeds the rows that Ray Data passes to one actor; the layer is loaded once.

    ``source`` may be a reference to a layer in Ray's object store.
    """

    # The most vectors in memory, in bytes; Ray's own blocks are not larger.
    chunk_bytes = 1 << 27

    def __init__(
        self,
        source: Any,
        options: Options,
        output_column: str,
        n_threads: int,
        uses_gpu: bool,
    ) -> None:
        _start_tensorflow(n_threads, uses_gpu)
        layer = _layer(source, options)
        self.options = options
        self.output_column = output_column
        self.max_tokens = options.max_tokens_for(layer.max_tokens)
        self.split = options.split_for(layer.split)
        row_shape = options.row_shape(layer)
        self.row_bytes = math.prod(row_shape) * np.dtype(options.dtype).itemsize
        self.embedder = Embedder(layer, options)

    def __call__(self, table: Any) -> Iterator[Any]:
        """Yields the parts of a ``pyarrow.Table`` with vectors, in the order of the rows.

        If a worker fails, Ray keeps the parts that it has yielded, gives its rows to
        another worker, and skips that many of its parts. So the content and the order of a
        part must depend only on the rows.
        """
        check_columns(table.column_names, self.options.column, self.output_column)
        table, sentences = self._readable(table)
        pooled = self.options.pooled
        n_rows = [1 if pooled else sentence.n_tokens for sentence in sentences]
        # The vectors of each part must fit into memory.
        for part in plan_batches(n_rows, len(n_rows), self.chunk_bytes // self.row_bytes):
            chunk = [sentences[i] for i in part]
            vectors: list[Floats] = [np.empty(0)] * len(chunk)
            for rows, arrays in self.embedder.batches(chunk):
                for i, array in zip(rows, arrays, strict=True):
                    vectors[i] = array  # ([tokens,] [n_layers + 1,] D)
            column = _tensor_column(vectors, bool(pooled))
            rows_of_part = table.slice(int(part[0]), len(part))
            yield rows_of_part.append_column(self.output_column, column)

    def _readable(self, table: Any) -> tuple[Any, list[Sentence]]:
        """The rows that can be embedded, and their sentences."""
        on_error = self.options.on_error
        values = table.column(self.options.column).to_pylist()
        # Rows are treated like lines of files.
        found = [
            make_sentence(_record(number, value), True, self.split, self.max_tokens)
            for number, value in enumerate(values, 1)
        ]
        is_good = [problem is None for _, problem in found]
        bad = [
            f"{_beginning(value)}: {problem}"
            for value, (_, problem) in zip(values, found, strict=True)
            if problem is not None
        ]
        if bad and on_error == "fail":
            more = ["and perhaps more"] * (len(bad) > MAX_BAD_LINES_KEPT)
            listed = "\n".join([*bad[:MAX_BAD_LINES_KEPT], *more])
            raise ValueError(
                f"dataset: the column {self.options.column!r} of these rows cannot be "
                f"embedded:\n{listed}\nFix them, or choose on_error='repair' or 'skip'."
            )
        done = "left out" if on_error == "skip" else "repaired"
        for row in bad:
            logger.warning("row %s; %s", row, done)
        sentences = [sentence for sentence, _ in found]
        if not bad or on_error == "repair":
            return table, sentences
        return table.filter(is_good), list(itertools.compress(sentences, is_good))


def check_columns(names: list[str], column: str | None, output_column: str) -> None:
    listed = ", ".join(map(repr, names))[:200]
    if column not in names:
        raise ValueError(
            f"column must name the dataset's column of texts, one of {listed}; got "
            f"{column!r}."
        )
    if output_column in names:
        raise ValueError(
            f"output_column={output_column!r} is already a column of the dataset, which "
            f"has {listed}. Choose another name for the vectors."
        )


def _start_tensorflow(n_threads: int, uses_gpu: bool) -> None:
    """Leaves the machine's other processors, and the GPUs, to other workers."""
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(n_threads)
        tf.config.threading.set_inter_op_parallelism_threads(n_threads)
        if not uses_gpu:
            tf.config.set_visible_devices([], "GPU")
        for gpu in tf.config.get_visible_devices("GPU"):
            # Otherwise the first worker takes all memory of a shared GPU.
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        logger.warning(
            "TensorFlow was already used in this process: its threads and devices stay "
            "unchanged."
        )


def _layer(source: Any, options: Options) -> ElmoEmbeddingLayer:
    if not isinstance(source, str):
        import ray

        source = ray.get(source)
    return embedding_layer(source, options.output_mode)


def _record(number: int, value: Any) -> Record:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        return Record(number, value)
    kind = "missing" if value is None else f"not a string, but {type(value).__name__}"
    return Record(number, "", kind)


def _beginning(value: Any) -> str:
    """The start of a row's text, which identifies it: rows have no numbers."""
    if isinstance(value, (str, bytes)) and len(value) > _SHOWN_CHARACTERS:
        return f"{value[:_SHOWN_CHARACTERS]!r}..."
    return f"{value!r:.{_SHOWN_CHARACTERS}}"


def _tensor_column(vectors: list[Floats], pooled: bool | None) -> Any:
    """A column of Ray's tensors, with the same shape if pooled."""
    from ray.data.extensions import ArrowTensorArray, ArrowVariableShapedTensorArray

    if pooled:
        return ArrowTensorArray.from_numpy(np.stack(vectors))
    # Even if all lengths are equal, as in a block of one row: a column has one type.
    return ArrowVariableShapedTensorArray.from_numpy(vectors)
