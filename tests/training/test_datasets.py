from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer, text_dataset
from keras_elmo.pretraining.vocabulary import SPECIAL_WORDS, Vocabulary
from keras_elmo.pretraining.windows import Windows
from tests.tiny_models import LEAST

TEXTS = ["the cat sat", "a", "", "one two three four five", "a dog", "x"]


def batches(dataset: tf.data.Dataset) -> list[list[bytes]]:
    return [batch.tolist() for batch in dataset.as_numpy_iterator()]


def test_in_order() -> None:
    encoded = [text.encode() for text in TEXTS]
    dataset = text_dataset(TEXTS, batch_size=4)
    assert dataset.element_spec == tf.TensorSpec((None,), tf.string)
    for _ in range(2):
        assert batches(dataset) == [encoded[:4], encoded[4:]]
    dataset = text_dataset(TEXTS, max_tokens=np.int8(2), token_budget=4, batch_size=9)
    assert batches(dataset) == [[b"the cat", b"a"], [b"", b"one two"], [b"a dog", b"x"]]


def test_labels_stay_with_their_texts() -> None:
    labels = np.arange(12, dtype=np.float16).reshape(6, 2)
    order = {"batch_size": 2, "group_by_length": True, "shuffle": True, "seed": 0}
    dataset = text_dataset(TEXTS, labels, **order)
    assert dataset.element_spec[1] == tf.TensorSpec((None, 2), tf.float16)
    for texts, found in dataset.as_numpy_iterator():
        for text, label in zip(texts, found, strict=True):
            np.testing.assert_array_equal(label, labels[TEXTS.index(text.decode())])


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,text\n1,the\tcat\n2,\xff\n")
    dataset = text_dataset(path, [1], column="text", on_error="skip")
    [(texts, labels)] = dataset.as_numpy_iterator()
    assert (texts.tolist(), labels.tolist()) == ([b"the cat"], [1])
    dataset = text_dataset([path, path], input_format="text", on_error="repair")
    assert batches(dataset) == [[b"id,text", b"1,the cat", "2,\ufffd".encode()] * 2]


@settings(max_examples=20)
@given(
    st.lists(st.text("ab ", max_size=30), min_size=1, max_size=20),
    st.fixed_dictionaries(
        {
            "batch_size": st.integers(1, 5),
            "token_budget": st.none() | st.integers(1, 20),
            "group_by_length": st.booleans(),
            "shuffle": st.booleans(),
        }
    ),
)
def test_the_same_texts_in_every_iteration(
    texts: list[str], options: dict[str, Any]
) -> None:
    dataset = text_dataset(texts, **options)
    for _ in range(2):
        found = batches(dataset)
        assert len(found) == int(dataset.cardinality())
        assert sorted(text for batch in found for text in batch) == sorted(
            " ".join(text.split()).encode() for text in texts
        )
        for batch in found:
            longest = max(1, *(len(text.split()) for text in batch))
            assert len(batch) <= options["batch_size"]
            if options["token_budget"] is not None and len(batch) > 1:
                assert len(batch) * longest <= options["token_budget"]


def test_no_thread_delays_the_end_of_a_pass() -> None:
    windows = Windows(LEAST, Vocabulary([*SPECIAL_WORDS, "a"]), 2, 3)
    for dataset in (text_dataset(TEXTS), windows.dataset(lambda: [["a"]])):
        assert dataset.batch(2).options().autotune.enabled is False  # the default is None


def test_keras_knows_the_number_of_steps() -> None:
    text = keras.Input((), dtype="string")
    model = keras.Model(text, keras.layers.Dense(1)(ElmoEmbeddingLayer(LEAST)(text)))
    model.compile("sgd", "mse")
    steps: list[int] = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: steps.append(note.params["steps"])
    )
    order = {"batch_size": 4, "token_budget": 8, "shuffle": True, "seed": 0}
    dataset = text_dataset(TEXTS, np.arange(6.0), **order)
    model.fit(dataset, epochs=2, shuffle=False, verbose=0, callbacks=[note])
    assert steps == [int(dataset.cardinality())] * 2
    expected = model.predict(np.array(TEXTS, dtype=object), verbose=0)
    found = model.predict(text_dataset(TEXTS, token_budget=5), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": []}, "texts must hold at least one text; got none"),
        (
            {"column": "text"},
            "input_format and column apply only to files; texts is a coll",
        ),
        ({"max_tokens": 0}, "max_tokens must be a positive integer; got 0"),
        ({"batch_size": 2.5}, "batch_size must be a positive integer; got 2.5"),
        ({"labels": [1]}, "labels: expected one per text, 6; got 1"),
        ({"seed": 1}, "seed=1 applies only with shuffle=True"),
        ({"initial_epoch": -1}, "initial_epoch must be an integer from 0 on; got -1"),
        ({"initial_epoch": 1.0}, "initial_epoch must be an integer from 0 on; got 1.0"),
    ],
)
def test_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        text_dataset(**{"texts": TEXTS, **arguments})
