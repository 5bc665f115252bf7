"""What has to happen when somebody imports Keras or TensorFlow, without importing either.

Keras looks classes up in a registry, which stand-ins enter before ours are imported.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

CLASSES = {
    "BidirectionalLM": "layers",
    "CarriedState": "layers.carried_state",
    "CharacterIds": "layers",
    "ElmoBiLM": "layers",
    "ElmoEmbeddingLayer": "elmo_embedding_layer",
    "HubModule": "hub.module",
    "MaskPadding": "training",
    "MaskedMean": "layers",
    "Perplexity": "pretraining",
    "ProjectedLSTMCell": "layers",
    "SampledSoftmax": "pretraining",
    "ScalarMix": "layers",
    "SentenceBoundaries": "layers",
    "TokenEncoder": "layers",
    "TokenMask": "layers",
    "VocabularyCache": "layers.vocabulary_cache",
}
"""The registered classes, and the modules below ``keras_elmo`` that have them."""

Context = Callable[[], contextlib.AbstractContextManager[None]]


class _ImportIn(MetaPathFinder):
    """Finds a module as the other finders do, and executes it in a context."""

    def __init__(self, name: str, context: Context) -> None:
        self._name = name
        self._context = context

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._name:
            return None
        sys.meta_path.remove(self)  # so that the others, asked now, do not ask this one
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with self._context():
                    execute(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def import_in(name: str, context: Context) -> None:
    """Makes the import of the module ``name``, if it ever comes, happen in a context."""
    sys.meta_path.insert(0, _ImportIn(name, context))


class _StandIn:
    """Stands for a class in Keras' registry until Keras asks it for something."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # The import puts the class itself in the place of this object.
        module = importlib.import_module(f"keras_elmo.{CLASSES[self._name]}")
        return getattr(getattr(module, self._name), attribute)


@contextlib.contextmanager
def _entering_stand_ins() -> Iterator[None]:
    yield
    import keras

    registry = keras.saving.get_custom_objects()
    for name in CLASSES:
        registry.setdefault(f"keras_elmo>{name}", _StandIn(name))


def register_with_keras() -> None:
    """Makes the package's classes known to Keras, now or after its import."""
    if "keras" in sys.modules:
        with _entering_stand_ins():
            pass
    else:
        import_in("keras", _entering_stand_ins)
