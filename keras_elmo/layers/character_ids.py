"""From text to character ids, in the TensorFlow graph."""

from __future__ import annotations

from typing import Any, get_args

import keras
from keras import ops

from keras_elmo import backends
from keras_elmo.layers.inputs import checked_inputs
from keras_elmo.layers.token_mask import token_mask
from keras_elmo.layers.truncation import first_tokens, truncated_time
from keras_elmo.text.characters import (
    BEGIN_WORD_ID,
    CHARACTER_PADDING_ID,
    END_WORD_ID,
    MAX_CHARACTERS_PER_TOKEN,
)
from keras_elmo.types import (
    InputMode,
    Shape,
    Tensor,
    check_characters_per_token,
    check_one_of,
    check_positive_integer,
)

PAD_TOKEN = "--PAD--"


@keras.saving.register_keras_serializable(package="keras_elmo")
class CharacterIds(keras.Layer):
    """Turns sentences or tokens into character ids.

    A token becomes its UTF-8 bytes + 1 between a begin-word and an end-word mark,
    padded or cut to ``max_characters_per_token``; see :mod:`keras_elmo.text.characters`. A
    sentence is split on the space character only, and empty pieces are dropped, as in
    the ``default`` signature of the TF1 Hub modules: other white space belongs to the
    tokens. Any bytes are accepted. Strings need the TensorFlow backend.

    Args:
        input_mode: ``"sentences"``, ``"tokens"`` (a token may contain spaces) or
            ``"character_ids"``, which only applies ``max_tokens``.
        pad_token: In ``"tokens"`` mode this token is padding, as is ``""``.
        max_tokens: Keep the first ``max_tokens`` tokens of each sentence, where padding
            does not count; ``None`` for all.
        max_characters_per_token: Length of a token's row of ids.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        inputs: Strings (batch,) or (batch, 1) for ``"sentences"``, strings (batch,
            time), dense or ragged, for ``"tokens"``, or integers (batch, time,
            max_characters_per_token). Lists and NumPy arrays are accepted too.

    Returns:
        int32 (batch, time, max_characters_per_token). Rows of zeros are padding. Tokens
        and ids stay in their positions. Time is that of the longest sentence, and at
        least 1.
        Where ``max_tokens`` cuts, the time axis ends at ``max_tokens``, or at the last
        kept token if padding has moved that further back. On the JAX backend, where
        shapes do not depend on values, it keeps its length.

    Raises:
        ValueError: An argument is out of its range, or needs the TensorFlow backend; or
            the inputs have a wrong shape.
        TypeError: The inputs have another type than the mode takes.
    """

    def __init__(
        self,
        input_mode: str = "sentences",
        pad_token: str = PAD_TOKEN,
        max_tokens: int | None = None,
        max_characters_per_token: int = MAX_CHARACTERS_PER_TOKEN,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_mode = check_one_of("input_mode", input_mode, get_args(InputMode))
        backends.check_input_mode(input_mode)
        if not isinstance(pad_token, str):
            raise TypeError(f"pad_token must be a string; got {pad_token!r}.")
        self.pad_token = pad_token
        if max_tokens is not None:
            check_positive_integer("max_tokens", max_tokens)
        self.max_tokens = max_tokens
        self.max_characters_per_token = check_characters_per_token(
            "max_characters_per_token", max_characters_per_token
        )
        # XLA has no strings.
        self.supports_jit = input_mode == "character_ids"
        self.built = True

    def __call__(self, inputs: Any, **kwargs: Any) -> Tensor:
        """Converts lists, arrays and ragged tensors before Keras sees them."""
        inputs = checked_inputs(inputs, self.input_mode, self.max_characters_per_token)
        return super().__call__(inputs, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Splits, cuts and looks up."""
        if self.input_mode == "character_ids":
            # Below 0 is padding too, as in many a pipeline.
            ids = ops.maximum(ops.cast(inputs, "int32"), 0)  # (batch, time, characters)
            kept, time = first_tokens(token_mask(ids), self.max_tokens)  # (batch, time)
            return _with_a_step(ops.where(kept[..., None], ids, 0)[:, :time])
        return self.ids(self.tokens(inputs))

    def ids(self, tokens: Tensor) -> Tensor:
        """The ids of tokens.

        Args:
            tokens: Strings of any shape, where ``""`` is padding.

        Returns:
            int32 (..., max_characters_per_token); zeros at padding.
        """
        ids = self.word_ids(tokens)  # (..., length)
        return ops.where((tokens != "")[..., None], ids, 0)  # (..., length)

    def word_ids(self, words: Tensor) -> Tensor:
        """The ids of words.

        Args:
            words: Strings of any shape, where ``""`` is a word of no characters.

        Returns:
            int32 (..., max_characters_per_token).
        """
        return _word_ids(words, self.max_characters_per_token)

    def tokens(self, inputs: Tensor) -> Tensor:
        """The tokens that the ids are made of.

        Args:
            inputs: A string tensor as for the call; not character ids.

        Returns:
            Strings (batch, time), where ``""`` is padding.
        """
        import tensorflow as tf

        if self.input_mode == "sentences":
            return _with_a_step(_split(inputs, self.max_tokens))  # (batch, time)
        tokens = tf.where(tf.equal(inputs, self.pad_token), "", inputs)  # (batch, time)
        kept, time = first_tokens(tf.not_equal(tokens, ""), self.max_tokens)
        return _with_a_step(tf.where(kept, tokens, "")[:, :time])  # (batch, time)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """The ids' shape and dtype."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), "int32")

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The ids' shape: (batch, time, max_characters_per_token)."""
        time = None
        if self.input_mode != "sentences":
            time = truncated_time(input_shape[1], self.max_tokens)
            time = time if time is None else max(time, 1)
        return (input_shape[0], time, self.max_characters_per_token)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {
            **super().get_config(),
            "input_mode": self.input_mode,
            "pad_token": self.pad_token,
            "max_tokens": self.max_tokens,
            "max_characters_per_token": self.max_characters_per_token,
        }


def _split(sentences: Tensor, max_tokens: int | None) -> Tensor:
    """Splits sentences (batch,) or (batch, 1) into tokens (batch, time), "" behind."""
    import tensorflow as tf

    if sentences.shape.rank == 2:
        sentences = tf.squeeze(sentences, 1)  # (batch,)
    pieces = tf.strings.split(sentences, sep=" ")  # (batch, ragged)
    pieces = tf.ragged.boolean_mask(pieces, tf.not_equal(pieces, ""))
    return pieces[:, :max_tokens].to_tensor("")  # (batch, time)


def _with_a_step(rows: Tensor) -> Tensor:
    """Gives rows (batch, time, ...) that are all empty one step of padding.

    Recurrent layers downstream cannot take no steps at all.
    """
    if rows.shape[1] not in (0, None):
        return rows
    if rows.shape[1] is None:
        import tensorflow as tf

        missing = tf.maximum(1 - tf.shape(rows)[1], 0)
        shape = tf.concat([tf.shape(rows)[:1], [missing], tf.shape(rows)[2:]], axis=0)
        return tf.concat([rows, tf.zeros(shape, rows.dtype)], axis=1)
    if keras.backend.standardize_dtype(rows.dtype) == "string":
        import tensorflow as tf

        return tf.fill([tf.shape(rows)[0], 1], "")
    return ops.zeros((ops.shape(rows)[0], 1, *rows.shape[2:]), rows.dtype)


def _word_ids(tokens: Tensor, length: int) -> Tensor:
    """Character ids (batch, time, length) of string tokens (batch, time)."""
    import tensorflow as tf

    n_bytes = tf.minimum(tf.strings.length(tokens), length - 2)  # (batch, time)
    # One byte more than fits, so that the end mark has a place after the last.
    data = tf.io.decode_raw(tokens, tf.uint8, fixed_length=length - 1)
    ids = tf.cast(data, tf.int32) + 1  # (batch, time, length - 1)
    positions = tf.range(length - 1)  # (length - 1,)
    end = n_bytes[..., None]  # (batch, time, 1)
    ids = tf.where(positions < end, ids, CHARACTER_PADDING_ID)
    ids = tf.where(positions == end, END_WORD_ID, ids)  # (batch, time, length - 1)
    before = [[0, 0]] * tokens.shape.rank + [[1, 0]]
    return tf.pad(ids, before, constant_values=BEGIN_WORD_ID)  # (batch, time, length)
