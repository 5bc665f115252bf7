"""Type aliases shared by the whole package."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Tensor = Any
"""A tensor of the Keras backend in use, or a symbolic ``keras.KerasTensor``."""

Shape = Sequence[Any]
"""A tensor shape: integers, and None where a size is not known yet."""

Arrays = Mapping[str, NDArray[np.floating[Any]]]
"""Weights by name: the one currency between file formats and layers."""

PathLike = str | os.PathLike[str]
"""A file system path."""

OutputMode = Literal[
    "default",
    "elmo",
    "word_emb",
    "lstm_outputs1",
    "lstm_outputs2",
    "layers",
    "pooled_layers",
]
"""What comes out of an :class:`~keras_elmo.ElmoEmbeddingLayer`."""

InputMode = Literal["sentences", "tokens", "character_ids"]
"""What goes into it."""

FineTune = Literal["aggregation", "lstm", "all"]
"""What its ``trainable=True`` trains."""

Stateful = bool | Literal["pieces"]
"""What each row of its batches goes on from."""

Engine = Literal["native", "hub"]
"""What computes it."""
