"""The interface of the engines of an :class:`~keras_elmo.ElmoEmbeddingLayer`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from keras_elmo.types import Arrays, Tensor


class Engine(Protocol):
    """A Keras layer with a few more methods that computes the layers of tokens."""

    n_layers: int
    output_dim: int
    max_characters_per_token: int
    bilm: Any
    vocabulary_cache: Any

    def __call__(
        self, tokens: Tensor, is_token: Tensor, training: bool | None = None
    ) -> Tensor:
        """From the tokens of ``layers_of_tokens`` to (batch, time, depth + 1, D)."""

    def create_weights(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Creates the weights from a model's arrays, or at random if there are none."""

    def create_state(self, n_rows: int | None) -> None:
        """Creates the state that is carried between batches of up to ``n_rows`` rows."""

    def assign_arrays(self, arrays: Arrays) -> None: ...

    def collect_arrays(self) -> dict[str, NDArray[np.float32]]:
        """The weights by name. Raises ``ValueError`` if some are missing."""

    def cache_vocabulary(self, words: Iterable[str]) -> None: ...

    def reset_state(self) -> None: ...

    def source_config(self) -> dict[str, Any]:
        """The model's shape, which a layer's configuration has instead of its source."""
