"""Converts text to tokens and their character ids."""

from __future__ import annotations

from typing import Any, Self, get_args

import keras
from keras import ops

from keras_elmo import backends
from keras_elmo.layers.inputs import checked_inputs
from keras_elmo.layers.token_lookup import TokenLookup
from keras_elmo.layers.token_mask import token_mask
from keras_elmo.text.characters import MAX_CHARACTERS_PER_TOKEN
from keras_elmo.text.lexicon import Lexicon, TokenIds
from keras_elmo.text.tips import give_tips
from keras_elmo.text.tokenization import WHITE_SPACE, re2_pattern
from keras_elmo.types import (
    InputMode,
    Shape,
    Split,
    Tensor,
    check_characters_per_token,
    check_one_of,
    check_positive_integer,
)

PAD_TOKEN = "--PAD--"


@keras.saving.register_keras_serializable(package="keras_elmo")
class CharacterIds(keras.Layer):
    """Converts sentences or tokens to character ids.

    The ids of a token are its UTF-8 bytes + 1 between the marks for the start and the end
    of a word, padded or cut to ``max_characters_per_token``; see
    ``keras_elmo.text.characters``. Models with a ``lexicon`` have other ids. Any bytes are
    accepted. Strings need the TensorFlow backend.

    Args:
        input_mode: ``"sentences"``, ``"tokens"`` (a token may contain spaces) or
            ``"character_ids"``, which only applies ``max_tokens``.
        pad_token: In ``"tokens"`` mode this token is padding, as is ``""``.
        max_tokens: Keep the first ``max_tokens`` tokens of each sentence, not counting
            padding; ``None`` for all.
        max_characters_per_token: The number of ids per token.
        split: How ``"sentences"`` are split:

            - ``"space"``: at the space character only, without empty pieces, as in the
              ``default`` signature of the TF1 Hub modules. Other white space belongs to
              the tokens.
            - ``"words"``: raw text, into words and punctuation marks, as
              :func:`~keras_elmo.tokenize` does.
            - ``"character"``: each Unicode character that is not white space is a token:
              for proteins, or text without spaces between words.

            With the last two, a byte that is not UTF-8 is a token.
        lexicon: The words and Unicode characters of a model that has its own: a token
            becomes the id of its word, if the model knows words, and those of its
            characters, if it reads them. ``None`` for bytes.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        inputs: Strings (batch,) or (batch, 1) for ``"sentences"``, strings (batch,
            time), dense or ragged, for ``"tokens"``, or integers (batch, time, length).
            Lists and NumPy arrays are accepted too.

    Returns:
        int32 (batch, time, length), where length is ``max_characters_per_token``, and one
        more for the word with a lexicon that has words; 1 with a lexicon of words alone.
        Rows of zeros are padding. Tokens and ids keep their positions. Time is the length
        of the longest sentence, and at least 1. If ``max_tokens`` cuts, the time axis ends
        at ``max_tokens``, or at the last kept token if padding moves it further. On the JAX
        backend, where shapes cannot depend on values, the time axis keeps its length.

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
        split: Split = "space",
        lexicon: Lexicon | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_mode = check_one_of("input_mode", input_mode, get_args(InputMode))
        backends.check_input_mode(input_mode)
        if not isinstance(pad_token, str):
            raise TypeError(f"pad_token must be a string; got {pad_token!r}.")
        self.pad_token = pad_token
        if max_tokens is not None:
            max_tokens = check_positive_integer("max_tokens", max_tokens)
        self.max_tokens = max_tokens
        self.max_characters_per_token = check_characters_per_token(
            "max_characters_per_token", max_characters_per_token
        )
        self.lexicon = lexicon
        self.token_ids = TokenIds(self.max_characters_per_token, lexicon)
        self.token_lookup = TokenLookup(self.token_ids)
        self.split = check_one_of("split", split, get_args(Split))
        if split != "space" and input_mode != "sentences":
            raise ValueError(
                f"split={split!r} splits sentences, but input_mode={input_mode!r} takes "
                "tokens. Leave it out, or use input_mode='sentences'."
            )
        self.supports_jit = input_mode == "character_ids"  # XLA has no strings
        self.built = True

    def __call__(self, inputs: Any, **kwargs: Any) -> Tensor:
        return super().__call__(self.checked(inputs), **kwargs)

    def checked(self, inputs: Any) -> Tensor:
        """Converts lists, arrays and ragged tensors to tensors; raises like the call."""
        tensor = checked_inputs(inputs, self.input_mode, self.token_ids.largest)
        # Lists and arrays come from direct calls of the layer; in a graph, their tensors
        # have no values yet.
        is_by_hand = tensor is not inputs and hasattr(tensor, "numpy")
        if is_by_hand and self.input_mode == "sentences":
            most = self.max_characters_per_token - 2
            give_tips(tensor.numpy().ravel(), self.split, most, stacklevel=3)
        return tensor

    def call(self, inputs: Tensor) -> Tensor:
        tokens = self.tokens(inputs)
        if self.input_mode == "character_ids":
            return tokens
        ids = self.token_lookup(tokens)  # (batch, time, length)
        return ops.where(token_mask(tokens)[..., None], ids, 0)

    def tokens(self, inputs: Tensor) -> Tensor:
        """The first step: splits, and keeps ``max_tokens``.

        Args:
            inputs: A tensor, as for the call.

        Returns:
            Strings (batch, time), where ``""`` is padding; or ids as the call returns them.
        """
        if self.input_mode == "character_ids":
            # Negative ids are padding too, as in many pipelines. Ids beyond int32 would
            # wrap: they become the first id that no embedding has.
            ids = ops.clip(inputs, 0, self.token_ids.largest + 1)  # (batch, time, length)
            ids = ops.cast(ids, "int32")
            if self.max_tokens is not None:
                kept, time = _first_tokens(token_mask(ids), self.max_tokens)
                ids = ops.where(kept[..., None], ids, 0)[:, :time]
            return _with_a_step(ids)

        import tensorflow as tf

        if self.input_mode == "sentences":
            tokens = _split(inputs, self.split, self.max_tokens)  # (batch, time)
            return _with_a_step(tokens)
        tokens = tf.where(inputs == self.pad_token, "", inputs)  # (batch, time)
        if self.max_tokens is not None:
            kept, time = _first_tokens(token_mask(tokens), self.max_tokens)
            tokens = tf.where(kept, tokens, "")[:, :time]
        return _with_a_step(tokens)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), "int32")

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        batch, *rest = input_shape
        time = None
        if self.input_mode != "sentences" and rest[0] is not None:
            is_cut = self.max_tokens is not None and rest[0] > self.max_tokens
            if backends.has_static_shapes() or not is_cut:
                time = max(rest[0], 1)
        return (batch, time, self.token_ids.length)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_mode": self.input_mode,
            "pad_token": self.pad_token,
            "max_tokens": self.max_tokens,
            "max_characters_per_token": self.max_characters_per_token,
            "split": self.split,
            "lexicon": None if self.lexicon is None else self.lexicon.to_dict(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        lexicon = config.get("lexicon")
        if lexicon is not None:
            lexicon = Lexicon.from_dict(lexicon)
        return cls(**{**config, "lexicon": lexicon})


def _split(sentences: Tensor, split: Split, max_tokens: int | None) -> Tensor:
    """Splits sentences (batch,) or (batch, 1) into tokens (batch, time), padded with ""."""
    import tensorflow as tf

    if sentences.shape.rank == 2:
        sentences = tf.squeeze(sentences, 1)  # (batch,)
    if split != "space":
        sentences = tf.strings.regex_replace(sentences, WHITE_SPACE, " ")
        # The whole match, and a space after it.
        sentences = tf.strings.regex_replace(sentences, re2_pattern(split), r"\0 ")
    pieces = tf.strings.split(sentences, sep=" ")  # (batch, ragged)
    pieces = tf.ragged.boolean_mask(pieces, tf.not_equal(pieces, ""))
    return pieces[:, :max_tokens].to_tensor("")  # (batch, time)


def _first_tokens(mask: Tensor, max_tokens: int) -> tuple[Tensor, int | Tensor]:
    """Which tokens (batch, time) are kept, and the length to cut the time axis to."""
    time = ops.shape(mask)[1]
    counts = ops.cumsum(ops.cast(mask, "int32"), axis=1)  # (batch, time)
    kept = ops.logical_and(mask, counts <= max_tokens)  # (batch, time)
    if backends.has_static_shapes():
        return kept, time
    ends = ops.where(kept, ops.arange(1, time + 1, dtype="int32"), 0)  # (batch, time)
    # The initial value is for batches without rows or columns.
    last = ops.max(ends, initial=0)  # ()
    return kept, ops.maximum(last, ops.minimum(time, max_tokens))


def _with_a_step(rows: Tensor) -> Tensor:
    """Adds a step of padding to rows (batch, time, ...) without steps."""
    # Recurrent layers downstream need at least one step.
    if rows.shape[1] not in (0, None):
        return rows
    if not backends.is_tensorflow():
        return ops.zeros((ops.shape(rows)[0], 1, *rows.shape[2:]), rows.dtype)
    import tensorflow as tf

    missing = tf.maximum(1 - tf.shape(rows)[1], 0)
    shape = tf.concat([tf.shape(rows)[:1], [missing], tf.shape(rows)[2:]], axis=0)
    return tf.concat([rows, tf.zeros(shape, rows.dtype)], axis=1)
