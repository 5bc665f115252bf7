"""What a user may pass to the layers: lists and arrays too, checked and converted."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_elmo.text.characters import N_CHARACTERS
from keras_elmo.types import Tensor

_EXPECTED = {
    "sentences": "strings of shape (batch,) or (batch, 1), such as ['One sentence .']",
    "tokens": "strings of shape (batch, time), such as [['One', 'sentence', '.']]",
    "character_ids": "integers of shape (batch, time, max_characters_per_token), as "
    "keras_elmo.batch_to_character_ids makes them",
}
# Large enough for 261.
_INTEGERS = ("int16", "int32", "int64", "uint16", "uint32", "uint64")
_RANKS = {"sentences": (1, 2), "tokens": (2,), "character_ids": (3,)}


def checked_inputs(inputs: Any, input_mode: str, max_characters: int) -> Tensor:
    """Brings a layer's inputs into dense tensors, or says what is wrong with them.

    Args:
        inputs: A tensor (dense, ragged or symbolic), a NumPy array or (nested) lists.
        input_mode: ``"sentences"``, ``"tokens"`` or ``"character_ids"``.
        max_characters: Length of the last axis of character ids.

    Returns:
        A dense string tensor, where ``""`` fills up ragged rows, or an integer tensor.

    Raises:
        TypeError: Values of another type than the mode takes.
        ValueError: A wrong rank or shape.
    """
    if _is_ragged(inputs):
        inputs = inputs.to_tensor()  # fills up with "" or 0: padding
    elif not _is_tensor(inputs):
        if input_mode == "character_ids":
            inputs = _integers_from_python(inputs)
        else:
            inputs = _strings_from_python(inputs, input_mode)
    _check_dtype(inputs, input_mode)
    _check_shape(_static_shape(inputs, input_mode), input_mode, max_characters)
    return inputs


def _static_shape(inputs: Tensor, input_mode: str) -> tuple[int | None, ...]:
    try:
        return tuple(inputs.shape)
    except ValueError as error:  # TensorFlow's, for a tensor of unknown rank
        raise ValueError(
            f"inputs: input_mode={input_mode!r} takes {_EXPECTED[input_mode]}; got a "
            "tensor of unknown rank. Set its shape, for example by tf.ensure_shape."
        ) from error


def _is_tensor(inputs: Any) -> bool:
    return isinstance(inputs, keras.KerasTensor) or keras.ops.is_tensor(inputs)


def _is_ragged(inputs: Any) -> bool:
    return hasattr(inputs, "row_splits") and hasattr(inputs, "to_tensor")


def _check_dtype(inputs: Tensor, input_mode: str) -> None:
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    fits = _INTEGERS if input_mode == "character_ids" else ("string",)
    if dtype not in fits:
        raise TypeError(
            f"inputs: input_mode={input_mode!r} takes {_EXPECTED[input_mode]}; got "
            f"{dtype} of shape {inputs.shape}." + _hint(inputs, input_mode)
        )


def _hint(inputs: Tensor, input_mode: str) -> str:
    # A Sequential model that is not told its input assumes numbers.
    if isinstance(inputs, keras.KerasTensor) and input_mode != "character_ids":
        shape = "()" if input_mode == "sentences" else "(None,)"
        return f" Declare the model's input: keras.Input(shape={shape}, dtype='string')."
    return ""


def _check_shape(shape: tuple[int | None, ...], input_mode: str, characters: int) -> None:
    fits = len(shape) in _RANKS[input_mode]
    if input_mode == "sentences" and len(shape) == 2:
        fits = shape[1] in (1, None)
    if input_mode == "character_ids" and fits:
        fits = shape[2] in (characters, None)
    if fits:
        return
    message = (
        f"inputs: input_mode={input_mode!r} takes {_EXPECTED[input_mode]}; got shape "
        f"{shape}."
    )
    if input_mode == "character_ids" and len(shape) == 3:
        message += f" This model has max_characters_per_token = {characters}."
    if input_mode == "sentences" and len(shape) == 2:
        message += " For sentences that are split into tokens, use input_mode='tokens'."
    if input_mode == "tokens" and len(shape) == 1:
        message += " For whole sentences, use input_mode='sentences'."
    raise ValueError(message)


def _integers_from_python(inputs: Any) -> Tensor:
    try:
        ids = np.asarray(inputs)
    except ValueError as error:  # rows of different lengths
        raise ValueError(
            f"inputs: input_mode='character_ids' takes {_EXPECTED['character_ids']}; got "
            "rows of different lengths. Pad them with zeros."
        ) from error
    if ids.dtype.kind not in "iu" and ids.size:
        raise TypeError(
            f"inputs: input_mode='character_ids' takes {_EXPECTED['character_ids']}; "
            f"got {ids.dtype} of shape {ids.shape}."
        )
    if ids.size and (ids.min() < 0 or ids.max() > N_CHARACTERS):
        raise ValueError(
            f"inputs: character ids go from 0 to {N_CHARACTERS}; got {ids.min()} to "
            f"{ids.max()}."
        )
    return keras.ops.convert_to_tensor(ids.astype(np.int32))


def _strings_from_python(inputs: Any, input_mode: str) -> Tensor:
    import tensorflow as tf

    rows = inputs.tolist() if isinstance(inputs, np.ndarray) else inputs
    if isinstance(rows, (str, bytes)) or not hasattr(rows, "__iter__"):
        raise ValueError(
            f"inputs: input_mode={input_mode!r} takes {_EXPECTED[input_mode]}; got "
            f"{rows!r:.100}. Put a single one into a list."
        )
    rows = list(rows)
    n_nested = sum(_is_row(row) for row in rows)
    if n_nested == 0 and not (input_mode == "tokens" and not rows):
        return tf.constant([_encoded(value) for value in rows], tf.string, (len(rows),))
    if n_nested != len(rows):
        raise ValueError(
            f"inputs: input_mode={input_mode!r} takes {_EXPECTED[input_mode]}; got "
            "strings and sequences of strings mixed."
        )
    encoded = [[_encoded(value) for value in row] for row in rows]
    width = max(map(len, encoded), default=0)
    padded = [row + [b""] * (width - len(row)) for row in encoded]
    return tf.constant(padded, tf.string, (len(rows), width))


def _is_row(value: Any) -> bool:
    return not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")


def _encoded(value: Any) -> bytes:
    # Lone surrogates have no UTF-8 form; AllenNLP drops them, TensorFlow raises.
    if isinstance(value, str):
        return value.encode("utf-8", "ignore")
    if isinstance(value, bytes):
        return bytes(value)
    raise TypeError(
        f"inputs: expected strings, got {value!r:.100} of type {type(value).__name__}. "
        "Replace missing values, for example by empty strings, and turn numbers into "
        "strings first."
    )
