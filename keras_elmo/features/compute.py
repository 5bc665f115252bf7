"""From texts to a file of features, in one pass that can be interrupted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from keras_elmo import checks
from keras_elmo.batching import Indices, plan_batches
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.features.feature_file import FeatureFile
from keras_elmo.features.feature_layer import TOKEN_LEVEL, checked_layer
from keras_elmo.features.fingerprint import fingerprint
from keras_elmo.features.token_features import TokenFeatures
from keras_elmo.texts import read_texts, token_counts
from keras_elmo.types import PathLike

SECONDS_BETWEEN_RECORDS = 10.0
_DTYPES = ("float32", "float16")


def compute_features(
    layer: ElmoEmbeddingLayer,
    texts: Any,
    path: PathLike,
    *,
    dtype: str = "float32",
    batch_size: int = 128,
    token_budget: int = 16384,
    progress: bool = True,
) -> NDArray[Any] | TokenFeatures:
    """Computes the layers of each text once, into a file, to train on many times.

    Interrupted or killed, and called again with the same arguments, it goes on where it
    was, give or take the last seconds, and ends in the same file. If the file is complete,
    it is opened. While it is not, its name has ``.part`` behind it. A small file with
    ``.json`` behind its name tells what the features are of: of other texts, another layer
    or another dtype none are added. Neither the features nor the file are held in memory.

    Args:
        layer: With ``output_mode="pooled_layers"``, for features of whole texts, or
            ``"layers"``, for features of tokens.
        texts: As for :func:`~keras_elmo.text_dataset`: strings in any collection, or text
            files.
        path: The file to write. ``numpy.load(path, mmap_mode="r")`` reads it.
        dtype: ``"float32"``, or ``"float16"`` for half the size and three digits.
        batch_size: The most texts in a batch.
        token_budget: The most steps in a batch, padding included; with it goes the memory
            that is needed. A text that is longer by itself has a batch of its own.
        progress: Whether to show a progress bar.

    Returns:
        For ``"pooled_layers"`` an array (n, n_layers + 1, D), for ``"layers"``
        :class:`~keras_elmo.TokenFeatures`, whose rows are one file and whose offsets are
        another, with ``.offsets.npy`` behind its name. Both are memory-mapped and in the
        order of the texts. Texts without tokens have zeros, or no rows.

    Raises:
        TypeError: ``layer`` is no :class:`~keras_elmo.ElmoEmbeddingLayer`, or the texts are
            no strings.
        ValueError: The layer mixes its layers, is stateful or takes no sentences; a text is
            missing; an argument is out of its range; ``path`` was begun with something
            else; or a feature is not finite in ``dtype``.
        FileExistsError: ``path`` is another file.
        FileNotFoundError: There is no directory for it, or no such text file.
        OSError: The disk has not enough room.
    """
    checked_layer(layer)
    checks.one_of("dtype", dtype, _DTYPES)
    checks.positive_integer("batch_size", batch_size)
    checks.positive_integer("token_budget", token_budget)
    checks.true_or_false("progress", progress)
    encoded = read_texts(texts)
    lengths = token_counts(encoded, layer.max_tokens)  # (n,)
    is_token_level = layer.output_mode == TOKEN_LEVEL
    n_rows = lengths if is_token_level else np.ones_like(lengths)  # (n,)
    file = FeatureFile(
        Path(path),
        fingerprint(layer, encoded, dtype),
        np.concatenate([[0], np.cumsum(n_rows)]),  # (n + 1,)
        is_token_level,
        (layer.n_layers + 1, layer.output_dim),
        dtype,
    )
    if not file.is_complete():
        _fill(file, layer, encoded, lengths, batch_size, token_budget, progress)
    if is_token_level:
        return TokenFeatures.load(path)
    features: NDArray[Any] = np.load(path, mmap_mode="r")  # (n, n_layers + 1, D)
    return features


def _fill(
    file: FeatureFile,
    layer: ElmoEmbeddingLayer,
    texts: list[bytes],
    lengths: NDArray[np.int64],
    batch_size: int,
    token_budget: int,
    progress: bool,
) -> None:
    n_done = file.begin()
    # The longest first: if memory does not suffice, that shows at once.
    order = np.argsort(-lengths, kind="stable")  # (n,)
    rest = order[n_done:]
    plan = plan_batches(lengths[rest], batch_size, token_budget)
    batches = [rest[places] for places in plan]
    bar = tqdm(
        total=int(lengths.sum()),
        initial=int(lengths[order[:n_done]].sum()),
        desc="Features",
        unit=" tokens",
        unit_scale=True,
        disable=not progress,
    )
    try:
        with file, bar:
            recorded = time.monotonic()
            try:
                for rows, values in _computed(layer, texts, batches):
                    for i, text_values in zip(rows, values, strict=True):
                        if layer.output_mode == TOKEN_LEVEL:
                            text_values = text_values[: lengths[i]]  # (time_i, n, D)
                        file.write(i, _stored(text_values, file.dtype, i))
                    n_done += len(rows)
                    bar.update(int(lengths[rows].sum()))
                    if time.monotonic() - recorded >= SECONDS_BETWEEN_RECORDS:
                        file.save_progress(n_done)
                        recorded = time.monotonic()
            finally:
                file.save_progress(n_done)
    except NotFiniteError:
        # To go on would end here again.
        file.discard()
        raise
    file.complete()


def _computed(
    layer: ElmoEmbeddingLayer, texts: Sequence[bytes], batches: Sequence[Indices]
) -> Iterator[tuple[Indices, NDArray[Any]]]:
    """The indices and the features of each batch."""
    import tensorflow as tf

    # One program for batches of any size.
    signature = [tf.TensorSpec((None,), tf.string)]
    run = tf.function(lambda text: layer(text), signature, autograph=False)
    for rows in batches:
        values = run(tf.constant([texts[i] for i in rows], tf.string))
        yield rows, values.numpy()  # (batch, [time,] n_layers + 1, D)


def _stored(values: NDArray[Any], dtype: np.dtype[Any], text: int) -> NDArray[Any]:
    """The features as they are kept."""
    with np.errstate(over="ignore"):
        result = values.astype(dtype)
    if not np.isfinite(result).all():
        raise NotFiniteError(
            f"dtype: the features of the text at position {text} do not fit {dtype}: the "
            f"largest is {np.abs(values).max()!s}. Use dtype='float32' if that is finite; "
            "otherwise the layer's weights are wrong."
        )
    return result


class NotFiniteError(ValueError):
    """A feature that cannot be kept: infinite, not a number, or too large."""
