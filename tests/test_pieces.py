"""Long texts fed in pieces: stateful="pieces"."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer, batch_to_character_ids
from tests.any_backend import to_numpy, to_tensor

pytestmark = pytest.mark.any_backend

TEXTS = [
    text.split()
    for text in (
        "the river bank was quiet and a heron stood on it",
        "no word of this text is in the other one ever",
    )
]
N_TOKENS = 11
HALF = 8  # the size of a direction's vectors


def ids(rows: list[list[str]], n_steps: int) -> np.ndarray:
    """Character ids (batch, n_steps, 50), padding behind the tokens."""
    found = batch_to_character_ids(rows)
    return np.pad(found, [(0, 0), (0, n_steps - found.shape[1]), (0, 0)])


def layer_of(source: str, mode: str = "layers", **arguments: object) -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(source, mode, "character_ids", **arguments)


@pytest.fixture(scope="module")
def whole_layer(source: str) -> ElmoEmbeddingLayer:
    return layer_of(source)


@pytest.fixture(scope="module")
def pieces_layer(source: str) -> ElmoEmbeddingLayer:
    return layer_of(source, stateful="pieces")


@settings(max_examples=5)
@given(st.lists(st.tuples(*[st.integers(0, N_TOKENS)] * 2), max_size=3))
def test_forward_reads_on_and_backward_begins_anew(
    whole_layer: ElmoEmbeddingLayer,
    pieces_layer: ElmoEmbeddingLayer,
    cuts: list[tuple[int, int]],
) -> None:
    """Each text cut anywhere, into pieces of any lengths, none included."""
    whole = to_numpy(whole_layer(ids(TEXTS, N_TOKENS)))
    pieces_layer.reset_state()
    places = [sorted([0, *row, N_TOKENS]) for row in zip(*cuts, strict=True)]
    for k in range(len(cuts) + 1) if cuts else ():
        spans = [slice(row[k], row[k + 1]) for row in places]
        piece = ids([t[s] for t, s in zip(TEXTS, spans, strict=True)], N_TOKENS)
        found = to_numpy(pieces_layer(piece))
        alone = to_numpy(whole_layer(piece))
        mask = piece.any(axis=-1)
        assert not found[~mask].any()
        np.testing.assert_allclose(
            found[mask][..., :HALF],
            np.concatenate([whole[i, s] for i, s in enumerate(spans)])[..., :HALF],
            atol=1e-6,
        )
        np.testing.assert_allclose(
            found[mask][..., HALF:], alone[mask][..., HALF:], atol=1e-6
        )


def test_context_is_lost_where_it_says(source: str) -> None:
    """The last piece is as in the whole text; before, the backward direction differs."""
    whole = to_numpy(layer_of(source)(ids(TEXTS, N_TOKENS)))
    layer = layer_of(source, stateful="pieces")
    first = to_numpy(layer(ids([text[:6] for text in TEXTS], 6)))
    last = to_numpy(layer(ids([text[6:] for text in TEXTS], 5)))
    np.testing.assert_allclose(last, whole[:, 6:], atol=1e-6)
    assert np.abs(first - whole[:, :6])[:, :, 1:, HALF:].max() > 1e-2
    layer.reset_state()
    again = to_numpy(layer(ids([text[:6] for text in TEXTS], 6)))
    np.testing.assert_allclose(again, first, atol=1e-6)


def test_fewer_rows_and_a_file(source: str, tmp_path: Path) -> None:
    inputs = keras.Input(batch_shape=(2, None, 50), dtype="int32")
    layer = layer_of(source, "elmo", stateful="pieces", name="elmo")
    model = keras.Model(inputs, layer(inputs))
    whole = to_numpy(layer_of(source, "elmo")(ids(TEXTS, N_TOKENS)))
    model.predict_on_batch(ids([text[:7] for text in TEXTS], 7))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("elmo").stateful == "pieces"
    # It goes on where the saved one was, here with the first text only.
    last = loaded.predict_on_batch(ids([TEXTS[0][7:]], 4))
    np.testing.assert_allclose(last[0], whole[0, 7:], atol=1e-6)


@pytest.mark.tensorflow
def test_strings(source: str) -> None:
    layer = ElmoEmbeddingLayer(source, "elmo", stateful="pieces")
    layer([" ".join(text[:4]) for text in TEXTS])
    last = layer([" ".join(text[4:]) for text in TEXTS])
    whole = ElmoEmbeddingLayer(source, "elmo")([" ".join(text) for text in TEXTS])
    np.testing.assert_allclose(last, whole[:, 4:], atol=1e-6)


def test_training_stops_at_the_cut(source: str) -> None:
    """A step on the second piece does not move the embedding of a letter of the first."""
    letters = {}
    for stateful in (False, "pieces"):
        inputs = keras.Input(batch_shape=(1, None, 50), dtype="int32")
        layer = layer_of(source, "elmo", stateful=stateful, fine_tune="all")
        model = keras.Model(inputs, layer(inputs))
        model.compile(keras.optimizers.SGD(1.0), "mse")
        embedding = layer.bilm.token_encoder.char_embedding
        if stateful:
            model.predict_on_batch(ids([["q", "q"]], 2))
            given, target = ids([["a", "b"]], 2), np.ones((1, 2, 16), np.float32)
        else:
            given, target = ids([["q", "q", "a", "b"]], 4), np.ones((1, 4, 16), np.float32)
        before = to_numpy(embedding).copy()
        model.train_on_batch(to_tensor(given), to_tensor(target))
        moved = np.abs(to_numpy(embedding) - before).max(axis=1)
        letters[stateful] = {letter for letter in "qab" if moved[ord(letter)] > 1e-8}
    assert letters == {False: {"q", "a", "b"}, "pieces": {"a", "b"}}
