"""An exported model, and the service around it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serve_batches import Model

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.hub import export_saved_model
from tests.examples.serving.service import LIMITS, served
from tests.tiny_models import LEAST, saved_model


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ElmoEmbeddingLayer]:
    source = saved_model(tmp_path_factory.mktemp("least"), LEAST)
    modes = ("default", "elmo", "word_emb", "lstm_outputs1")
    return {mode: ElmoEmbeddingLayer(source, mode) for mode in modes}


@pytest.fixture(scope="module")
def exported(
    layers: dict[str, ElmoEmbeddingLayer], tmp_path_factory: pytest.TempPathFactory
) -> str:
    path = tmp_path_factory.mktemp("exported") / "model"
    export_saved_model(layers["default"], path)
    return str(path)


@pytest.fixture(scope="module")
def service(exported: str) -> Iterator[object]:
    with served(Model(exported), LIMITS) as server:
        yield server
