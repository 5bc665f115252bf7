"""Makes the package's classes known to Keras without importing either.

``keras.saving.load_model`` looks up classes in a registry, which each of ours enters when
its module is imported. ``import keras_elmo`` does not import these modules, so stand-ins
enter the registry first: now if Keras is imported already, else right after it will be.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "keras_elmo"

CLASSES = {
    "BidirectionalLM": "layers",
    "CarriedState": "layers.carried_state",
    "CharacterIds": "layers",
    "DistributedModel": "training",
    "ElmoBiLM": "layers",
    "ElmoEmbeddingLayer": "elmo_embedding_layer",
    "HubModule": "hub.module",
    "MaskPadding": "training",
    "MaskedMean": "layers",
    "Perplexity": "pretraining.perplexity",
    "ProjectedLSTMCell": "layers",
    "SampledSoftmax": "pretraining.sampled_softmax",
    "ScalarMix": "layers",
    "SentenceBoundaries": "layers",
    "TokenEncoder": "layers",
    "TokenMask": "layers",
    "VocabularyCache": "layers.vocabulary_cache",
}
"""The registered classes, and the modules below ``keras_elmo`` that have them."""


class _StandIn:
    """Stands for a class in Keras' registry until Keras asks it for something."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # The import puts the class itself in the place of this object.
        module = importlib.import_module(f"{PACKAGE}.{CLASSES[self._name]}")
        return getattr(getattr(module, self._name), attribute)


class _AfterKeras(MetaPathFinder):
    """Finds Keras as the other finders do, and enters the stand-ins after its import."""

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "keras":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _enter_stand_ins()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def register_with_keras() -> None:
    """Enters the stand-ins, now or after Keras' import."""
    if "keras" in sys.modules:
        _enter_stand_ins()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _enter_stand_ins() -> None:
    import keras

    registry = keras.saving.get_custom_objects()
    for name in CLASSES:
        registry.setdefault(f"{PACKAGE}>{name}", _StandIn(name))
