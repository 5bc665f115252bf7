"""From sentences and tokens to character ids: forms of inputs, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_elmo import batch_to_character_ids
from keras_elmo.layers import CharacterIds
from keras_elmo.text.imdb import LABELED, read_imdb
from keras_elmo.text.tokenization import split_text
from tests.layer_checks import check_layer

TOKENS = st.binary(min_size=1, max_size=12).filter(lambda t: t not in (b"<S>", b"</S>"))


def test_sentences(tmp_path: Path) -> None:
    expected = [
        [[259, 98, 99, 260, 261, 261], [259, 196, 170, 260, 261, 261]],
        [[259, 100, 260, 261, 261, 261], [0] * 6],
        [[0] * 6, [0] * 6],
    ]
    layer = CharacterIds(max_characters_per_token=6)
    check_layer(layer, tf.constant([" ab  é ", "c", ""]), tmp_path, expected)


@pytest.mark.parametrize("split", ["words", "character"])
def test_splits(split: Any, tmp_path: Path) -> None:
    texts = ["It isn't bad... हिन्दी", "", "MKV\tLLA\u3000。\x85"]
    expected = batch_to_character_ids([split_text(text, split) for text in texts])
    check_layer(CharacterIds(split=split), tf.constant(texts), tmp_path, expected)
    short = CharacterIds(split=split, max_tokens=2)(texts)
    np.testing.assert_array_equal(short, expected[:, :2])


def of_graph(texts: list[bytes], split: Any) -> list[list[bytes]]:
    rows = CharacterIds(split=split).tokens(tf.constant(texts)).numpy().tolist()
    return [[token for token in row if token] for row in rows]


def of_python(text: bytes, split: Any) -> list[bytes]:
    """A byte that is not UTF-8 is a token."""
    tokens = split_text(text.decode("utf-8", "surrogateescape"), split)
    return [token.encode("utf-8", "surrogateescape") for token in tokens]


@given(
    st.lists(
        st.binary(max_size=20)
        | st.text().map(str.encode)
        | st.text("ab1'\u2019_.!… \n\x85\u200d\u0301é\u093f🙂\ufe0f").map(str.encode),
        min_size=1,
        max_size=5,
    )
)
def test_the_graph_splits_as_python_does(texts: list[bytes]) -> None:
    for split in ("words", "character", "space"):
        assert of_graph(texts, split) == [of_python(text, split) for text in texts]


@pytest.mark.slow
def test_the_graph_splits_reviews_and_tweets_as_python_does(shared: Path) -> None:
    reviews = read_imdb(shared / "data/aclImdb_v1.tar.gz", [*LABELED, "train/unsup"])
    texts = [text.encode() for folder in reviews.values() for text in folder]
    assert len(texts) == 100_000
    for path in sorted((shared / "data/wnut17").glob("*[dl]")):  # not its README
        tweets = path.read_bytes().split(b"\n\n")
        texts += [re.sub(rb"\t.*", b"", tweet) for tweet in tweets]  # words, without tags
    texts.sort(key=len)  # batches are padded
    for split, chosen in (("words", texts[::4]), ("character", texts[::50])):
        for start in range(0, len(chosen), 500):
            some = chosen[start : start + 500]
            assert of_graph(some, split) == [of_python(text, split) for text in some]


def test_tokens(tmp_path: Path) -> None:
    layer = CharacterIds("tokens", pad_token="<p>", max_characters_per_token=12)
    tokens = tf.constant([["", "New York", "<p>", "is"], ["a", "", "", "<p>"]])
    expected = np.zeros((2, 4, 12), np.int32)
    expected[0, [1, 3]] = batch_to_character_ids([["New York", "is"]], 12)[0]
    expected[1, 0] = batch_to_character_ids([["a"]], 12)[0, 0]
    check_layer(layer, tokens, tmp_path, expected)


def test_only_the_space_splits_and_the_pad_token_is_a_word() -> None:
    words = ["a\tb\nc\u00a0d\u3000e\x00f\rg", "h", "--PAD--"]
    ids = CharacterIds(max_characters_per_token=30)([" ".join(words)])
    np.testing.assert_array_equal(ids, batch_to_character_ids([words], 30))


@given(st.lists(st.lists(TOKENS, max_size=4), min_size=1, max_size=3), st.integers(5, 9))
def test_any_bytes_in_tokens(batch: list[list[bytes]], max_tokens: int) -> None:
    expected = batch_to_character_ids(batch, 9)
    for most in (None, max_tokens):  # which has nothing to cut
        ids = CharacterIds("tokens", "", most, max_characters_per_token=9)(batch)
        np.testing.assert_array_equal(ids[:, : expected.shape[1]], expected)
        assert not np.any(ids[:, expected.shape[1] :])


@pytest.mark.filterwarnings("ignore::keras_elmo.errors.InputTip")
@given(
    st.lists(st.text(max_size=20) | st.binary(max_size=20), min_size=1, max_size=3),
    st.none() | st.integers(1, 3),
)
def test_any_text_and_bytes_in_sentences(
    sentences: list[str | bytes], max_tokens: int | None
) -> None:
    # Lone surrogates are dropped, and may leave nothing of a piece.
    clean = [s.encode("utf-8", "ignore") if isinstance(s, str) else s for s in sentences]
    batch = [[t for t in s.split(b" ") if t][:max_tokens] for s in clean]
    assume(not {b"<S>", b"</S>"} & {token for tokens in batch for token in tokens})
    ids = CharacterIds(max_tokens=max_tokens)(sentences)
    expected = batch_to_character_ids(batch)
    np.testing.assert_array_equal(ids[:, : expected.shape[1]], expected)
    assert not np.any(ids[:, expected.shape[1] :])


def test_long_inputs() -> None:
    ids = CharacterIds()(tf.constant(["x" * 10_000, "y " * 5_000])).numpy()
    assert ids.shape == (2, 5_000, 50)
    assert ids[0, 0].tolist() == [259, *[ord("x") + 1] * 48, 260]
    assert (ids[1] == batch_to_character_ids([["y"]])[0, 0]).all()


@pytest.mark.parametrize(
    ("input_mode", "inputs", "n_rows"),
    [
        ("sentences", np.array([], dtype=object), 0),
        ("tokens", [[], []], 2),
        ("tokens", tf.zeros((2, 0), tf.string), 2),
        ("tokens", tf.ragged.constant([[], []], tf.string), 2),
        ("character_ids", batch_to_character_ids([[], []]), 2),
    ],
)
@pytest.mark.parametrize("max_tokens", [None, 2])
def test_no_tokens_are_a_step_of_padding(
    input_mode: str, inputs: object, n_rows: int, max_tokens: int | None
) -> None:
    ids = CharacterIds(input_mode, max_tokens=max_tokens)(inputs)
    assert ids.shape == (n_rows, 1, 50)
    assert not np.any(ids)


@pytest.mark.parametrize("input_mode", ["tokens", "character_ids"])
def test_max_tokens_counts_tokens_and_not_positions(input_mode: str) -> None:
    tokens = [["", "a", "", "b", "c", ""], ["d", "e", "f", "", "", ""]]
    inputs = CharacterIds("tokens")(tokens) if input_mode == "character_ids" else tokens
    ids = CharacterIds(input_mode, max_tokens=2)(inputs)
    kept = [["", "a", "", "b"], ["d", "e", "", ""]]
    np.testing.assert_array_equal(ids, CharacterIds("tokens")(kept))


def test_max_tokens_cuts_trailing_padding_to_its_own_length() -> None:
    layer = CharacterIds("tokens", max_tokens=np.int64(2))
    assert layer.get_config()["max_tokens"] == 2
    assert layer([["a", "b", "c"], ["d", "", ""]]).shape == (2, 2, 50)
    assert layer.compute_output_shape((None, 2)) == (None, 2, 50)
    assert layer.compute_output_shape((None, 3)) == (None, None, 50)


DENSE = [["a", "b c"], ["", ""], ["d", ""]]


@pytest.mark.parametrize(
    ("input_mode", "dense", "others"),
    [
        (
            "tokens",
            DENSE,
            (
                tf.ragged.constant([["a", "b c"], [], ["d"]]),
                np.array(DENSE, dtype=object),
                tf.constant(DENSE),
            ),
        ),
        (
            "sentences",
            ["a é", ""],
            (
                ("a é", ""),
                [b"a \xc3\xa9", b""],
                np.array(["a é", ""]),
                np.array([["a é"], [""]], dtype=object),
                tf.constant(["a é", ""]),
                tf.constant([["a é"], [""]]),
            ),
        ),
    ],
)
def test_forms_of_the_same(input_mode: str, dense: list, others: tuple) -> None:
    layer = CharacterIds(input_mode)
    for inputs in others:
        np.testing.assert_array_equal(layer(inputs), layer(dense))


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "uint16", "uint32", "uint64"])
def test_ids_of_any_integers(dtype: str) -> None:
    ids = np.zeros((1, 3, 50), dtype)
    ids[0, 0] = 261
    expected = ids.copy()
    layer = CharacterIds("character_ids")
    if dtype.startswith("int"):
        ids[0, 1] = -1  # padding
    for inputs in (ids, tf.constant(ids)):
        np.testing.assert_array_equal(layer(inputs), expected)
    # What no int32 holds stays a wrong id, which the embedding refuses.
    ids[0, 2] = np.iinfo(dtype).max
    assert layer(tf.constant(ids))[0, 2].numpy().tolist() == [262] * 50


def test_in_a_function() -> None:
    layer = CharacterIds(max_tokens=2)
    function = tf.function(layer, input_signature=[tf.TensorSpec((None, None), tf.string)])
    for found in (layer(["a  b c", "d"]), function([["a b c"], ["d"]])):
        np.testing.assert_array_equal(found, CharacterIds()(["a b", "d"]))


STRINGS = "expected strings, got"


@pytest.mark.parametrize(
    ("input_mode", "inputs", "error", "message"),
    [
        ("sentences", "a b", ValueError, "got 'a b'. Put a single one into a"),
        ("sentences", 3, ValueError, "got 3"),
        ("sentences", [["a", "b"]], ValueError, "use input_mode='tokens'"),
        ("sentences", [[["a"]]], TypeError, f"{STRINGS} .'a'. of type list"),
        ("sentences", ["a", None], TypeError, f"{STRINGS} None of type NoneType"),
        ("sentences", ["a", 3.5], TypeError, f"{STRINGS} 3.5 of type float"),
        ("sentences", [float("nan")], TypeError, "Replace missing values"),
        ("sentences", ["a", ["b"]], ValueError, "strings and sequences of strings mixed"),
        ("sentences", np.ones((2, 3)), TypeError, f"{STRINGS} 1.0"),
        ("sentences", tf.ones((2,)), TypeError, "got float32 of shape"),
        ("tokens", ["a", "b"], ValueError, "use input_mode='sentences'"),
        ("tokens", [["a"], ["b", None]], TypeError, f"{STRINGS} None"),
        ("tokens", tf.constant([[1]]), TypeError, "got int32 of shape"),
        ("tokens", tf.ragged.constant([[1], []]), TypeError, "got int32 of shape"),
        ("character_ids", [[[1.0] * 50]], TypeError, r"got float64 of shape \(1, 1, 50\)"),
        ("character_ids", [["a"]], TypeError, "takes integers of shape"),
        ("character_ids", [[1] * 50], ValueError, r"got shape \(1, 50\)"),
        ("character_ids", [[[1, 2]]], ValueError, "A token of this model has 50 ids"),
        ("character_ids", [[[1]], [[1], [2]]], ValueError, "rows of different lengths"),
        ("character_ids", [[[262] + [0] * 49]], ValueError, "0 to 261; got 0 to 262"),
        ("character_ids", np.full((1, 1, 50), 1 << 32), ValueError, "to 261; got 42949672"),
        *(
            ("character_ids", ids, TypeError, f"got {dtype} of shape")
            for dtype in ("float32", "uint8", "int8", "bool")
            for ids in (
                np.ones((1, 1, 50), dtype),
                tf.ones((1, 1, 50), dtype),
                tf.RaggedTensor.from_tensor(tf.ones((1, 1, 50), dtype)),
                keras.Input((None, 50), dtype=dtype),
            )
        ),
        # Symbolic ones.
        ("sentences", keras.Input(()), TypeError, r"takes strings of shape .* got float32"),
        ("sentences", keras.Input((2,), dtype="string"), ValueError, r"shape \(None, 2\)"),
    ],
)
def test_refuses_inputs(
    input_mode: str, inputs: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        CharacterIds(input_mode)(inputs)


def test_refuses_inputs_of_models_and_functions() -> None:
    with pytest.raises(TypeError, match=r"Declare .*keras.Input\(shape=\(\), dtype"):
        keras.Sequential([CharacterIds()]).build((None,))
    function = tf.function(CharacterIds(), input_signature=[tf.TensorSpec(None, tf.string)])
    with pytest.raises(ValueError, match="got a tensor of unknown rank"):
        function(tf.constant(["a"]))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"input_mode": "words"}, ValueError, "input_mode must be one of 'sentences', 't"),
        ({"split": "words", "input_mode": "tokens"}, ValueError, "split='words' splits se"),
        ({"split": "word"}, ValueError, "split must be one of 'space', 'words', 'charac"),
        ({"input_mode": None}, ValueError, "input_mode must be one of .* got None"),
        ({"pad_token": 0}, TypeError, "pad_token must be a string; got 0"),
        ({"max_tokens": 0}, ValueError, "max_tokens must be a positive integer; got 0"),
        ({"max_tokens": 1.5}, ValueError, "max_tokens must be a positive integer; got 1.5"),
        ({"max_characters_per_token": 0}, ValueError, "max_characters_per_token must be"),
        ({"max_characters_per_token": 2}, ValueError, "must be at least 3 .* got 2"),
    ],
)
def test_refuses_arguments(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        CharacterIds(**arguments)
