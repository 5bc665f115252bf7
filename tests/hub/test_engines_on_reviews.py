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
    """Keeps the mean that Keras reports after each step, of all losses so far."""

    def __init__(self) -> None:
        super().__init__()
        self.means: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.means.append(logs["loss"])


@pytest.mark.slow
def test_20_steps_with_the_same_losses(
    shared: Path, tmp_path: Path, report_error: Callable[[str, float], None]
) -> None:
    (texts, labels), _ = load_imdb(shared / "data" / "aclImdb_v1.tar.gz")
    # As many reviews as the steps take, half of them positive.
    n = N_STEPS * BATCH_SIZE // 2
    rows = np.random.default_rng(0).permutation(np.r_[:n, len(texts) - n : len(texts)])
    texts, labels = texts[rows], labels[rows]
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
        totals = np.array(noted.means) * np.arange(1, N_STEPS + 1)
        losses[engine] = np.diff(totals, prepend=0.0)  # (steps,)
    assert np.ptp(losses["native"]) > 0.01
    error = np.abs(losses["native"] - losses["hub"]).max()
    report_error("losses over 20 steps on IMDB, native against hub", error)
    assert error < 1e-4
