"""Checks the inputs of the layers, and converts lists and arrays to tensors."""

from __future__ import annotations

from typing import Any, NoReturn

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo import backends
from keras_elmo.text.sources import described, items_of, utf8
from keras_elmo.types import Tensor

_EXPECTED = {
    "sentences": "strings of shape (batch,) or (batch, 1), such as ['One sentence .']",
    "tokens": "strings of shape (batch, time), such as [['One', 'sentence', '.']]",
    "character_ids": "integers of shape (batch, time, ids of a token), as "
    "keras_elmo.batch_to_character_ids or layer.config.batch_to_ids makes them",
}
# Types that can hold 261.
_INTEGERS = ("int16", "int32", "int64", "uint16", "uint32", "uint64")


def checked_inputs(inputs: Any, input_mode: str, largest: NDArray[np.int32]) -> Tensor:
    """Turns tensors, arrays and (nested) lists into dense tensors of strings or integers.

    ``""`` fills up ragged rows of strings. ``largest`` are the largest ids of a token's
    row. Raises ``TypeError`` for values of another type
    than the mode takes, ``ValueError`` for a wrong rank or shape.
    """
    if type(inputs).__module__.startswith("tf_keras."):
        raise TypeError(f"inputs: this is a tensor of Keras 2. {backends.KERAS_2}")
    if hasattr(inputs, "row_splits") and hasattr(inputs, "to_tensor"):
        inputs = inputs.to_tensor()  # pads a ragged tensor with "" or 0
    if not (isinstance(inputs, keras.KerasTensor) or keras.ops.is_tensor(inputs)):
        if input_mode == "character_ids":
            inputs = _integers_from_python(inputs, largest)
        else:
            inputs = _strings_from_python(inputs, input_mode)
    elif _is_placeholder(inputs):
        inputs = _stand_in(inputs, input_mode)
    else:
        _check_dtype(inputs, input_mode, len(largest))
    _check_shape(inputs, input_mode, len(largest))
    return inputs


def declared(input_mode: str, length: int) -> tuple[tuple[int | None, ...], str]:
    """The shape without the batch, and the dtype, that declare a model's input."""
    shape = {"sentences": (), "tokens": (None,)}.get(input_mode, (None, length))
    return shape, "int32" if input_mode == "character_ids" else "string"


def compute_policy(dtype: Any, input_mode: str) -> Any:
    """The dtype policy of the argument ``dtype``.

    ``hub.KerasLayer(..., dtype=tf.string)`` declared the inputs' type, which follows from
    the input mode here: it counts as left out.
    """
    policy = keras.dtype_policies.get(dtype)
    found = policy.compute_dtype
    if keras.backend.is_float_dtype(found):
        return policy
    if found in (_INTEGERS if input_mode == "character_ids" else ("string",)):
        return None
    raise ValueError(
        "dtype must be a dtype to compute in, such as 'float32' or 'mixed_float16'; got "
        f"{found!r}. Leave it out."
    )


def _is_placeholder(inputs: Tensor) -> bool:
    """Whether Keras created it to infer a shape, so that its dtype is arbitrary.

    Keras calls subclassed models and ``Lambda`` layers with floats of the right shape, and
    assumes floats for layers that do not declare the dtype of their outputs. The dtype of a
    model's ``Input``, however, is not arbitrary.
    """
    if not keras.backend.is_float_dtype(inputs.dtype):
        return False
    if isinstance(inputs, keras.KerasTensor):
        history = getattr(inputs, "_keras_history", None)
        return not isinstance(getattr(history, "operation", None), keras.layers.InputLayer)
    with keras.SymbolicScope() as scope:
        return scope.original_scope is not None


def _stand_in(inputs: Tensor, input_mode: str) -> Tensor:
    """A placeholder of the same shape that the layer can compute with."""
    if isinstance(inputs, keras.KerasTensor):
        return inputs  # only its shape is read
    if input_mode == "character_ids":
        return keras.ops.zeros_like(inputs, "int32")
    import tensorflow as tf

    return tf.ensure_shape(tf.fill(tf.shape(inputs), ""), inputs.shape)


def _refuse(
    input_mode: str, found: str, hint: str = "", error: type[Exception] = ValueError
) -> NoReturn:
    expected = f"input_mode={input_mode!r} takes {_EXPECTED[input_mode]}"
    raise error(f"inputs: {expected}; got {found}.{hint}")


def _check_dtype(inputs: Tensor, input_mode: str, length: int) -> None:
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    if dtype in (_INTEGERS if input_mode == "character_ids" else ("string",)):
        return
    hint = ""
    shape, right = declared(input_mode, length)
    # Keras assumes numbers if a model's inputs are not declared.
    if isinstance(inputs, keras.KerasTensor) or backends.is_in_tensorflow_graph():
        hint = (
            f" Declare the model's input: keras.Input(shape={shape}, dtype={right!r}); or, "
            "to export a subclassed model, model.export(path, input_signature="
            f"[keras.InputSpec(shape={(None, *shape)}, dtype={right!r})])."
        )
    _refuse(input_mode, f"{dtype} of shape {inputs.shape}", hint, TypeError)


def _check_shape(inputs: Tensor, input_mode: str, length: int) -> None:
    try:
        shape = tuple(inputs.shape)
    except ValueError:  # TensorFlow's, for a tensor of unknown rank
        hint = " Set its shape, for example with tf.ensure_shape."
        _refuse(input_mode, "a tensor of unknown rank", hint)
    # No match statement: AutoGraph, which comes here from a tf.function, has none.
    case, hint = (input_mode, len(shape)), ""
    if case in (("sentences", 1), ("tokens", 2)):
        return
    if case == ("sentences", 2):
        if shape[1] in (1, None):
            return
        hint = " For sentences that are split into tokens, use input_mode='tokens'."
    elif case == ("character_ids", 3):
        if shape[2] in (length, None):
            return
        hint = f" A token of this model has {length} ids."
    elif case == ("tokens", 1):
        hint = " For whole sentences, use input_mode='sentences'."
    _refuse(input_mode, f"shape {shape}", hint)


def _integers_from_python(inputs: Any, largest: NDArray[np.int32]) -> Tensor:
    try:
        ids = np.asarray(inputs)
    except ValueError:
        hint = " Pad them with zeros."
        _refuse("character_ids", "rows of different lengths", hint)
    if ids.size == 0:
        ids = ids.astype(np.int32)
    if ids.dtype.name not in _INTEGERS:
        found = f"{ids.dtype} of shape {ids.shape}"
        _refuse("character_ids", found, error=TypeError)
    # Larger ids would wrap. As in tensors, negative ids are padding.
    if ids.size and ids.shape[-1] == len(largest) and (ids > largest).any():
        found = f"{ids.min()} to {ids.max()}"
        expected = f"character ids go from 0 to {largest[-1]}"
        if largest[0] != largest[-1]:
            expected += f", and a token's first id, its word's, to {largest[0]}"
        raise ValueError(f"inputs: {expected}; got {found}.")
    return keras.ops.convert_to_tensor(np.maximum(ids, 0).astype(np.int32))


def _strings_from_python(inputs: Any, input_mode: str) -> Tensor:
    import tensorflow as tf

    if isinstance(inputs, str | bytes | int | float):
        _refuse(input_mode, f"{inputs!r:.100}", " Put a single one into a list.")
    rows = items_of(inputs)
    if rows is None:
        _refuse(input_mode, described(inputs), error=TypeError)
    nested = [None if isinstance(row, str | bytes) else items_of(row) for row in rows]
    if not any(row is not None for row in nested) and (rows or input_mode != "tokens"):
        return tf.constant(_encoded(rows), tf.string, (len(rows),))
    encoded = [
        _refuse(input_mode, "strings and sequences of strings mixed")
        if row is None
        else _encoded(row)
        for row in nested
    ]
    width = max(map(len, encoded), default=0)
    padded = [row + [b""] * (width - len(row)) for row in encoded]
    return tf.constant(padded, tf.string, (len(rows), width))


def _encoded(strings: list[Any]) -> list[bytes]:
    return [utf8(value, "inputs: expected strings,") for value in strings]
