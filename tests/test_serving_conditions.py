"""Few programs whatever the shapes; threads, thousands of calls; and runs that repeat."""

from __future__ import annotations

import concurrent.futures
import gc
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

# Of which TensorFlow offers the opposite only.
from tensorflow.python.framework.config import disable_op_determinism

from keras_elmo import ElmoEmbeddingLayer, batch_to_character_ids, text_dataset
from keras_elmo.layers import ElmoBiLM
from tests.any_backend import model_of
from tests.tiny_models import LEAST

STATUS = Path("/proc/self/statm")
N_THREADS = 8
N_PREDICTIONS = 1000
MOST_GROWTH = 8 << 20  # bytes, of a thousand predictions

RNG = np.random.default_rng(0)
TEXTS = [
    " ".join(RNG.choice(["a", "the", "film", "was", "naïve", "extraordinary"], length))
    for length in RNG.integers(0, 12, 64)
]
# Batches of several sizes, each with texts of other lengths.
BATCHES = [tf.constant(TEXTS[i : i + n]) for n in (1, 2, 3, 5, 8) for i in range(0, 40, 8)]


def classifier(
    mode: str = "default", input_mode: str = "sentences", **arguments: object
) -> keras.Model:
    layer = ElmoEmbeddingLayer(LEAST, mode, input_mode, **arguments)
    return model_of(layer, keras.layers.Dense(1))


@pytest.fixture(scope="module")
def traces() -> Iterator[list[str]]:
    """One entry for each time that Python runs through the layer."""
    found: list[str] = []
    original = ElmoBiLM.layers_of_words

    def counted(self: ElmoBiLM, *args: object, **kwargs: object) -> object:
        found.append(self.name)
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ElmoBiLM, "layers_of_words", counted)
        yield found


def texts(n: int, longest: int) -> np.ndarray:
    """Texts of up to ``longest`` words of up to 30 letters."""
    words = ["a" * k for k in range(1, 31)]
    lengths = [longest, *RNG.integers(0, longest + 1, n - 1)]
    rows = [" ".join(RNG.choice(words, length)) for length in lengths]
    return np.array(rows, dtype=object)


@pytest.mark.parametrize(
    ("mode", "input_mode"),
    [
        ("default", "sentences"),
        pytest.param("elmo", "character_ids", marks=pytest.mark.slow),
    ],
)
def test_traced_for_the_first_shape_and_for_all_others(
    traces: list[str], mode: str, input_mode: str
) -> None:
    model = classifier(mode, input_mode, fine_tune="all")
    model.compile("sgd", "mse")
    batches = [texts(n, longest=2 * n) for n in range(1, 8)]
    if input_mode == "character_ids":
        batches = [batch_to_character_ids([t.split() for t in batch]) for batch in batches]
    traces.clear()
    targets = [np.zeros_like(model.predict_on_batch(batch)) for batch in batches]
    assert len(traces) == 2
    traces.clear()
    for batch, target in zip(batches, targets, strict=True):
        model.train_on_batch(batch, target)
    # Once more for users: the optimizer's variables are made before (conftest.py).
    assert len(traces) == 2


def test_traced_twice_for_data_sets_of_any_shapes(traces: list[str]) -> None:
    model = classifier()
    corpus = texts(40, longest=20)
    dataset = text_dataset(corpus, batch_size=7, token_budget=60, group_by_length=True)
    traces.clear()
    assert model.predict(dataset, verbose=0).shape == (40, 1)
    assert model.predict(dataset.take(3), verbose=0).shape[1] == 1
    assert len(traces) == 2


@pytest.fixture(scope="module")
def model(traces: list[str]) -> keras.Model:
    return classifier()


@pytest.fixture(scope="module")
def predictions(model: keras.Model, traces: list[str]) -> list[np.ndarray]:
    """Of each batch, one after another, which also is the warming up."""
    traces.clear()
    found = [model.predict_on_batch(batch) for batch in BATCHES]
    assert len(traces) == 2
    return found


@pytest.mark.slow
def test_eight_threads_at_once(model: keras.Model, predictions: list[np.ndarray]) -> None:
    """Each gets what it gets by itself, bit for bit."""
    orders = [np.random.default_rng(i).permutation(len(BATCHES)) for i in range(N_THREADS)]

    def predict_all(order: np.ndarray) -> None:
        for i in order:
            found = model.predict_on_batch(BATCHES[i])
            np.testing.assert_array_equal(found, predictions[i])

    with concurrent.futures.ThreadPoolExecutor(N_THREADS) as pool:
        for done in [pool.submit(predict_all, order) for order in orders]:
            done.result(timeout=120)


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from /proc")
def test_a_thousand_predictions(
    model: keras.Model,
    predictions: list[np.ndarray],
    traces: list[str],
    report_figure: Callable[[str, str], None],
) -> None:
    """No program for another shape, and no memory that is kept."""
    traces.clear()
    for i in range(100):
        model.predict_on_batch(BATCHES[i % len(BATCHES)])
    gc.collect()
    before = resident_bytes()
    for i in range(N_PREDICTIONS):
        found = model.predict_on_batch(BATCHES[i % len(BATCHES)])
        if i % 100 == 0:
            np.testing.assert_array_equal(found, predictions[i % len(BATCHES)])
    gc.collect()
    assert traces == []
    growth = resident_bytes() - before
    report_figure("memory that 1,000 predictions keep", f"{growth / 1024:,.0f} KiB")
    assert growth < MOST_GROWTH


def resident_bytes() -> int:
    return int(STATUS.read_text().split()[1]) * resource.getpagesize()


@pytest.mark.slow
def test_one_seed_gives_one_training() -> None:
    """Bit for bit, with TensorFlow's operations in their deterministic forms."""
    texts = np.array(TEXTS[:12], dtype=object)

    def trained() -> list[np.ndarray]:
        keras.utils.set_random_seed(7)
        layer = ElmoEmbeddingLayer(LEAST, fine_tune="all")
        model = model_of(layer, keras.layers.Dropout(0.5), keras.layers.Dense(1))
        model.compile("adam", "mse")
        model.fit(texts, np.arange(12.0), batch_size=4, epochs=1, verbose=0)
        return [np.asarray(weight) for weight in model.get_weights()]

    tf.config.experimental.enable_op_determinism()
    try:
        first, second = trained(), trained()
    finally:
        disable_op_determinism()
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
