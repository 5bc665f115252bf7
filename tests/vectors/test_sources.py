"""Where the layer of an embedded corpus comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, compute_features
from tests.any_backend import model_of
from tests.tiny_models import LEAST, TINY
from tests.vectors.small_jobs import LENGTHS, QUIET, SENTENCES, check_tokens


def test_sources(source: str, module: Path, tmp_path: Path) -> None:
    by_path = compute_features(source, SENTENCES, tmp_path / "a.npy", pooled=True, **QUIET)
    expected = ElmoEmbeddingLayer(source, "pooled_layers")(SENTENCES)
    np.testing.assert_allclose(by_path, expected, atol=1e-6)
    # A TF1 Hub module has a mix.
    mix = {"layers": "mix", "pooled": True, **QUIET}
    found = compute_features(module, SENTENCES, tmp_path / "c.npy", **mix)
    np.testing.assert_allclose(found, ElmoEmbeddingLayer(module)(SENTENCES), atol=1e-6)
    assert np.abs(np.asarray(found[0]) - np.asarray(by_path[0]).mean(axis=0)).max() > 0.01


@pytest.mark.parametrize("input_mode", ["sentences", "tokens", "character_ids"])
def test_a_saved_model(input_mode: Any, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(LEAST, "default", input_mode, fine_tune="all")
    layer.scalar_mix.layer_weights.assign([0.3, -1.0])
    layer.scalar_mix.gamma.assign(1.5)
    model_of(layer, keras.layers.Dense(1)).save(tmp_path / "model.keras")
    same = ElmoEmbeddingLayer(LEAST, "elmo")
    same.set_weights(layer.get_weights())
    expected = np.asarray(same(SENTENCES))
    for given_source in (str(tmp_path / "model.keras"), tmp_path / "model.keras", layer):
        # The second and third time it is opened: the fingerprint is the same.
        path = tmp_path / "out.npy"
        check_tokens(
            compute_features(given_source, SENTENCES, path, layers="mix", **QUIET), expected
        )
    options = {"layers": "mix", "pooled": True, **QUIET}
    found = compute_features(layer, SENTENCES, tmp_path / "b.npy", **options)
    means = expected.sum(axis=1) / np.maximum(LENGTHS, 1)[:, None]  # padding is zeros
    np.testing.assert_allclose(found, means, atol=1e-6)


def test_the_split_of_the_source(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(LEAST, "pooled_layers", split="words")
    raw, path = ["It isn't bad...", "a  b"], tmp_path / "a.npy"
    found = compute_features(layer, raw, path, **QUIET)
    np.testing.assert_allclose(found, layer(raw), atol=1e-6)
    assert compute_features(layer, raw, path, split="words", **QUIET) is not None
    with pytest.raises(ValueError, match=r"split='space': the source is a layer with its "):
        compute_features(layer, raw, path, split="space", **QUIET)
    plain = ElmoEmbeddingLayer(LEAST, "pooled_layers")
    plain.set_weights(layer.get_weights())
    # Another split is another fingerprint, also of the same tokens.
    with pytest.raises(ValueError, match=r"differ: split \('words', now 'character'\)"):
        compute_features(plain, raw, path, split="character", **QUIET)


def test_a_layer_that_cannot(
    source: str, layer: ElmoEmbeddingLayer, tmp_path: Path, module: Path
) -> None:
    word_emb = ElmoEmbeddingLayer(TINY, "word_emb")
    hub = ElmoEmbeddingLayer(module, "layers", engine="hub")
    (tmp_path / "a.keras").write_bytes(b"PK no")
    for name, layers_of_model in (("no.keras", []), ("two.keras", [word_emb, hub])):
        text = keras.Input((), dtype="string")
        outputs: list[Any] = [each(text) for each in layers_of_model]
        keras.Model(text, outputs or keras.layers.Identity()(text)).save(tmp_path / name)
    for wrong, layers, message in (
        (
            word_emb,
            "all",
            "has only the model's layers that its output_mode='word_emb' needs",
        ),
        (layer, "mix", r"needs a layer with a mix \(output_mode 'default' or 'elmo'"),
        (hub, "mix", "engine='hub' must have output_mode='elmo' for this"),
        (source, "mix", r"has no trained mix\. Use a saved"),
        (tmp_path / "none.keras", "all", r"source: there is no file .*none.keras'"),
        (tmp_path / "a.keras", "all", r"source: cannot load the model .*a.keras'"),
        (tmp_path / "no.keras", "all", "expected one ElmoEmbeddingLayer .* found 0"),
        (tmp_path / "two.keras", "all", "expected one ElmoEmbeddingLayer .* found 2"),
    ):
        with pytest.raises(ValueError, match=message):
            compute_features(wrong, SENTENCES, tmp_path / "b.h5", layers=layers, **QUIET)


def test_a_layer_with_a_length_and_boundaries(tmp_path: Path) -> None:
    """Sentences are cut; there is neither padding nor a boundary in a file."""
    arguments = {"output_sequence_length": 4, "keep_sentence_boundaries": True}
    layer = ElmoEmbeddingLayer(LEAST, "layers", **arguments)
    fresh = ElmoEmbeddingLayer(LEAST, "layers", max_tokens=2)
    fresh.set_weights(layer.get_weights())
    found = compute_features(layer, ["a b c", "d"], tmp_path / "a.npy", **QUIET)
    expected = np.asarray(fresh(["a b c", "d"]))
    for vectors, row in zip(found, (expected[0], expected[1, :1]), strict=True):
        np.testing.assert_allclose(vectors, row, atol=1e-6)


def test_a_stateful_layer(tmp_path: Path) -> None:
    """What it carries from batch to batch is left behind."""
    layer = ElmoEmbeddingLayer(LEAST, "layers", stateful=True)
    layer(SENTENCES)
    fresh = ElmoEmbeddingLayer(LEAST, "layers")
    fresh.bilm.set_weights(layer.bilm.get_weights()[: len(fresh.bilm.weights)])
    found = compute_features(layer, SENTENCES, tmp_path / "a.npy", **QUIET)
    check_tokens(found, fresh(SENTENCES))
