"""What a server does to a model: threads, thousands of calls; and runs that repeat."""

from __future__ import annotations

import concurrent.futures
import gc
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

# Of which TensorFlow offers the opposite only.
from tensorflow.python.framework.config import disable_op_determinism

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.layers import ElmoBiLM
from tests.tiny_models import LEAST

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


def classifier() -> keras.Model:
    text = keras.Input((), dtype="string")
    vectors = ElmoEmbeddingLayer(LEAST)(text)
    return keras.Model(text, keras.layers.Dense(1)(vectors))


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


@pytest.fixture(scope="module")
def model(traces: list[str]) -> keras.Model:
    return classifier()


@pytest.fixture(scope="module")
def predictions(model: keras.Model, traces: list[str]) -> list[np.ndarray]:
    """Of each batch, one after another, which also is the warming up."""
    traces.clear()
    return [model.predict_on_batch(batch) for batch in BATCHES]


def test_eight_threads_at_once(model: keras.Model, predictions: list[np.ndarray]) -> None:
    """Each gets what it gets by itself, bit for bit."""
    orders = [np.random.default_rng(i).permutation(len(BATCHES)) for i in range(N_THREADS)]

    def predict_all(order: np.ndarray) -> None:
        for i in order:
            np.testing.assert_array_equal(
                model.predict_on_batch(BATCHES[i]), predictions[i]
            )

    with concurrent.futures.ThreadPoolExecutor(N_THREADS) as pool:
        for done in [pool.submit(predict_all, order) for order in orders]:
            done.result(timeout=120)


def test_a_thousand_predictions(
    model: keras.Model,
    predictions: list[np.ndarray],
    traces: list[str],
    report_figure: Callable[[str, str], None],
) -> None:
    """Two programs at most, whatever the shapes, and no memory that is kept."""
    # Traced for the first shape, and once for all others.
    assert len(traces) <= 2
    traces.clear()
    for i in range(100):
        model.predict_on_batch(BATCHES[i % len(BATCHES)])
    gc.collect()
    before = _resident_bytes()
    for i in range(N_PREDICTIONS):
        found = model.predict_on_batch(BATCHES[i % len(BATCHES)])
        if i % 100 == 0:
            np.testing.assert_array_equal(found, predictions[i % len(BATCHES)])
    gc.collect()
    assert traces == []
    growth = _resident_bytes() - before
    report_figure("memory that 1,000 predictions keep", f"{growth / 1024:,.0f} KiB")
    assert growth < MOST_GROWTH


def _resident_bytes() -> int:
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def test_one_seed_gives_one_training() -> None:
    """Bit for bit, with TensorFlow's operations in their deterministic forms."""
    labels = np.arange(12.0)
    texts = np.array(TEXTS[:12], dtype=object)

    def trained() -> list[np.ndarray]:
        keras.utils.set_random_seed(7)
        text = keras.Input((), dtype="string")
        vectors = ElmoEmbeddingLayer(LEAST, fine_tune="all")(text)
        outputs = keras.layers.Dense(1)(keras.layers.Dropout(0.5)(vectors))
        model = keras.Model(text, outputs)
        model.compile("adam", "mse")
        model.fit(texts, labels, batch_size=4, epochs=1, verbose=0)
        return [np.asarray(weight) for weight in model.get_weights()]

    tf.config.experimental.enable_op_determinism()
    try:
        first, second = trained(), trained()
    finally:
        disable_op_determinism()
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
