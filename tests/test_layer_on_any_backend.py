"""The layer on character ids, and the texts as ids, on the backend of the run."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, batch_to_character_ids, text_dataset
from keras_elmo.hub import export_saved_model
from keras_elmo.hub.module import HubModule
from keras_elmo.layers import CharacterIds
from tests.any_backend import to_numpy, to_tensor
from tests.test_elmo_embedding_layer import MODES, POOLED, SHAPES, TOKENS, expected_output
from tests.test_training import intended, paths
from tests.tiny_models import TINY

pytestmark = pytest.mark.any_backend

BACKEND = keras.backend.backend()
without_strings = pytest.mark.skipif(BACKEND == "tensorflow", reason="for the others")

IDS = batch_to_character_ids(TOKENS)
LABELS = np.array([1.0, 0.0, 1.0, 0.0])
TEXTS = [" ".join(tokens) for tokens in TOKENS] + ["five words of plain text"]


def layer_of(source: str, mode: str = "elmo", **arguments: object) -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(source, mode, "character_ids", **arguments)


def model_of(layer: ElmoEmbeddingLayer, rows: int | None = None) -> keras.Model:
    """A classifier with an LSTM, where there is a time axis."""
    inputs = keras.Input(batch_shape=(rows, None, 50), dtype="int32")
    x = layer(inputs)
    x = keras.layers.LSTM(3)(x) if len(x.shape) == 3 else x
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
    return model


@pytest.mark.parametrize("mode", MODES)
def test_every_output(source: str, mode: str) -> None:
    layer = layer_of(source, mode)
    output = layer(IDS)
    expected = expected_output(mode)
    np.testing.assert_allclose(to_numpy(output), expected, rtol=1e-5, atol=1e-5)
    mask = getattr(output, "_keras_mask", None)
    if mode in POOLED:
        assert mask is None
    else:
        np.testing.assert_array_equal(to_numpy(mask), IDS.any(axis=-1))
    inputs = keras.Input((None, 50), dtype="int32")
    symbolic = layer(inputs)
    rest = SHAPES[mode][1:] if mode in POOLED else (None, *SHAPES[mode][2:])
    assert symbolic.shape == (None, *rest)


def test_masks_reach_the_layers_downstream(source: str) -> None:
    model = model_of(layer_of(source))
    bare = model.predict(IDS[:1], verbose=0)
    padded = np.zeros((2, 9, 50), np.int32)
    padded[0, [0, 2, 3, 5, 6, 7]] = IDS[0]
    padded[1, :6] = IDS[3]
    np.testing.assert_allclose(model.predict(padded, verbose=0)[:1], bare, atol=1e-6)


def test_predict(source: str) -> None:
    inputs = keras.Input((None, 50), dtype="int32")
    model = keras.Model(inputs, layer_of(source, "layers")(inputs))
    found = model.predict(IDS, verbose=0)
    np.testing.assert_allclose(found, expected_output("layers"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fine_tune", ["aggregation", "lstm", "all"])
def test_fit_moves_what_is_intended_and_a_file_keeps_it(
    source: str, fine_tune: str, tmp_path: Path
) -> None:
    layer = layer_of(source, fine_tune=fine_tune, name="elmo")
    model = model_of(layer)
    variables = paths(layer)
    before = {name: to_numpy(v).copy() for name, v in variables.items()}
    model.fit(IDS, LABELS, verbose=0)
    moved = {name for name, v in variables.items() if (to_numpy(v) != before[name]).any()}
    assert moved == intended("elmo", fine_tune)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    found, expected = (m.predict(IDS, verbose=0) for m in (loaded, model))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_carried_state(source: str) -> None:
    layer = layer_of(source, stateful=True)
    first, second = to_numpy(layer(IDS)), to_numpy(layer(IDS))
    np.testing.assert_allclose(first, expected_output("elmo"), rtol=1e-5, atol=1e-5)
    assert np.abs(second - first).max() > 1e-3
    fewer = to_numpy(layer(IDS[:2]))
    layer.reset_state()
    inputs = keras.Input(batch_shape=(4, None, 50), dtype="int32")
    model = keras.Model(inputs, layer(inputs))
    for ids, expected in ((IDS, first), (IDS, second), (IDS[:2], fewer)):
        found = model.predict_on_batch(ids)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(ValueError, match="built for batches of up to 4 rows; got 5"):
        layer(np.concatenate([IDS, IDS[:1]]))


def test_max_tokens(source: str) -> None:
    inputs = keras.Input((None, 50), dtype="int32")
    layer = layer_of(source, max_tokens=2)
    output = layer(IDS)
    model = keras.Model(inputs, layer(inputs))
    expected = to_numpy(layer_of(source)(IDS[:, :2]))
    for found in (to_numpy(output), model.predict(IDS, verbose=0)):
        assert found.shape[1] == (6 if BACKEND == "jax" else 2)
        np.testing.assert_allclose(found[:, :2], expected, atol=1e-6)
        assert not found[:, 2:].any()
    mask = to_numpy(output._keras_mask)
    np.testing.assert_array_equal(mask[:, :2], IDS[:, :2].any(axis=-1))
    assert not mask[:, 2:].any()
    static = CharacterIds("character_ids", max_tokens=2).compute_output_shape((4, 6, 50))
    assert static == (4, 6 if BACKEND == "jax" else None, 50)


def test_nothing_to_compute(source: str) -> None:
    layer = layer_of(source)
    assert tuple(layer(IDS[:0]).shape) == (0, 6, 16)
    assert not to_numpy(layer(IDS[:, :0])).any()
    below = np.where(IDS.any(axis=-1, keepdims=True), IDS, -1)
    np.testing.assert_allclose(
        to_numpy(layer(to_tensor(below))), to_numpy(layer(IDS)), atol=1e-6
    )


# ------------------------------------------------------------------ texts as ids


def batches(dataset: object) -> list[list[np.ndarray]]:
    """The arrays of each batch of an iteration."""
    return [[to_numpy(array) for array in batch] for batch in dataset]


def words(ids: np.ndarray) -> list[list[str]]:
    """The words that ids were made of."""
    return [
        [bytes(int(i) - 1 for i in row if 0 < i <= 256).decode() for row in text if row[0]]
        for text in ids
    ]


def test_text_dataset_in_order() -> None:
    labels = to_tensor(np.arange(5))
    dataset = text_dataset(
        TEXTS, labels, batch_size=2, max_tokens=3, input_mode="character_ids"
    )
    assert len(dataset) == 3
    for _ in range(2):
        found = batches(dataset)
        ids, labels = zip(*found, strict=True)
        assert [label.tolist() for label in labels] == [[0, 1], [2, 3], [4]]
        expected = [text.split()[:3] for text in TEXTS]
        assert [row for array in ids for row in words(array)] == expected
        assert [array.shape for array in ids] == [(2, 3, 50), (2, 3, 50), (1, 3, 50)]
        assert ids[0].dtype == np.int32


def test_few_lengths_where_each_is_compiled() -> None:
    texts = ["a " * n for n in range(1, 42)]
    dataset = text_dataset(texts, batch_size=1, input_mode="character_ids")
    lengths = [to_numpy(ids).shape[1] for ids in dataset]
    expected = list(range(1, 42))
    if BACKEND == "jax":
        expected[16:32] = [n for n in range(18, 33, 2) for _ in range(2)]
        expected[32:] = [36] * 4 + [40] * 4 + [41]
    assert lengths == expected


def test_text_dataset_in_another_order_in_each_iteration() -> None:
    def orders(seed: int, initial_epoch: int = 0) -> list[list[int]]:
        dataset = text_dataset(
            [f"t{i} " * (1 + i % 9) for i in range(30)],
            np.arange(30),
            batch_size=4,
            group_by_length=True,
            shuffle=True,
            seed=seed,
            initial_epoch=initial_epoch,
            input_mode="character_ids",
        )
        found = []
        for _ in range(3):
            pairs = batches(dataset)
            for ids, labels in pairs:
                expected = [[f"t{i}"] * (1 + i % 9) for i in labels]
                assert words(ids) == expected
            found.append([int(i) for _, labels in pairs for i in labels])
        return found

    first = orders(7)
    assert first[0] != first[1] != first[2]
    assert all(sorted(order) == list(range(30)) for order in first)
    assert orders(7) == first
    assert orders(7, initial_epoch=1)[:2] == first[1:]


def test_fit_and_predict_take_a_text_dataset(source: str) -> None:
    model = model_of(layer_of(source, "default"))
    labels = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    arguments = {"batch_size": 2, "input_mode": "character_ids"}
    # The weighted mean of the batches' losses before each of them is trained on.
    model.optimizer.learning_rate = 0.0
    history = model.fit(
        text_dataset(TEXTS, labels, shuffle=True, seed=0, **arguments),
        epochs=2,
        shuffle=False,
        verbose=0,
    ).history
    ids = batch_to_character_ids([text.split() for text in TEXTS])
    expected = model.predict(ids, verbose=0)
    loss = np.mean(np.where(labels, -np.log(expected[:, 0]), -np.log(1 - expected[:, 0])))
    np.testing.assert_allclose(history["loss"], [loss, loss], rtol=1e-5)
    found = model.predict(text_dataset(TEXTS, **arguments), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"input_mode": "tokens"},
            "input_mode must be one of 'sentences', 'character_ids'",
        ),
        (
            {"input_mode": "character_ids", "max_characters_per_token": 2},
            "max_characters_per_token must be at least 3 .* got 2",
        ),
    ],
)
def test_text_dataset_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        text_dataset(TEXTS, **arguments)


@pytest.mark.tensorflow
def test_sentences_have_no_characters_to_count() -> None:
    with pytest.raises(ValueError, match="an effect on character ids only"):
        text_dataset(TEXTS, max_characters_per_token=50)


@without_strings
def test_ids_are_what_other_backends_take() -> None:
    dataset = text_dataset(TEXTS, max_characters_per_token=9)
    assert isinstance(dataset, keras.utils.PyDataset)
    assert next(iter(dataset)).shape[2] == 9


@without_strings
@pytest.mark.parametrize("input_mode", ["sentences", "tokens"])
def test_strings_need_tensorflow(input_mode: str) -> None:
    message = (
        f"input_mode='{input_mode}' takes strings and needs the TensorFlow backend of "
        f"Keras; this is the '{BACKEND}' backend. Use input_mode='character_ids', with the "
        "ids that keras_elmo.text_dataset or keras_elmo.batch_to_character_ids makes"
    )
    with pytest.raises(ValueError, match=message):
        ElmoEmbeddingLayer(TINY, input_mode=input_mode)
    with pytest.raises(ValueError, match=message):
        CharacterIds(input_mode)
    if input_mode == "sentences":
        with pytest.raises(ValueError, match=message):
            text_dataset(TEXTS, input_mode=input_mode)


@without_strings
def test_a_saved_model_needs_tensorflow(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, input_mode="character_ids")
    with pytest.raises(
        ValueError, match="export_saved_model writes a TensorFlow graph and"
    ):
        export_saved_model(layer, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@without_strings
def test_the_graph_of_a_module_needs_tensorflow() -> None:
    with pytest.raises(
        ValueError,
        match=r"engine='hub' runs a TensorFlow graph and needs",
    ):
        ElmoEmbeddingLayer("no/such/module", engine="hub")
    with pytest.raises(ValueError, match=r"HubModule runs a TensorFlow graph and needs"):
        HubModule(16)
