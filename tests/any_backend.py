"""What lets a test run on every backend of Keras.

A module of such tests has ``pytestmark = pytest.mark.any_backend``; those of its tests that
need strings, or TensorFlow otherwise, are marked ``tensorflow``. ``KERAS_BACKEND`` chooses
the backend of a run. On others than TensorFlow all other modules are left out: they test
strings, or what has nothing to do with the backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo import batch_to_character_ids
from keras_elmo.layers import CharacterIds

BACKEND = keras.backend.backend()
without_strings = pytest.mark.skipif(BACKEND == "tensorflow", reason="for the others")

# The marks come with the values: what needs strings is skipped on other backends.
INPUT_MODES = [
    pytest.param("sentences", marks=pytest.mark.tensorflow),
    pytest.param("tokens", marks=pytest.mark.tensorflow),
    "character_ids",
]
STRINGS_OR_IDS = INPUT_MODES[1:]


def marked(*rows: tuple[Any, ...]) -> list[Any]:
    """Rows of parameters, with the mark on those that need strings."""
    needs = pytest.mark.tensorflow
    return [r if "character_ids" in r else pytest.param(*r, marks=needs) for r in rows]


def given(tokens: Sequence[Sequence[str]], input_mode: str) -> Any:
    """Sentences in the form that an input mode takes."""
    if input_mode == "sentences":
        return [" ".join(sentence) for sentence in tokens]
    return tokens if input_mode == "tokens" else batch_to_character_ids(tokens)


def fed(tokens: Sequence[Sequence[str]], input_mode: str) -> Any:
    """Sentences as ``fit`` and ``predict`` take them: dense tensors."""
    return CharacterIds(input_mode).checked(given(tokens, input_mode))


def symbolic(input_mode: str, rows: int | None = None) -> keras.KerasTensor:
    """The input of a functional model."""
    shape = {"sentences": (), "tokens": (None,), "character_ids": (None, 50)}[input_mode]
    dtype = "int32" if input_mode == "character_ids" else "string"
    return keras.Input(batch_shape=(rows, *shape), dtype=dtype)


def model_of(
    layer: keras.Layer, *more: Callable[[Any], Any], rows: int | None = None
) -> keras.Model:
    """A functional model of ELMo and of what comes after it."""
    inputs = outputs = symbolic(layer.input_mode, rows)
    for each in (layer, *more):
        outputs = each(outputs)
    return keras.Model(inputs, outputs)


def reloaded(model: keras.Model, folder: Path) -> keras.Model:
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def to_numpy(tensor: Any) -> np.ndarray:
    """The values of a tensor; PyTorch gives none that require a gradient by itself."""
    return keras.ops.convert_to_numpy(tensor)


def to_tensor(array: Any) -> Any:
    return keras.ops.convert_to_tensor(array)
