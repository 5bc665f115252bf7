"""A layer and a head that was trained on its features, in one model."""

from __future__ import annotations

from typing import Any

import keras

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.training.feature_layer import checked_layer
from keras_elmo.types import Tensor


def join_head(layer: ElmoEmbeddingLayer, head: keras.Model) -> keras.Model:
    """Joins a layer and a head to a model that takes strings.

    It predicts what the head predicts from the layer's features. The weights are those of
    the layer and of the head, not copies.

    Args:
        layer: The layer that computed the features, with ``output_mode="pooled_layers"``
            or ``"layers"``.
        head: A model that takes features. On token-level features it finds the padding
            by itself, by a :class:`~keras_elmo.training.MaskPadding` at its beginning.

    Returns:
        A model from strings (batch,) to what the head gives out. It is not compiled. It
        saves and loads like any other.

    Raises:
        TypeError: ``layer`` is no :class:`~keras_elmo.ElmoEmbeddingLayer`, or ``head`` no
            ``keras.Model``.
        ValueError: The layer gives no features, or the head takes others.
    """
    checked_layer(layer)
    if not isinstance(head, keras.Model):
        raise TypeError(
            f"head must be a keras.Model; got {head!r:.100} of type {type(head).__name__}."
        )
    text = keras.Input((), dtype="string")
    features = layer(text)  # (batch, [time,] n_layers + 1, D)
    _check_shapes(head, features)
    # The copy has no mask: the head has none for stored features either, and finds its own.
    features = keras.ops.copy(features)
    return keras.Model(text, head(features))


def _check_shapes(head: keras.Model, features: Tensor) -> None:
    inputs: Any = getattr(head, "inputs", None)  # None before it is built
    if inputs is None:
        return
    shapes = [tuple(tensor.shape) for tensor in inputs]
    if len(shapes) != 1 or not _fits(shapes[0], tuple(features.shape)):
        raise ValueError(
            f"head must take the layer's features, of shape {tuple(features.shape)}; it "
            f"takes {', '.join(map(str, shapes))}. Is it for another layer or output mode?"
        )


def _fits(shape: tuple[int | None, ...], features: tuple[int | None, ...]) -> bool:
    return len(shape) == len(features) and all(
        None in (a, b) or a == b for a, b in zip(shape, features, strict=True)
    )
