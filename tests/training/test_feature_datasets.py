"""Batches of features, on any backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo import text_dataset
from keras_elmo.training import feature_dataset
from tests.any_backend import without_strings

pytestmark = pytest.mark.any_backend

ROWS = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)


class Stored(list[Any]):
    """Vectors of tokens, or of texts, as a file has them."""

    lengths: Any = None


TOKENS = [ROWS[:2], ROWS[2:2], ROWS[2:]]
STORED = Stored(TOKENS)
STORED.lengths = np.array([2, 0, 3])


def batches(dataset: Any) -> list[Any]:
    found = list(dataset)
    assert len(found) == len(dataset)
    return [keras.tree.map_structure(keras.ops.convert_to_numpy, x) for x in found]


@pytest.mark.parametrize("features", [TOKENS, tuple(TOKENS), STORED])
def test_tokens(features: Any) -> None:
    dataset = feature_dataset(features, [0.5, 1.5, 2.5], batch_size=2)
    (first, labels), (second, _) = batches(dataset)
    np.testing.assert_array_equal(first, [ROWS[:2], np.zeros((2, 3, 4))])
    np.testing.assert_array_equal(second, [ROWS[2:]])
    assert first.dtype == np.float32
    np.testing.assert_array_equal(labels, [0.5, 1.5])
    # Texts without tokens have a step.
    [found] = batches(feature_dataset([ROWS[:0]] * 2))
    np.testing.assert_array_equal(found, np.zeros((2, 1, 3, 4)))


def test_labels_of_tokens() -> None:
    labels = [[1, 2], [], np.array([3, 4, 5])]
    [(features, found)] = batches(feature_dataset(STORED, token_labels=labels))
    assert features.shape == (3, 3, 3, 4)
    np.testing.assert_array_equal(found, [[1, 2, 0], [0, 0, 0], [3, 4, 5]])


def test_texts(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    memmap = np.load(tmp_path / "a.npy", mmap_mode="r")
    for features in (memmap, ROWS, Stored(ROWS)):
        found = batches(feature_dataset(features, batch_size=np.int32(4)))
        np.testing.assert_array_equal(np.concatenate(found), ROWS)
        assert [len(batch) for batch in found] == [4, 1]


@pytest.mark.parametrize("features", [ROWS, TOKENS])
def test_the_order_is_that_of_the_texts(features: Any) -> None:
    n = len(features)
    order = {"batch_size": 2, "shuffle": True, "seed": 5}
    for initial_epoch in (0, np.int64(1)):
        dataset = feature_dataset(features, range(n), initial_epoch=initial_epoch, **order)
        texts = text_dataset(["a"] * n, range(n), initial_epoch=initial_epoch, **order)
        for _ in range(3):
            orders = [[i for _, y in batches(d) for i in y] for d in (texts, dataset)]
            assert orders[0] == orders[1]
            assert sorted(orders[0]) == list(range(n))


@without_strings
@pytest.mark.parametrize("steps", [None, 2])
def test_epochs_differ_if_keras_shuffles_the_batches(
    monkeypatch: pytest.MonkeyPatch, steps: int | None
) -> None:
    order = {"batch_size": 2, "shuffle": True, "seed": 5}
    dataset, twin = (feature_dataset(np.eye(8), range(8), **order) for _ in range(2))
    expected = [sorted(labels.tolist() for _, labels in twin) for _ in range(3)]
    read: list[list[int]] = []
    batch_of = type(dataset)._batch

    def recorded(self: Any, rows: Any) -> Any:
        read.append(rows.tolist())
        return batch_of(self, rows)

    monkeypatch.setattr(type(dataset), "_batch", recorded)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(dataset, epochs=3 if steps is None else 6, steps_per_epoch=steps, verbose=0)
    read = read[-12:]  # Keras has read some before, to build the model
    assert [sorted(read[i : i + 4]) for i in (0, 4, 8)] == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"features": [1, 2]}, TypeError, r"features must be an array .*; got \[1, 2\] of"),
        ({"features": []}, TypeError, r"features must be an array .*; got \[\] of"),
        ({"features": np.zeros(3)}, TypeError, "features must be an array"),
        (
            {"features": [ROWS, ROWS[:, :1]]},
            ValueError,
            r"features\[1\]: expected .*, \(3, 4\); got float32 and \(1, 4\)\. C",
        ),
        (
            {"features": [ROWS.astype(int), ROWS]},
            ValueError,
            r"the dtype of features\[0\], int64, .*; got float32 and \(3, 4\)\. C",
        ),
        ({"labels": [1]}, ValueError, "labels: expected one per text, 3; got 1"),
        ({"labels": [1] * 3, "token_labels": []}, ValueError, "pass one of them, not both"),
        (
            {"token_labels": [[1]]},
            ValueError,
            "token_labels: expected one item per text, 3; got 1",
        ),
        (
            {"token_labels": [[1, 2], [], [3]]},
            ValueError,
            r"token_labels\[2\]: expected .* token, 3; got 1\. The layer may have c",
        ),
        ({"token_labels": [1, 2, 3]}, ValueError, r"token_labels\[0\]: .* got 0"),
        (
            {"features": [ROWS[:0]], "token_labels": [[]]},
            ValueError,
            "token_labels: the texts have no tokens to label",
        ),
        (
            {"token_labels": [[0, 1], [], [1, np.nan, 2]]},
            ValueError,
            r"token_labels\[2\]\[1\] is missing\. Add it, or remove its text",
        ),
        (
            {"token_labels": [[None, 1], [], [1, 0, 2]]},
            ValueError,
            r"token_labels\[0\]\[0\] is missing",
        ),
        (
            {"token_labels": [["a", "b"], [], ["a"] * 3]},
            TypeError,
            "token_labels must be numbers; got .*'a'",
        ),
        ({"initial_epoch": -1}, ValueError, "initial_epoch must be an integer from 0 on"),
        ({"features": ROWS, "token_budget": 3}, ValueError, "token_budget applies only"),
        (
            {"features": ROWS, "group_by_length": True},
            ValueError,
            "group_by_length applies",
        ),
        ({"features": ROWS, "token_labels": []}, ValueError, "token_labels applies only"),
    ],
)
def test_refuses(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        feature_dataset(**{"features": TOKENS, **arguments})
