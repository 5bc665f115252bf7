"""Models of ELMoForManyLangs, and of words alone: oracles, and all that a layer does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, text_dataset
from keras_elmo.config import TokenIds
from keras_elmo.layers import CharacterIds
from keras_elmo.text.lexicon import Lexicon
from keras_elmo.weights.sources import load_path
from tests.any_backend import BACKEND, to_numpy
from tests.manylangs_models import SENTENCES, manylangs_model

pytestmark = pytest.mark.any_backend
tensorflow = pytest.mark.tensorflow

Report = Callable[[str, float], None]

TOLERANCE = 3e-6
INPUT_MODE = "tokens" if BACKEND == "tensorflow" else "character_ids"
MODELS = ("words_and_characters", "characters")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return manylangs_model(tmp_path_factory.mktemp("manylangs"))


def given(layer: ElmoEmbeddingLayer, sentences: list[list[str]]) -> Any:
    return sentences if INPUT_MODE == "tokens" else layer.config.batch_to_ids(sentences)


# -------------------------------------------------------------------------------- oracles


def original_ids(folder: Path, config: ElmoConfig, i: int) -> np.ndarray:
    """The ids that the original program made of a sentence, as ours."""
    lexicon = config.lexicon
    assert lexicon is not None
    text = (folder / "model" / "char.dic").read_text("utf-8").removesuffix("\n")
    names = [line.rpartition("\t")[0] for line in text.split("\n")]  # by id
    with np.load(folder / "ids.npz") as ids:
        rows = np.array([1 + lexicon.characters.index(name) for name in names])
        parts = [rows[ids[f"chars_{i}"]]]
        if lexicon.words:
            parts.insert(0, 1 + ids[f"words_{i}"][:, None])
    return np.concatenate(parts, axis=1)  # (tokens + 2, ids of a token)


@pytest.mark.parametrize("name", MODELS)
def test_original_program(name: str, shared: Path, report_error: Report) -> None:
    folder = shared / "oracles" / "efml_tiny" / name
    sentences = json.loads((folder / "inputs.json").read_text("utf-8"))["sentences"]
    layer = ElmoEmbeddingLayer(folder / "model", "layers", "character_ids")
    ids = layer.config.batch_to_ids(sentences)
    for i, tokens in enumerate(sentences):
        expected = original_ids(folder, layer.config, i)[1:-1]
        np.testing.assert_array_equal(ids[i, : len(tokens)], expected)
    layers = to_numpy(layer(ids))  # (batch, time, 3, D)
    with np.load(folder / "outputs.npz") as outputs:
        for i, tokens in enumerate(sentences):
            expected = outputs[f"all_{i}"].transpose(1, 0, 2)  # (tokens, 3, D)
            error = np.abs(layers[i, : len(tokens)] - expected).max()
            report_error(f"ELMoForManyLangs {name}", error)
            assert error < TOLERANCE
            assert not layers[i, len(tokens) :].any()
    boundaries = to_numpy(layer.bilm.sentence_boundaries(ids))
    expected = original_ids(folder, layer.config, 0)
    np.testing.assert_array_equal(boundaries[0, 0], expected[0])
    np.testing.assert_array_equal(boundaries[0, -1], expected[-1])


@pytest.mark.parametrize("name", MODELS)
def test_todays_pickles(name: str, shared: Path, tmp_path: Path) -> None:
    folder = shared / "oracles" / "efml_tiny" / name
    model = shutil.copytree(folder / "model", tmp_path / "model")
    config, arrays = load_path(model)
    shutil.copytree(folder / "pickles_zip_format", model, dirs_exist_ok=True)
    same_config, same_arrays = load_path(model)
    assert same_config == config
    for key, array in arrays.items():
        np.testing.assert_array_equal(same_arrays[key], array)


def test_words_of_bilm_tf(shared: Path, tmp_path: Path, report_error: Report) -> None:
    """Token vectors that bilm-tf dumped are the words of a model of words."""
    oracle = shared / "oracles" / "allennlp_tiny"
    model = word_model(tmp_path / "model", oracle)
    words = (oracle / "vocab_test.txt").read_text("utf-8").split()
    special = ("<S>", "</S>", "<UNK>")
    known = [[w for w in words[i : i + 9] if w not in special] for i in (0, 100, 300)]
    of_bytes = ElmoEmbeddingLayer(oracle / "lm_weights.hdf5", "layers", INPUT_MODE)
    layer = ElmoEmbeddingLayer(model, "layers", INPUT_MODE)
    assert layer.config.array_shapes()["embedding"] == (len(words), 16)
    expected, found = (to_numpy(x(given(x, known))) for x in (of_bytes, layer))
    error = np.abs(expected - found).max()
    report_error("bilm-tf model of words", error)
    assert error < TOLERANCE
    # What is not known is <UNK>, and what is written is read again.
    unknown = to_numpy(layer(given(layer, [["never-seen"], ["<UNK>"]])))
    np.testing.assert_array_equal(unknown[0], unknown[1])
    layer.save_hdf5(tmp_path / "again")
    again = ElmoEmbeddingLayer(tmp_path / "again", "layers", INPUT_MODE)
    assert again.config == layer.config
    np.testing.assert_array_equal(to_numpy(again(given(again, known))), found)
    (model / "vocab.txt").unlink()
    with pytest.raises(ValueError, match=r"vocabulary.txt .* next to them; found 0"):
        ElmoEmbeddingLayer(model, input_mode="character_ids")


def word_model(folder: Path, oracle: Path) -> Path:
    """A model of words in bilm-tf's files, with the vectors that it dumped."""
    folder.mkdir()
    options = json.loads((oracle / "options.json").read_text("utf-8"))
    shutil.copy(oracle / "vocab_test.txt", folder / "vocab.txt")
    with (
        h5py.File(oracle / "lm_weights.hdf5") as weights,
        h5py.File(oracle / "elmo_token_embeddings.hdf5") as tokens,
        h5py.File(folder / "weights.hdf5", "w") as file,
    ):
        file["embedding"] = tokens["embedding"][()]
        options["n_tokens_vocab"] = len(file["embedding"])
        for i in range(2):
            weights.copy(f"RNN_{i}", file)
    del options["char_cnn"]
    (folder / "options.json").write_text(json.dumps(options))
    return folder


# ------------------------------------------------------------------------------ all of it


def test_a_copy_without_the_source(model: Path, tmp_path: Path) -> None:
    """``.keras`` files, configurations, and padding anywhere."""
    folder = shutil.copytree(model, tmp_path / "model")
    layer = ElmoEmbeddingLayer(folder, "elmo", INPUT_MODE, name="elmo")
    inputs = keras.Input(
        (None,) if INPUT_MODE == "tokens" else (None, layer.config.token_ids.length),
        dtype="string" if INPUT_MODE == "tokens" else "int32",
    )
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    shutil.rmtree(folder)
    loaded = keras.saving.load_model(tmp_path / "model.keras").get_layer("elmo")
    assert loaded.config == layer.config
    expected = to_numpy(layer(given(layer, SENTENCES)))
    np.testing.assert_array_equal(to_numpy(loaded(given(layer, SENTENCES))), expected)
    copy = ElmoEmbeddingLayer.from_config(layer.get_config())
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(copy(given(layer, SENTENCES))), expected)
    gaps = to_numpy(layer.config.batch_to_ids([["x", *SENTENCES[0]]]))[:, [1, 2, 0, 3]]
    gaps[:, 2] = 0
    ids = ElmoEmbeddingLayer(layer.config, "elmo", "character_ids")
    ids.set_weights(layer.get_weights())
    assert not to_numpy(ids(gaps))[0, 2].any()
    found = to_numpy(ids(gaps))[0, [0, 1, 3]]
    np.testing.assert_allclose(found, expected[0, :3], atol=1e-6)


def test_training_changes_words_and_characters(model: Path) -> None:
    mode = "sentences" if BACKEND == "tensorflow" else "character_ids"
    layer = ElmoEmbeddingLayer(model, input_mode=mode, fine_tune="all")
    texts = [" ".join(tokens) for tokens in SENTENCES]
    data = text_dataset(texts, [0.0, 1, 0, 1], config=layer.config, batch_size=4)
    before = {v.path: to_numpy(v) for v in layer.trainable_variables}
    assert sum(path.endswith("_embedding") for path in before) == 2
    inputs = keras.Input((), dtype="string")
    if mode == "character_ids":
        inputs = keras.Input((None, layer.config.token_ids.length), dtype="int32")
    classifier = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    classifier.compile("sgd", "mse", run_eagerly=BACKEND == "tensorflow")
    classifier.fit(data, verbose=0, shuffle=False)
    for variable in layer.trainable_variables:
        is_first = variable.path.endswith("w_0")
        assert is_first or (to_numpy(variable) != before[variable.path]).any()
    encoded = layer.encode(texts, verbose=0)
    called = layer(texts if mode == "sentences" else layer.config.batch_to_ids(SENTENCES))
    np.testing.assert_allclose(encoded, to_numpy(called), atol=1e-6)


@tensorflow
@pytest.mark.slow
def test_served_strings(model: Path, tmp_path: Path) -> None:
    """Exports take strings; a vocabulary cache changes nothing."""
    import tensorflow as tf

    texts = tf.constant([" ".join(tokens) for tokens in SENTENCES])
    layer = ElmoEmbeddingLayer(model)
    expected = layer(texts).numpy()
    layer.cache_vocabulary(["Straße", "."])
    np.testing.assert_allclose(layer(texts), expected, atol=1e-6)
    inputs = keras.Input((), dtype="string")
    keras.Model(inputs, layer(inputs)).export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(texts), expected, atol=1e-6)


@tensorflow
@pytest.mark.parametrize("kind", ["both", "characters", "words"])
def test_ids_in_the_graph(model: Path, kind: str) -> None:
    """The graph's ids are those of NumPy, of any bytes."""
    lexicon = load_path(model)[0].lexicon
    assert lexicon is not None
    if kind == "characters":
        lexicon = Lexicon(characters=lexicon.characters)
    elif kind == "words":
        lexicon = Lexicon(lexicon.words, special=lexicon.special)
    rng = np.random.default_rng(0)
    pieces = [*"Ufer ß北🙂\u3000\ufeff\ufffd\u0301", *"\x00\x7f\r", "die", "<bos>", "<eos>"]
    tokens = [w.encode() for w in ("<bos>", "<eos>", "<oov>", "<pad>", *lexicon.words)]
    tokens += [
        "".join(rng.choice(pieces, rng.integers(1, 12))).encode() for _ in range(200)
    ]
    tokens += [bytes(rng.choice([0, 65, 0x80, 0xC3, 0x9F, 0xE5, 0xF0, 0xED, 0xFF], 4))]
    tokens += [bytes(rng.integers(1, 256, n, np.uint8)) for n in rng.integers(1, 9, 500)]
    tokens = list(filter(None, tokens))  # "" would be padding
    expected = np.stack([TokenIds(8, lexicon)(token) for token in tokens])
    layer = CharacterIds("tokens", max_characters_per_token=8, lexicon=lexicon)
    assert CharacterIds.from_config(layer.get_config()).lexicon == lexicon
    np.testing.assert_array_equal(layer([tokens])[0], expected)


def test_ids_that_no_table_has(model: Path) -> None:
    layer = ElmoEmbeddingLayer(model, input_mode="character_ids")
    ids = layer.config.batch_to_ids(SENTENCES)
    for column, message in ((0, "its word's, to 10"), (3, "from 0 to 261")):
        wrong = ids.copy()
        wrong[0, 0, column] = 300
        with pytest.raises(ValueError, match=message):
            layer(wrong)
    with pytest.raises(ValueError, match="A token of this model has 9 ids"):
        layer(ids[..., 1:])


CHARACTERS = ("",) * 261


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"word_dim": 3}, "word_dim must be 0 with the lexicon None; got 3"),
        ({"char_dim": 0}, "filters: the sum of the counts must be an integer from 0 to 0"),
        ({"lexicon": ["a"]}, r"lexicon must be a Lexicon or None; got \['a'\]"),
        (
            {"lexicon": Lexicon(("<S>", "</S>", "<UNK>"))},
            "char_dim must be 0 with .*3 w",
        ),
        ({"lexicon": Lexicon((), CHARACTERS), "word_dim": 1}, "word_dim must be 0 with"),
    ],
)
def test_configurations_that_do_not_fit(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ElmoConfig(**changed)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "neither words nor characters"),
        ({"words": ("a",)}, "missing: </S>, <S>, <UNK>"),
        ({"words": ["<S>"]}, "words must be a tuple"),
        ({"characters": ("a", "b")}, "at least 261 characters; got 2"),
        ({"characters": (*CHARACTERS, "\n")}, "without line breaks"),
    ],
)
def test_bad_lexicons(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lexicon(**content)


@pytest.mark.parametrize("content", [3, {}, {"words": "a", "characters": 3, "special": ""}])
def test_bad_lexicons_of_files(content: Any) -> None:
    with pytest.raises(ValueError, match="lexicon"):
        Lexicon.from_dict(content)
