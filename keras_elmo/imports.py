"""Hooks that run when Keras or TensorFlow is imported, without importing either.

Keras looks up classes in its registry: stand-ins are there until ours are imported.
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
    "Alignment": "layers",
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
    "WarmupStableDecay": "pretraining.warmup_stable_decay",
}
"""The registered classes, and their modules in ``keras_elmo``."""

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
        sys.meta_path.remove(self)  # so that find_spec below does not call it again
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
    """Runs the first import of the module ``name``, if it happens, in a context."""
    sys.meta_path.insert(0, _ImportIn(name, context))


class _StandIn:
    """Stands in for a class in Keras' registry until one of its attributes is needed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # The import replaces this object with the class itself.
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
    """Registers the package's classes with Keras, now or when it is imported."""
    if "keras" in sys.modules:
        with _entering_stand_ins():
            pass
    else:
        import_in("keras", _entering_stand_ins)
