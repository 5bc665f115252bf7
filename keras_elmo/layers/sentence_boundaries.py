"""Adds the start and the end of a sentence to character ids."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_elmo.text.lexicon import boundary_ids
from keras_elmo.types import Tensor, check_integer


@keras.saving.register_keras_serializable(package="keras_elmo")
class SentenceBoundaries(keras.Layer):
    """Adds the word for the start of a sentence before each row, and for the end after it.

    The end is at the last step, after any padding. Its position does not matter, because
    the LSTMs carry their state unchanged through padding.

    Args:
        boundary_words: The ids of the words begin and end of sentence, if the first id of a
            token is that of its word; ``None`` for a model of characters alone.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        character_ids: Integers (batch, time, length), the ids of tokens.

    Returns:
        Integers (batch, time + 2, length).
    """

    def __init__(
        self, boundary_words: tuple[int, int] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.boundary_words: tuple[int, int] | None = None
        if boundary_words is not None:
            begin, end = (
                check_integer("boundary_words: an id", word, 1) for word in boundary_words
            )
            self.boundary_words = begin, end

    def call(self, character_ids: Tensor) -> Tensor:
        batch, _, length = ops.shape(character_ids)

        begin, end = (
            ops.broadcast_to(ops.cast(ids, character_ids.dtype), (batch, 1, length))
            for ids in boundary_ids(length, self.boundary_words)
        )
        return ops.concatenate([begin, character_ids, end], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "boundary_words": self.boundary_words}


def around_tokens(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Moves the start right before the first token, and the end right after the last.

    Args:
        mask: Booleans (batch, time), true at tokens.

    Returns:
        The source of each step, int32 (batch, time + 2), among steps (batch, time + 2) of
        which the boundaries are the first and the last; and booleans, true at the tokens
        and boundaries of the result. Without tokens, the boundaries come first.
    """
    time = ops.shape(mask)[1]
    tokens = ops.arange(time, dtype="int32")  # (time,)
    # The initial values are for batches without columns.
    last = ops.max(ops.where(mask, tokens, -1), axis=1, keepdims=True, initial=-1)
    first = ops.min(ops.where(mask, tokens, time), axis=1, keepdims=True, initial=time)
    steps = ops.arange(time + 2, dtype="int32")[None]  # (1, time + 2)
    is_begin = steps == ops.where(last < 0, 0, first)  # (batch, time + 2)
    is_end = steps == last + 2  # (batch, time + 2)
    sources = ops.where(is_begin, 0, ops.where(is_end, time + 1, steps))
    # As numbers: booleans that tf2onnx pads are not loaded by ONNX Runtime.
    is_token = ops.pad(ops.cast(mask, "int32"), [[0, 0], [1, 1]]) != 0
    return sources, is_token | is_begin | is_end
