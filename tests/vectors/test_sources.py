"""Where the layer of an embedded corpus comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, compute_features
from tests.tiny_models import TINY
from tests.vectors.small_jobs import LENGTHS, QUIET, SENTENCES


def test_sources(
    source: str, module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_path = compute_features(source, SENTENCES, tmp_path / "a.npy", pooled=True, **QUIET)
    expected = ElmoEmbeddingLayer(source, "pooled_layers")(SENTENCES)
    np.testing.assert_allclose(by_path, expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"no mix, or one that was not trained\. Name a"):
        compute_features(source, SENTENCES, tmp_path / "b.npy", layers="mix", **QUIET)
    # A TF1 Hub module has one.
    of_module = ElmoEmbeddingLayer(module)
    found = compute_features(
        module, SENTENCES, tmp_path / "c.npy", layers="mix", pooled=True, **QUIET
    )
    np.testing.assert_allclose(found, of_module(SENTENCES), atol=1e-6)
    assert np.abs(np.asarray(found[0]) - np.asarray(by_path[0]).mean(axis=0)).max() > 0.01


@pytest.mark.parametrize("input_mode", ["sentences", "tokens", "character_ids"])
def test_a_saved_model(source: str, input_mode: Any, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(source, "default", input_mode, fine_tune="all")
    layer.scalar_mix.layer_weights.assign([0.3, -1.0, 2.0])
    layer.scalar_mix.gamma.assign(1.5)
    shape = {"sentences": (), "tokens": (None,), "character_ids": (None, 50)}[input_mode]
    dtype = "int32" if input_mode == "character_ids" else "string"
    inputs = keras.Input(shape, dtype=dtype)
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    model.save(tmp_path / "model.keras")
    same = ElmoEmbeddingLayer(source, "elmo")
    same.scalar_mix.set_weights(layer.scalar_mix.get_weights())
    expected = np.asarray(same(SENTENCES))
    for given_source in (str(tmp_path / "model.keras"), tmp_path / "model.keras", layer):
        path = tmp_path / "out.npy"
        found = compute_features(given_source, SENTENCES, path, layers="mix", **QUIET)
        # The second and third time it is opened: the fingerprint is the same.
        for array, rows, n in zip(found, expected, LENGTHS, strict=True):
            np.testing.assert_allclose(array, rows[:n], atol=1e-6)
    found = compute_features(
        layer, SENTENCES, tmp_path / "b.npy", layers="mix", pooled=True
    )
    means = expected.sum(axis=1) / np.maximum(LENGTHS, 1)[:, None]  # padding is zeros
    np.testing.assert_allclose(found, means, atol=1e-6)


def test_a_layer_that_cannot(
    layer: ElmoEmbeddingLayer, tmp_path: Path, module: Path
) -> None:
    word_emb = ElmoEmbeddingLayer(TINY, "word_emb")
    hub = ElmoEmbeddingLayer(module, "layers", engine="hub")
    path = tmp_path / "out.hdf5"
    for wrong, layers, message in (
        (word_emb, "all", "output_mode='word_emb' needs only some of the model's layers"),
        (layer, "mix", r"'mix' needs a layer with a mix \(output_mode 'default' or 'elmo'"),
        (
            hub,
            "mix",
            "with engine='hub' must have the output mode that is asked for, 'elmo'",
        ),
        (tmp_path / "none.keras", "all", r"source: there is no file .*none.keras'"),
    ):
        with pytest.raises(ValueError, match=message):
            compute_features(wrong, SENTENCES, path, layers=layers, **QUIET)
    found = compute_features(hub, SENTENCES, path, **QUIET)
    expected = np.asarray(hub(SENTENCES))[0, :3]
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    (tmp_path / "a.keras").write_bytes(b"PK no")
    with pytest.raises(ValueError, match=r"source: cannot load the model .*a.keras'"):
        compute_features(tmp_path / "a.keras", SENTENCES, tmp_path / "b.h5", **QUIET)
    for n, layers_of_model in ((0, []), (2, [word_emb, hub])):
        text = keras.Input((), dtype="string")
        outputs: list[Any] = [each(text) for each in layers_of_model]
        outputs = outputs or [keras.layers.Identity()(text)]
        keras.Model(text, outputs).save(tmp_path / "model.keras")
        with pytest.raises(
            ValueError, match=f"has {n} ElmoEmbeddingLayers; it must have one"
        ):
            compute_features(
                tmp_path / "model.keras", SENTENCES, tmp_path / "b.h5", **QUIET
            )


def test_other_backends(
    layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="Embedding a corpus needs the TensorFlow"):
        compute_features(layer, SENTENCES, tmp_path / "a.npy", **QUIET)


def test_a_stateful_layer(source: str, tmp_path: Path) -> None:
    """What it carries from batch to batch is left behind."""
    layer = ElmoEmbeddingLayer(source, "layers", stateful=True)
    layer(SENTENCES)
    found = compute_features(layer, SENTENCES, tmp_path / "a.npy", **QUIET)
    expected = ElmoEmbeddingLayer(source, "layers")(SENTENCES)[3]
    np.testing.assert_allclose(found[3], expected, rtol=0, atol=1e-6)
