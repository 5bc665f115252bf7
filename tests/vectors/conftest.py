"""Layers and a corpus for the tests of files of embeddings."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_elmo import ElmoEmbeddingLayer
from tests.tiny_models import LEAST, saved_model
from tests.vectors.small_jobs import SENTENCES


@pytest.fixture(scope="package")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The smallest model: each job traces its own graph."""
    return str(saved_model(tmp_path_factory.mktemp("least"), LEAST))


@pytest.fixture(scope="package")
def layer(source: str) -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(source, "layers")


@pytest.fixture(scope="package")
def pooled(layer: ElmoEmbeddingLayer) -> ElmoEmbeddingLayer:
    result = ElmoEmbeddingLayer(LEAST, "pooled_layers")
    result.set_weights(layer.get_weights())
    return result


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(SENTENCES) + "\n")
    return path
