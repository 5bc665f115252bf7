"""ELMo's contextual word embeddings as a Keras 3 layer.

Modules are imported when they are first used: Keras and TensorFlow take seconds to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keras_elmo.imports import register_with_keras

if TYPE_CHECKING:
    from keras_elmo import errors as errors
    from keras_elmo import hub as hub
    from keras_elmo import layers as layers
    from keras_elmo import pretraining as pretraining
    from keras_elmo import text as text
    from keras_elmo import training as training
    from keras_elmo import types as types
    from keras_elmo import vectors as vectors
    from keras_elmo import weights as weights
    from keras_elmo.config import ElmoConfig
    from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
    from keras_elmo.errors import SourceError, VerificationError
    from keras_elmo.hub.verification import verify
    from keras_elmo.layers.scalar_mix import ScalarMix
    from keras_elmo.onnx.export import export_onnx
    from keras_elmo.text.characters import batch_to_character_ids
    from keras_elmo.text.tokenization import tokenize
    from keras_elmo.training.datasets import text_dataset
    from keras_elmo.vectors import compute_features
    from keras_elmo.weights.named_models import list_models

__version__ = "0.1.0"

__all__ = [
    "ElmoConfig",
    "ElmoEmbeddingLayer",
    "ScalarMix",
    "SourceError",
    "VerificationError",
    "__version__",
    "batch_to_character_ids",
    "compute_features",
    "export_onnx",
    "list_models",
    "text_dataset",
    "tokenize",
    "verify",
]

_MODULES = {
    "ElmoConfig": "config",
    "ElmoEmbeddingLayer": "elmo_embedding_layer",
    "ScalarMix": "layers.scalar_mix",
    "SourceError": "errors",
    "VerificationError": "errors",
    "batch_to_character_ids": "text.characters",
    "compute_features": "vectors",
    "export_onnx": "onnx.export",
    "list_models": "weights.named_models",
    "text_dataset": "training.datasets",
    "tokenize": "text.tokenization",
    "verify": "hub.verification",
}
_FOLDERS = (
    *("errors", "hub", "layers", "pretraining", "text"),
    *("training", "types", "vectors", "weights"),
)

if not TYPE_CHECKING:  # otherwise type checkers would accept every name

    def __getattr__(name: str) -> Any:
        if name in _FOLDERS:
            return importlib.import_module(f"{__name__}.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_FOLDERS, *__all__})


register_with_keras()
