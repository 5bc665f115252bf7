"""Models of character ids as ONNX files, by Keras' own export, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest

from keras_elmo import ElmoEmbeddingLayer, ScalarMix, batch_to_character_ids
from keras_elmo.layers import MaskedMean

IDS = batch_to_character_ids(
    [["the", "cat", "sat", "on", "the", "mat"], ["a"], ["naïve", "café", "x" * 60], []]
)


def padding_anywhere() -> np.ndarray:
    """Other lengths, with padding before and between tokens."""
    ids = np.zeros((2, 9, 50), np.int32)
    ids[0, [0, 2, 3, 5, 6, 7]] = IDS[0]
    ids[1, [2, 8]] = IDS[2, :2]
    return ids


@pytest.mark.filterwarnings(
    # Keras looks for what NumPy 2 has no more, so that tf2onnx finds it.
    "ignore:In the future `np.(object|bool|float|int)` will be defined:FutureWarning"
)
def test_every_kind_of_output(source: str, tmp_path: Path) -> None:
    """One export of all, because each takes long: layers, mix, mean, and a head."""
    inputs = keras.Input((None, 50), dtype="int32", name="ids")
    layers = ElmoEmbeddingLayer(source, "layers", "character_ids")(inputs)
    mixed = ScalarMix(initial_weights=[0.3, -0.2, 0.5], initial_gamma=1.7)(layers)
    pooled = MaskedMean()(mixed)
    summary = keras.layers.LSTM(3)(mixed)  # which skips what is masked
    model = keras.Model(inputs, [layers, mixed, pooled, summary])
    model(IDS)  # Keras exports what has been called
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    assert [given.name for given in session.get_inputs()] == ["ids"]
    for ids in (IDS, IDS[:1], IDS[1:3, :2], IDS[3:], padding_anywhere()):
        expected = model(ids)
        found = session.run(None, {"ids": ids})
        for one, other in zip(found, expected, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, atol=1e-5)
    assert not found[0][0, [1, 4, 8]].any()  # padding
