"""Properties that hold of any text, any configuration and any file that is written."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import hypothesis.extra.numpy as hnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, ScalarMix, batch_to_character_ids
from keras_elmo.hub.sources import load_path
from keras_elmo.layers import MaskedMean
from keras_elmo.pretraining import TrainingConfig, Vocabulary
from keras_elmo.pretraining.softmax_file import SoftmaxWeights, load_softmax, save_softmax
from keras_elmo.text.strict_json import parse_json
from keras_elmo.weights.hdf5_text import (
    read_only_string,
    read_text_attribute,
    write_text_attribute,
)
from keras_elmo.weights.numpy_files import map_npy, read_member
from keras_elmo.weights.sources import save_model
from tests.tiny_models import LEAST, configs, random_arrays

# Every kind of character: controls, NUL, combining and right-to-left ones, half pairs.
CHARACTERS = st.one_of(
    st.characters(codec=None, categories=("Cs", "Cc", "Cf", "Mn", "Lo", "Ll", "So", "Zs")),
    st.sampled_from("\0\t\n\u00a0\u0301\u05d0\u200f\u202e\ud800\udfff\ufeff\U0001f642 "),
)
TEXTS = st.text(CHARACTERS, max_size=20)

few = settings(max_examples=15)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written")


# ------------------------------------------------------------------------------- texts


@pytest.fixture(scope="module")
def of_sentences() -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(LEAST, "layers")


@pytest.mark.filterwarnings("ignore::keras_elmo.errors.InputTip")
@few
@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_any_text_has_finite_vectors_and_zeros_elsewhere(
    of_sentences: ElmoEmbeddingLayer, texts: list[str]
) -> None:
    vectors = of_sentences(texts)
    mask = np.asarray(vectors._keras_mask)  # (batch, time)
    assert np.isfinite(vectors).all()
    assert not np.asarray(vectors)[~mask].any()
    clean = [text.encode("utf-8", "ignore") for text in texts]
    assert mask.sum(1).tolist() == [len(list(filter(None, t.split(b" ")))) for t in clean]


@given(st.lists(st.lists(TEXTS, max_size=4), max_size=3), st.integers(3, 12))
def test_character_ids_of_any_text(batch: list[list[str]], length: int) -> None:
    """Against a slow reading of the definition."""
    found = batch_to_character_ids(batch, length)
    time = max(map(len, batch), default=0)
    assert found.shape == (len(batch), time, length)
    for row, tokens in zip(found, batch, strict=True):
        for ids, token in zip(row, tokens, strict=False):
            content = [byte + 1 for byte in token.encode("utf-8", "ignore")]
            expected = [259, *content[: length - 2], 260]
            assert ids.tolist() == expected + [261] * (length - len(expected))
        assert not row[len(tokens) :].any()


# ------------------------------------------------------------------------------ layers

NUMBERS = st.floats(-4, 4, width=32)


@few
@given(st.integers(1, 3), st.integers(1, 4), st.integers(2, 4), st.data())
def test_mixing_and_pooling_commute(
    batch: int, time: int, n_layers: int, data: st.DataObject
) -> None:
    shape = (batch, time, n_layers, 3)
    layers = data.draw(hnp.arrays(np.float32, shape, elements=NUMBERS))
    mask = data.draw(hnp.arrays(bool, shape[:2]))
    mix, mean = ScalarMix(), MaskedMean()
    mix.build(shape)
    weights = data.draw(hnp.arrays(np.float32, n_layers, elements=NUMBERS))
    mix.set_weights([weights, np.float32(data.draw(NUMBERS))])
    both = mix(mean(layers, mask=mask)), mean(mix(layers), mask=mask)
    np.testing.assert_allclose(*both, atol=1e-4)


ARGUMENTS = st.tuples(
    st.sampled_from(["default", "elmo", "word_emb", "layers", "pooled_layers"]),
    st.sampled_from(["sentences", "tokens", "character_ids"]),
    st.sampled_from(["aggregation", "lstm", "all"]),
    TEXTS.map(lambda text: text.encode("utf-8", "ignore").decode()),  # pad_token
    st.none() | st.integers(1, 9),  # max_tokens
    st.sampled_from([False, True, "pieces"]),  # stateful
)


@few
@given(configs(), ARGUMENTS)
def test_layers_come_back_from_their_configuration(
    config: ElmoConfig, arguments: tuple[Any, ...]
) -> None:
    layer = ElmoEmbeddingLayer(config, *arguments)
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    twin = keras.saving.deserialize_keras_object(json.loads(text))
    assert twin.get_config() == layer.get_config()
    assert twin.config == config
    assert [w.shape for w in twin.weights] == [w.shape for w in layer.weights]


# ------------------------------------------------------------------------------- files


@few
@given(configs(), st.integers(0, 2**32 - 1))
def test_models_come_back_from_folders_and_archives(
    folder: Path, config: ElmoConfig, seed: int
) -> None:
    arrays = random_arrays(config, seed)
    save_model(folder / "model", config, arrays)
    with zipfile.ZipFile(folder / "model.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("options.json", "weights.hdf5"):
            file.write(folder / "model" / name, name)
    for path in (folder / "model", folder / "model.zip"):
        found, read = load_path(path)
        assert found == config
        for name, array in read.items():
            assert array.tobytes() == arrays[name].tobytes()


@few
@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r"), min_size=1), unique=True),
    st.integers(1, 4),
    st.sampled_from(["float16", "float32"]),
)
def test_softmaxes_come_back(
    folder: Path, words: list[str], features: int, dtype: str
) -> None:
    special = ("<S>", "</S>", "<UNK>")
    vocabulary = Vocabulary([*special, *(w for w in words if w not in special)])
    rng = np.random.default_rng(len(words))
    kernel = rng.normal(size=(len(vocabulary), features)).astype(dtype)
    bias = rng.normal(size=len(vocabulary)).astype(dtype)
    save_softmax(folder, SoftmaxWeights(vocabulary, kernel, bias), dtype)
    found = load_softmax(folder, features)
    assert found.vocabulary.words == vocabulary.words
    np.testing.assert_array_equal(found.kernel, kernel)
    np.testing.assert_array_equal(found.bias, bias)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_json_comes_back(value: object) -> None:
    assert parse_json(json.dumps(value)) == value


@few
@given(
    hnp.arrays(
        st.sampled_from(["<f4", "<f2", "<f8", "<i8", "u1", "?"]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4),
    )
)
def test_arrays_come_back(folder: Path, array: np.ndarray) -> None:
    np.save(folder / "a.npy", array)
    np.savez(folder / "a.npz", array)
    with zipfile.ZipFile(folder / "a.npz") as file:
        member = read_member(file, "arr_0", array.shape, array.dtype.kind)
    for found in (member, map_npy(folder / "a.npy", array.dtype.kind)):
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert found.tobytes() == array.tobytes()


@few
@given(st.text(st.characters(exclude_characters="\0")))
def test_strings_in_hdf5_come_back(folder: Path, text: str) -> None:
    with h5py.File(folder / "s.hdf5", "w") as file:
        file.create_dataset("text", (1,), h5py.string_dtype())[0] = text
        write_text_attribute(file, "text", json.dumps(text))
    with h5py.File(folder / "s.hdf5") as file:
        assert read_only_string(file, file["text"]).decode() == text
        assert parse_json(read_text_attribute(file, "text")) == text


@given(
    st.builds(
        TrainingConfig,
        n_steps=st.integers(1, 10).map(lambda n: 50 * n),
        warmup_steps=st.integers(0, 49),
        log_steps=st.sampled_from([1, 2, 5, 10, 25, 50]),
        dropout=st.floats(0, 0.99),
        clip_norm=st.none() | st.floats(0.01, 100),
        seed=st.integers(0, 2**31 - 1),
    )
)
def test_training_settings_come_back(config: TrainingConfig) -> None:
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
