"""Layers and a corpus for the tests of files of embeddings."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.vectors import embedder
from tests.tiny_models import TINY
from tests.vectors.small_jobs import SENTENCES


@pytest.fixture(scope="package")
def layer(source: str) -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(source, "layers")


@pytest.fixture(scope="package")
def pooled(layer: ElmoEmbeddingLayer) -> ElmoEmbeddingLayer:
    result = ElmoEmbeddingLayer(TINY, "pooled_layers")
    result.set_weights(layer.get_weights())
    return result


@pytest.fixture(scope="package", autouse=True)
def programs_are_kept() -> Iterator[None]:
    """Traces each layer once: the tests call ``compute_features`` often, on little."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedder, "_program", functools.cache(embedder._program))
        yield


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(SENTENCES) + "\n")
    return path
