"""The options for embedding texts, on one machine and on a cluster."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.text.reader import OnError
from keras_elmo.types import (
    OutputMode,
    Split,
    check_one_of,
    check_positive_integer,
    check_true_or_false,
)

Layers = Literal["all", "top", "average", "mix"]
"""Which layers are kept."""

OPTIONS_OF_VECTORS = ("layers", "pooled", "dtype", "sentence_keys", "forget_sentences")


@dataclasses.dataclass(frozen=True)
class Options:
    """The arguments of :func:`~keras_elmo.compute_features`, checked."""

    layers: Layers = "all"
    pooled: bool | None = None
    dtype: str = "float32"
    input_format: str | None = None
    column: str | None = None
    on_error: OnError = "fail"
    max_tokens: int = 10_000
    sentence_keys: bool = False
    forget_sentences: bool = False
    batch_size: int = 128
    token_budget: int = 16384
    split: Split | None = None

    def __post_init__(self) -> None:
        check_one_of("layers", self.layers, get_args(Layers))
        check_one_of("dtype", self.dtype, ("float32", "float16"))
        check_one_of("on_error", self.on_error, get_args(OnError))
        for name in ("max_tokens", "batch_size", "token_budget"):
            check_positive_integer(name, getattr(self, name))
        for name in ("sentence_keys", "forget_sentences"):
            check_true_or_false(name, getattr(self, name))
        if self.split is not None:
            check_one_of("split", self.split, get_args(Split))
        if self.pooled is not None:
            check_true_or_false("pooled", self.pooled)

    def for_source(self, source: Any) -> Options:
        """These options, with the default of ``pooled`` for a source."""
        if self.pooled is not None:
            return self
        is_layer = isinstance(source, ElmoEmbeddingLayer)
        is_pooled = is_layer and source.output_mode == "pooled_layers"
        return dataclasses.replace(self, pooled=is_pooled)

    @property
    def output_mode(self) -> OutputMode:
        """The output mode of the layer that computes the vectors."""
        if self.layers == "mix":
            return "default" if self.pooled else "elmo"
        return "pooled_layers" if self.pooled else "layers"

    def max_tokens_for(self, layer_max_tokens: int | None) -> int | None:
        """The most tokens of a text; no limit if the layer keeps fewer tokens."""
        is_cut = layer_max_tokens is not None and layer_max_tokens <= self.max_tokens
        return None if is_cut else self.max_tokens

    def split_for(self, layer_split: Split) -> Split:
        if layer_split != "space" and self.split not in (None, layer_split):
            raise ValueError(
                f"split={self.split!r}: the source is a layer with its own "
                f"split={layer_split!r}. Leave it out."
            )
        return self.split or layer_split

    def row_shape(self, layer: ElmoEmbeddingLayer) -> tuple[int, ...]:
        """The shape that is kept for a token, or for a pooled sentence."""
        if self.layers == "all":
            return (layer.n_layers + 1, layer.output_dim)
        return (layer.output_dim,)
