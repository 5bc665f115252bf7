"""The options for embedding texts, on one machine and on a cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
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

Layers = Literal["all", "top", "average", "sum", "mix"]
"""Which layers are kept."""

Pooled = bool | Literal["mean", "sum"] | None
"""Whether one vector is kept for a text: ``True`` is its tokens' mean."""

MAX_TOKENS = 10_000
MAX_RESIDUES = 50_000
"""What makes a text too long by default; titin, a protein, has about 35,000 residues."""

OPTIONS_OF_VECTORS = ("layers", "pooled", "dtype", "sentence_keys", "forget_sentences")


@dataclasses.dataclass(frozen=True)
class Options:
    """The arguments of :func:`~keras_elmo.compute_features`, checked."""

    layers: Layers = "all"
    pooled: Pooled = None
    dtype: str = "float32"
    input_format: str | None = None
    column: str | None = None
    on_error: OnError = "fail"
    max_tokens: int | None = None
    sentence_keys: bool | None = None
    forget_sentences: bool = False
    batch_size: int = 128
    token_budget: int = 16384
    split: Split | None = None

    def __post_init__(self) -> None:
        check_one_of("layers", self.layers, get_args(Layers))
        check_one_of("dtype", self.dtype, ("float32", "float16"))
        check_one_of("on_error", self.on_error, get_args(OnError))
        for name in ("batch_size", "token_budget"):
            check_positive_integer(name, getattr(self, name))
        if self.max_tokens is not None:
            check_positive_integer("max_tokens", self.max_tokens)
        if self.sentence_keys is not None:
            check_true_or_false("sentence_keys", self.sentence_keys)
        check_true_or_false("forget_sentences", self.forget_sentences)
        if self.split is not None:
            check_one_of("split", self.split, get_args(Split))
        if isinstance(self.pooled, str):
            check_one_of("pooled", self.pooled, ("mean", "sum"))
        elif self.pooled is not None:
            check_true_or_false("pooled", self.pooled)
        if self.pooled == "mean":
            object.__setattr__(self, "pooled", True)  # the same, by its other name

    def for_source(self, source: Any) -> Options:
        """These options, with the default of ``pooled`` for a source."""
        if self.pooled is not None:
            return self
        is_layer = isinstance(source, ElmoEmbeddingLayer)
        is_pooled = is_layer and source.output_mode == "pooled_layers"
        return dataclasses.replace(self, pooled=is_pooled)

    def for_texts(self, kinds: Collection[str], can_have_keys: bool) -> Options:
        """These options, with what is left out as files of these kinds have it."""
        if "fasta" in kinds and len(kinds) > 1:
            raise ValueError(
                "texts: FASTA files have other defaults than others. Give them by "
                "themselves."
            )
        is_fasta = "fasta" in kinds
        keys = self.sentence_keys
        if keys is None and (self.forget_sentences or not can_have_keys):
            keys = False
        return dataclasses.replace(
            self,
            sentence_keys=keys,
            split=self.split or ("character" if is_fasta else None),
            max_tokens=self.max_tokens or (MAX_RESIDUES if is_fasta else MAX_TOKENS),
        )

    @property
    def output_mode(self) -> OutputMode:
        """The output mode of the layer that computes the vectors."""
        if self.layers == "mix":
            return "default" if self.pooled else "elmo"
        return "pooled_layers" if self.pooled else "layers"

    def max_tokens_for(self, layer_max_tokens: int | None) -> int | None:
        """The most tokens of a text; no limit if the layer keeps fewer tokens."""
        limit = self.max_tokens or MAX_TOKENS
        is_cut = layer_max_tokens is not None and layer_max_tokens <= limit
        return None if is_cut else limit

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
