"""Which layers can give features."""

from __future__ import annotations

from typing import Any

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer

TOKEN_LEVEL = "layers"
POOLED = "pooled_layers"


def checked_layer(layer: Any) -> ElmoEmbeddingLayer:
    """Returns ``layer`` if it computes features from strings, or says why it does not.

    Raises:
        TypeError: It is no :class:`~keras_elmo.ElmoEmbeddingLayer`.
        ValueError: Its output is mixed or incomplete, its input is no sentences, or its
            vectors depend on the batch before.
    """
    if not isinstance(layer, ElmoEmbeddingLayer):
        raise TypeError(
            f"layer must be an ElmoEmbeddingLayer; got {layer!r:.100} of type "
            f"{type(layer).__name__}."
        )
    if layer.output_mode not in (TOKEN_LEVEL, POOLED):
        raise ValueError(
            "layer: features are all of its layers, which are mixed later; it must have "
            f"output_mode={POOLED!r} or {TOKEN_LEVEL!r}; got {layer.output_mode!r}."
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
    return layer
