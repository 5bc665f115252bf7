"""Texts as character ids, on the backend of the run."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, text_dataset
from keras_elmo.text.tokenization import split_text
from tests.any_backend import BACKEND, fed, model_of, to_numpy, to_tensor, without_strings
from tests.tiny_models import LEAST

pytestmark = pytest.mark.any_backend

TEXTS = [
    "the cat sat on the mat",
    "a",
    "",
    "naïve café 北京 🙂",
    "five words of plain text",
]
IDS: Any = {"input_mode": "character_ids"}


def batches(*arguments: Any, **options: Any) -> list[list[np.ndarray]]:
    """The arrays of each batch of an iteration."""
    dataset = text_dataset(*arguments, **IDS, **options)
    return [[to_numpy(array) for array in batch] for batch in dataset]


def words(ids: np.ndarray) -> list[list[str]]:
    """The words that ids were made of."""
    return [
        [bytes(int(i) - 1 for i in row if 0 < i <= 256).decode() for row in text if row[0]]
        for text in ids
    ]


def test_text_dataset_in_order() -> None:
    labels = to_tensor(np.arange(5))
    ids, labels = zip(*batches(TEXTS, labels, batch_size=2, max_tokens=3), strict=True)
    assert [label.tolist() for label in labels] == [[0, 1], [2, 3], [4]]
    expected = [text.split()[:3] for text in TEXTS]
    assert [row for array in ids for row in words(array)] == expected
    assert [array.shape for array in ids] == [(2, 3, 50), (2, 3, 50), (1, 3, 50)]
    assert ids[0].dtype == np.int32


@pytest.mark.parametrize("split", ["words", "character"])
def test_raw_text(split: Any) -> None:
    raw = ["It isn't bad... हिन्दी", "MKV\tLLA。"]
    found = [words(ids) for ids, _ in batches(raw, np.arange(2), split=split)]
    assert found == [[split_text(text, split) for text in raw]]
    with pytest.raises(ValueError, match="split must be one of 'space', 'words', 'char"):
        text_dataset(raw, split="lines")


def test_few_lengths_where_each_is_compiled() -> None:
    texts = ["a " * n for n in range(1, 42)]
    dataset = text_dataset(texts, batch_size=1, **IDS)
    assert len(dataset) == 41
    lengths = [to_numpy(ids).shape[1] for ids in dataset]
    expected = list(range(1, 42))
    if BACKEND == "jax":
        expected[16:32] = [n for n in range(18, 33, 2) for _ in range(2)]
        expected[32:] = [36] * 4 + [40] * 4 + [41]
    assert lengths == expected


def test_text_dataset_in_another_order_in_each_iteration() -> None:
    texts = [f"t{i} " * (1 + i % 9) for i in range(30)]
    how: Any = {"batch_size": 4, "group_by_length": True, "shuffle": True, "seed": 7}

    def orders(**epoch: int) -> list[list[int]]:
        dataset = text_dataset(texts, np.arange(30), **IDS, **how, **epoch)
        found = []
        for _ in range(3):
            order: list[int] = []
            for ids, labels in dataset:
                order += to_numpy(labels).tolist()
                of_batch = order[-len(labels) :]
                assert words(to_numpy(ids)) == [texts[i].split() for i in of_batch]
            found.append(order)
        return found

    first = orders()
    assert first[0] != first[1] != first[2]
    assert all(sorted(order) == list(range(30)) for order in first)
    assert orders() == first
    assert orders(initial_epoch=1)[:2] == first[1:]


def test_fit_and_predict_take_a_text_dataset() -> None:
    layer = ElmoEmbeddingLayer(LEAST, input_mode="character_ids")
    model = model_of(layer, keras.layers.Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.SGD(0.0), "binary_crossentropy")
    labels = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    dataset = text_dataset(TEXTS, labels, batch_size=2, shuffle=True, seed=0, **IDS)
    history = model.fit(dataset, epochs=2, shuffle=False, verbose=0).history
    ids = fed([text.split() for text in TEXTS], "character_ids")
    expected = model.predict(ids, verbose=0)
    loss = np.mean(np.where(labels, -np.log(expected[:, 0]), -np.log(1 - expected[:, 0])))
    np.testing.assert_allclose(history["loss"], [loss, loss], rtol=1e-5)
    found = model.predict(text_dataset(TEXTS, batch_size=2, **IDS), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("input_mode", "characters", "message"),
    [
        ("tokens", None, "input_mode must be one of 'sentences', 'character_ids'"),
        ("character_ids", 2, "max_characters_per_token must be at least 3 .* got 2"),
        pytest.param(
            *("sentences", 50, "applies only to character ids"),
            marks=pytest.mark.tensorflow,
        ),
        pytest.param(
            *("sentences", None, "'sentences' takes strings and needs the TensorFlow"),
            marks=without_strings,
        ),
    ],
)
def test_text_dataset_refuses(
    input_mode: str, characters: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        text_dataset(TEXTS, input_mode=input_mode, max_characters_per_token=characters)


@without_strings
def test_ids_are_what_other_backends_take() -> None:
    dataset = text_dataset(TEXTS, max_characters_per_token=9)
    assert isinstance(dataset, keras.utils.PyDataset)
    assert next(iter(dataset)).shape[2] == 9
