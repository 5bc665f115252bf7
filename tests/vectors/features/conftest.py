"""Layers for the tests of files of features."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.vectors import embedder
from tests.tiny_models import TINY, saved_model


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> ElmoEmbeddingLayer:
    source = saved_model(tmp_path_factory.mktemp("model"))
    return ElmoEmbeddingLayer(source, "pooled_layers")


@pytest.fixture(scope="module")
def tokens(pooled: ElmoEmbeddingLayer) -> ElmoEmbeddingLayer:
    layer = ElmoEmbeddingLayer(TINY, "layers")
    layer.set_weights(pooled.get_weights())
    return layer


@pytest.fixture(scope="module", autouse=True)
def programs_are_kept() -> Iterator[None]:
    """Traces each layer once: the tests call ``compute_features`` often, on little."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedder, "_program", functools.cache(embedder._program))
        yield
