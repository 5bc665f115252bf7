"""Properties that hold of any text, any configuration and any file that is written."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any, get_args

import hypothesis.extra.numpy as hnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, batch_to_character_ids
from keras_elmo.text.strict_json import parse_json
from keras_elmo.types import InputMode, OutputMode
from keras_elmo.weights.numpy_files import map_npy, read_member
from tests.tiny_models import configs

# Every kind of character: controls, NUL, combining and right-to-left ones, half pairs.
CHARACTERS = st.one_of(
    st.characters(codec=None, categories=("Cs", "Cc", "Cf", "Mn", "Lo", "Ll", "So", "Zs")),
    st.sampled_from("\0\t\n\u00a0\u0301\u05d0\u200f\u202e\ud800\udfff\ufeff\U0001f642 "),
)
TEXTS = st.text(CHARACTERS, max_size=20)
BYTES = st.binary(max_size=20).filter(lambda token: token not in (b"<S>", b"</S>"))

few = settings(max_examples=15)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written")


@given(st.lists(st.lists(TEXTS | BYTES, max_size=4), max_size=3), st.integers(3, 12))
def test_character_ids_of_any_text(batch: list[list[Any]], length: int) -> None:
    """Against a slow reading of the definition."""
    found = batch_to_character_ids(batch, length)
    time = max(map(len, batch), default=0)
    assert found.shape == (len(batch), time, length)
    for row, tokens in zip(found, batch, strict=True):
        for ids, token in zip(row, tokens, strict=False):
            if isinstance(token, str):
                token = token.encode("utf-8", "ignore")
            content = [byte + 1 for byte in token]
            expected = [259, *content[: length - 2], 260]
            assert ids.tolist() == expected + [261] * (length - len(expected))
        assert not row[len(tokens) :].any()


ARGUMENTS = {
    "output_mode": st.sampled_from(get_args(OutputMode)),
    "input_mode": st.sampled_from(get_args(InputMode)),
    "fine_tune": st.sampled_from(["aggregation", "lstm", "all"]),
    "pad_token": TEXTS.map(lambda text: text.encode("utf-8", "ignore").decode()),
    "max_tokens": st.none() | st.integers(1, 9),
    "stateful": st.sampled_from([False, True, "pieces"]),
    "split": st.sampled_from(["space", "words", "character"]),
    "output_sequence_length": st.none() | st.integers(3, 9),
    "keep_sentence_boundaries": st.booleans(),
    "trainable": st.booleans(),
    "name": st.sampled_from(["elmo", "my_elmo"]),
}


@settings(max_examples=40)
@given(configs(), st.fixed_dictionaries(ARGUMENTS), st.booleans())
def test_layers_come_back_from_their_configuration(
    config: ElmoConfig, arguments: dict[str, Any], half: bool
) -> None:
    if arguments["input_mode"] != "sentences":
        arguments["split"] = "space"
    if arguments["max_tokens"] is not None:
        arguments["output_sequence_length"] = None
    pooled = arguments["output_mode"] in ("default", "pooled_layers")
    if pooled or arguments["stateful"] == "pieces":
        arguments["keep_sentence_boundaries"] = False
    if arguments["output_mode"] == "lstm_outputs2":
        config = dataclasses.replace(config, n_layers=2)
    dtype = "mixed_float16" if half else "float32"
    layer = ElmoEmbeddingLayer(config, **arguments, dtype=dtype)
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    twin = keras.saving.deserialize_keras_object(json.loads(text))
    assert twin.get_config() == layer.get_config()
    assert {name: getattr(twin, name) for name in arguments} == arguments
    assert (twin.config, twin.dtype_policy.name) == (config, dtype)
    assert [w.shape for w in twin.weights] == [w.shape for w in layer.weights]


# ------------------------------------------------------------------------------- files


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
