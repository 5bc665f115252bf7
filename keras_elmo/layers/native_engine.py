"""The layer's own computation: distinct words, their cache, the biLM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.layers.arrays import assign_arrays, collect_arrays, create_from_arrays
from keras_elmo.layers.distinct_words import distinct_words
from keras_elmo.layers.elmo_bilm import ElmoBiLM
from keras_elmo.layers.output_modes import OUTPUTS
from keras_elmo.layers.token_lookup import TokenLookup
from keras_elmo.layers.vocabulary_cache import VocabularyCache
from keras_elmo.types import Arrays, FineTune, InputMode, OutputMode, Stateful, Tensor


class NativeEngine(keras.Layer):
    """An :class:`~keras_elmo.layers.engine.Engine` of the stages in this folder."""

    def __init__(
        self,
        config: ElmoConfig,
        output_mode: OutputMode,
        input_mode: InputMode,
        fine_tune: FineTune,
        stateful: Stateful,
        keep_sentence_boundaries: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        depth = OUTPUTS[output_mode].depth(config.n_layers)
        if depth > config.n_layers:
            raise ValueError(
                f"output_mode={output_mode!r} needs {depth} LSTM layers; this model "
                f"has {config.n_layers}."
            )
        self.config = config
        self.output_mode = output_mode
        self.input_mode = input_mode
        self.n_layers = config.n_layers
        self.output_dim = config.output_dim
        self.max_characters_per_token = config.max_characters_per_token
        self.token_lookup = TokenLookup(config.token_ids)
        self.bilm = ElmoBiLM(
            config,
            depth,
            fine_tune,
            stateful,
            keep_sentence_boundaries=keep_sentence_boundaries,
            name="bilm",
            dtype=self.dtype_policy,
        )
        self.vocabulary_cache = VocabularyCache(
            config.projection_dim, name="vocabulary_cache", dtype=self.dtype_policy
        )

    @property
    def trainable(self) -> bool:
        return bool(super().trainable)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.Layer.trainable.fset(self, value)
        if self.bilm.token_encoder.trainable:
            self.vocabulary_cache.clear()  # training makes it outdated

    def create_weights(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        with keras.name_scope(self.name, caller=self):
            create_from_arrays(self.bilm, arrays)
        self.built = True

    def create_state(self, n_rows: int | None) -> None:
        self.bilm.build((n_rows, None, self.config.token_ids.length))

    def call(
        self, tokens: Tensor, is_token: Tensor, training: bool | None = None
    ) -> Tensor:
        if keras.backend.standardize_dtype(tokens.dtype) != "string":
            return self.bilm(tokens, training=training)
        words, places = distinct_words(tokens)  # (words,), (batch, time)
        vectors = self._word_vectors(words)  # (1 + words + 1, D / 2)
        return self.bilm.layers_of_words(vectors, places, is_token, training)

    def _word_vectors(self, words: Tensor) -> Tensor:
        """Token vectors of words and boundaries, from the cache if possible."""
        if self.bilm.token_encoder.trainable:
            return self._encode(words)
        return self.vocabulary_cache.word_vectors(words, self._encode)

    def _encode(self, words: Tensor) -> Tensor:
        return self.bilm.word_vectors(self.token_lookup(words))

    def cache_vocabulary(self, words: Iterable[str]) -> None:
        if self.input_mode == "character_ids":
            raise ValueError(
                "cache_vocabulary: needs engine='native' and strings as input; got "
                "input_mode='character_ids'."
            )
        if self.bilm.token_encoder.trainable:
            raise ValueError(
                "cache_vocabulary: the token encoder is trainable, so its vectors can "
                "change. Use another fine_tune than 'all', or set layer.trainable = False."
            )
        self.vocabulary_cache.fill(words, self._encode)

    def assign_arrays(self, arrays: Arrays) -> None:
        self.vocabulary_cache.clear()
        assign_arrays(self.bilm, arrays)

    def collect_arrays(self) -> dict[str, NDArray[np.float32]]:
        if self.bilm.depth < self.n_layers:
            raise ValueError(
                f"save_hdf5: with output_mode={self.output_mode!r} the layer does not hold "
                "the whole model; use output_mode='elmo'."
            )
        return collect_arrays(self.bilm)

    def reset_state(self) -> None:
        self.bilm.reset_state()

    def source_config(self) -> dict[str, Any]:
        return self.config.to_options()
