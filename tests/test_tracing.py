"""However the shapes of batches vary, few programs are made of a model."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, text_dataset
from keras_elmo.layers import ElmoBiLM
from tests.tiny_models import LEAST

RNG = np.random.default_rng(0)


def texts(n: int, longest: int) -> np.ndarray:
    """Texts of up to ``longest`` words of up to 30 letters."""
    words = ["a" * k for k in range(1, 31)]
    lengths = [longest, *RNG.integers(0, longest + 1, n - 1)]
    rows = [" ".join(RNG.choice(words, length)) for length in lengths]
    return np.array(rows, dtype=object)


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that Python runs through the layer."""
    found: list[str] = []
    original = ElmoBiLM.layers_of_words

    def counted(self: ElmoBiLM, *args: object, **kwargs: object) -> object:
        found.append(self.name)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(ElmoBiLM, "layers_of_words", counted)
    return found


@pytest.mark.parametrize("mode", ["default", "elmo"])
def test_traced_for_the_first_shape_and_for_all_others(
    traces: list[str], mode: str
) -> None:
    text = keras.Input((), dtype="string")
    vectors = ElmoEmbeddingLayer(LEAST, mode, fine_tune="all")(text)
    model = keras.Model(text, keras.layers.Dense(1)(vectors))
    model.compile("sgd", "mse")
    targets: dict[int, np.ndarray] = {}
    for n in range(1, 8):
        batch = texts(n, longest=2 * n)
        targets[n] = np.zeros_like(model.predict_on_batch(batch))
    assert len(traces) <= 3
    traces.clear()
    for n, target in targets.items():
        model.train_on_batch(texts(n, longest=2 * n), target)
    # Once more, since the first time creates the optimizer's variables.
    assert len(traces) <= 4


def test_traced_twice_at_most_for_data_sets_of_any_shapes(traces: list[str]) -> None:
    text = keras.Input((), dtype="string")
    model = keras.Model(text, ElmoEmbeddingLayer(LEAST)(text))
    traces.clear()
    corpus = texts(40, longest=20)
    dataset = text_dataset(corpus, batch_size=7, token_budget=60, group_by_length=True)
    assert model.predict(dataset, verbose=0).shape == (40, 16)
    assert model.predict(dataset.take(3), verbose=0).shape[1] == 16
    assert len(traces) <= 2
