"""From texts to a file of features, in one pass that can be interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.text.reader import Sentence, read_sentences
from keras_elmo.types import (
    PathLike,
    check_one_of,
    check_positive_integer,
    check_true_or_false,
)
from keras_elmo.vectors.embedder import Embedder
from keras_elmo.vectors.fill import fill
from keras_elmo.vectors.fingerprint import digest, fingerprint
from keras_elmo.vectors.partial_file import locked
from keras_elmo.vectors.row_file import RowFile
from keras_elmo.vectors.token_features import TokenFeatures
from keras_elmo.vectors.vectors import Vectors

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
            that is needed. A text that is longer by itself has a batch of its own. Where
            memory runs out, both become smaller by themselves.
        progress: Whether to show a progress bar.

    Returns:
        For ``"pooled_layers"`` an array (n, n_layers + 1, D), for ``"layers"``
        :class:`~keras_elmo.vectors.TokenFeatures`, whose rows are one file and whose
        offsets are another, with ``.offsets.npy`` behind its name. Both are memory-mapped
        and in the order of the texts. Texts without tokens have zeros, or no rows.

    Raises:
        TypeError: ``layer`` is no :class:`~keras_elmo.ElmoEmbeddingLayer`, or the texts are
            no strings.
        ValueError: The layer mixes its layers, is stateful or takes no sentences; a text is
            missing; an argument is out of its range; ``path`` was begun with something
            else, or is too long a name; or a feature is not finite in ``dtype``.
        FileExistsError: ``path`` is another file.
        FileNotFoundError: There is no directory for it, or no such text file.
        BlockingIOError: Another process is working on ``path``.
        MemoryError: There is not enough for a single text. What is done is kept.
        OSError: The disk has not enough room. What is done is kept.
    """
    _check_layer(layer)
    check_one_of("dtype", dtype, _DTYPES)
    check_positive_integer("batch_size", batch_size)
    check_positive_integer("token_budget", token_budget)
    check_true_or_false("progress", progress)
    pairs = [(s.tokens, s.n_tokens) for s in read_sentences(texts)]
    if not pairs:
        raise ValueError("texts must hold at least one text; got none.")
    encoded, lengths = [tokens for tokens, _ in pairs], np.array([n for _, n in pairs])
    if layer.max_tokens is not None:
        lengths = np.minimum(lengths, layer.max_tokens)  # (n,)
    is_token_level = layer.output_mode == "layers"
    n_rows = lengths if is_token_level else np.ones_like(lengths)  # (n,)
    file = RowFile(
        Path(path),
        fingerprint(layer, digest(encoded), dtype=dtype),
        np.concatenate([[0], np.cumsum(n_rows)]),  # (n + 1,)
        is_token_level,
        (layer.n_layers + 1, layer.output_dim),
        dtype,
    )
    with locked(file.path):
        if not file.is_complete():
            numbered = enumerate(zip(encoded, lengths, strict=True), 1)
            sentences = [Sentence(i, "", text, int(n)) for i, (text, n) in numbered]
            vectors = Vectors("all", pooled=not is_token_level)
            fill(
                file,
                file.write_rows if vectors.pooled else file.write_layers,
                Embedder(layer, vectors, dtype, batch_size, token_budget),
                # The longest first: if memory does not suffice, that shows at once.
                [(0, sentences)],
                lengths,
                file.begin(),
                "Features" if progress else None,
            )
    if is_token_level:
        return TokenFeatures.load(path)
    features: NDArray[Any] = np.load(path, mmap_mode="r")  # (n, n_layers + 1, D)
    return features


def _check_layer(layer: Any) -> None:
    if not isinstance(layer, ElmoEmbeddingLayer):
        raise TypeError(
            f"layer must be an ElmoEmbeddingLayer; got {layer!r:.100} of type "
            f"{type(layer).__name__}."
        )
    if layer.output_mode not in ("layers", "pooled_layers"):
        raise ValueError(
            "layer: features are all of its layers, which are mixed later; it must have "
            f"output_mode='pooled_layers' or 'layers'; got {layer.output_mode!r}."
        )
    if layer.input_mode != "sentences":
        raise ValueError(
            "layer: texts come as strings; it must have input_mode='sentences'; got "
            f"{layer.input_mode!r}. Join tokens by spaces."
        )
    if layer.stateful:
        raise ValueError(
            "layer: its vectors depend on the texts before; it must have stateful=False; "
            "got True."
        )
