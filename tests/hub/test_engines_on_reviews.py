"""The article's model on real reviews, through both engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer
from keras_elmo.text.imdb import load_imdb
from keras_elmo.weights.hdf5 import read_hdf5
from tests.hub.tf_hub_modules import write_module

N_STEPS, BATCH_SIZE = 20, 32


class BatchLosses(keras.callbacks.Callback):
    """Keeps the loss of each step; Keras itself tells the mean of all so far."""

    def __init__(self) -> None:
        super().__init__()
        self.means: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.means.append(logs["loss"])

    @property
    def losses(self) -> np.ndarray:
        """The loss of each step."""
        totals = np.array(self.means) * np.arange(1, len(self.means) + 1)
        return np.diff(totals, prepend=0.0)


@pytest.mark.slow
def test_20_steps_with_the_same_losses(
    shared: Path,
    tmp_path: Path,
    report_error: Callable[[str, float], None],
) -> None:
    texts, labels = some_reviews(shared)
    oracle = shared / "oracles" / "allennlp_tiny"
    config = ElmoConfig.from_json(oracle / "options.json")
    arrays = read_hdf5(oracle / "lm_weights.hdf5", config)
    module = write_module(tmp_path / "module", config, arrays)
    losses = {}
    for engine in ("native", "hub"):
        inputs = keras.Input((1,), dtype="string")
        vectors = ElmoEmbeddingLayer(module, engine=engine, max_tokens=150)(inputs)
        # Only now: the native engine has drawn seeds for weights that it then replaced.
        keras.utils.set_random_seed(0)
        hidden = keras.layers.Dense(256, activation="relu")(vectors)
        model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
        model.compile("adam", "binary_crossentropy")
        noted = BatchLosses()
        model.fit(texts, labels, BATCH_SIZE, shuffle=False, verbose=0, callbacks=[noted])
        losses[engine] = noted.losses
    assert len(losses["native"]) == N_STEPS
    assert np.ptp(losses["native"]) > 0.01
    error = np.abs(losses["native"] - losses["hub"]).max()
    report_error("losses over 20 steps on IMDB, native against hub", error)
    assert error < 1e-4


def some_reviews(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """As many training reviews as 20 steps take, half of them positive."""
    (texts, labels), _ = load_imdb(shared / "data" / "aclImdb_v1.tar.gz")
    n = N_STEPS * BATCH_SIZE // 2
    rows = np.random.default_rng(0).permutation(np.r_[:n, len(texts) - n : len(texts)])
    return texts[rows], labels[rows]
