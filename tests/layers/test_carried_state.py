"""LSTM states that are carried from batch to batch: ``stateful``."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer, batch_to_character_ids
from tests.any_backend import BACKEND, model_of, reloaded, to_numpy, to_tensor

pytestmark = pytest.mark.any_backend

BATCHES = [["the river bank", "a b"], ["", "c"], ["more words than before", "d e"]]
IDS = [batch_to_character_ids([s.split() for s in batch]) for batch in BATCHES]
TEXTS = [
    ["the", "river", "bank", "was", "quiet", "and", "a", "heron", "stood", "on", "it"],
    ["no", "word", "of", "this", "text", "is", "in", "the", "other", "one", "ever"],
]
N_TOKENS = 11
HALF = 8  # the size of a direction's vectors


def layer_of(source: str, mode: str = "elmo", **arguments: object) -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(source, mode, "character_ids", **arguments)


def test_state_is_kept_reset_and_saved(source: str, tmp_path: Path) -> None:
    stateful, stateless = layer_of(source, stateful=True), layer_of(source)
    expected = [to_numpy(stateful(ids)) for ids in IDS]
    np.testing.assert_allclose(expected[0], to_numpy(stateless(IDS[0])), atol=1e-6)
    alone = to_numpy(stateless(IDS[1]))
    assert np.abs(expected[1][1, 0] - alone[1, 0]).max() > 1e-3
    stateful.reset_state()
    model = model_of(stateful, rows=2)
    found = [model.predict_on_batch(ids) for ids in IDS[:2]]
    found.append(reloaded(model, tmp_path).predict_on_batch(IDS[2]))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    stateful.reset_state()
    sgd = keras.optimizers.SGD(0.0)
    model.compile(sgd, "mse", run_eagerly=BACKEND == "tensorflow")
    data = [(ids, np.zeros_like(y)) for ids, y in zip(IDS, expected, strict=True)]
    model.fit(*data[0], validation_data=data[1], shuffle=False, verbose=0)
    np.testing.assert_allclose(model.predict_on_batch(IDS[2]), expected[2], atol=1e-6)
    stateful.reset_state()
    model.evaluate(*data[0], verbose=0)
    np.testing.assert_allclose(model.predict_on_batch(IDS[1]), expected[1], atol=1e-6)


def test_padding_does_not_touch_the_state(source: str) -> None:
    both, one = (layer_of(source, stateful=True) for _ in range(2))
    both(IDS[0])
    gaps = np.zeros((1, 6, 50), np.int32)
    gaps[:, [0, 2, 4]] = IDS[0][:1]
    one(gaps)
    found = to_numpy(both(IDS[2][:1]))
    np.testing.assert_allclose(found, to_numpy(one(IDS[2][:1])), atol=1e-6)


def test_the_state_is_not_trained_and_word_vectors_have_none(source: str) -> None:
    for mode, n_states in (("elmo", 8), ("word_emb", 0)):
        layer = layer_of(source, mode, stateful=True, fine_tune="all")
        layer(IDS[0])
        assert not any("state" in v.path for v in layer.trainable_variables)
        states = [v for v in layer.non_trainable_variables if "state" in v.path]
        assert len(states) == n_states
        layer.reset_state()


def test_refuses(source: str) -> None:
    layer = layer_of(source, stateful=True)
    with pytest.raises(ValueError, match=r"stateful needs to know the batch size"):
        layer(keras.Input((None, 50), dtype="int32"))
    layer(IDS[0][:1])
    with pytest.raises(ValueError, match="built for batches of up to 1 rows; got 2"):
        layer(IDS[0])
    with pytest.raises(ValueError, match="stateful must be True, False or 'pieces'; got 1"):
        layer_of(source, stateful=1)


@pytest.mark.tensorflow
def test_refuses_a_larger_batch_in_a_graph(source: str) -> None:
    import tensorflow as tf

    layer = layer_of(source, stateful=True)
    layer(IDS[0][:1])
    function = tf.function(layer, [tf.TensorSpec((None, None, 50), tf.int32)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="batches of up to 1 rows"):
        function(IDS[0])


@pytest.mark.tensorflow
@pytest.mark.parametrize("stateful", [True, pytest.param("pieces", marks=pytest.mark.slow)])
def test_strings_carry_the_same_state(
    source: str, stateful: bool | str, tmp_path: Path
) -> None:
    import tensorflow as tf

    by_ids = layer_of(source, stateful=stateful)
    by_strings = ElmoEmbeddingLayer(source, "elmo", stateful=stateful)
    model_of(by_strings, rows=2).export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(tmp_path / "exported")
    for batch, ids in zip(BATCHES, IDS, strict=True):
        expected = by_ids(ids)
        np.testing.assert_allclose(by_strings(batch), expected, atol=1e-6)
        np.testing.assert_allclose(served.serve(tf.constant(batch)), expected, atol=1e-6)


# ------------------------------------------------------------------ pieces of long texts


def pieces(rows: list[list[str]], n_steps: int) -> np.ndarray:
    """Character ids (batch, n_steps, 50), padding after the tokens."""
    found = batch_to_character_ids(rows)
    return np.pad(found, [(0, 0), (0, n_steps - found.shape[1]), (0, 0)])


@pytest.fixture(scope="module")
def whole_layer(source: str) -> ElmoEmbeddingLayer:
    return layer_of(source, "layers")


@pytest.fixture(scope="module")
def pieces_layer(source: str) -> ElmoEmbeddingLayer:
    return layer_of(source, "layers", stateful="pieces")


@settings(max_examples=5)
@given(st.lists(st.tuples(*[st.integers(0, N_TOKENS)] * 2), max_size=3))
def test_forward_continues_and_backward_starts_again(
    whole_layer: ElmoEmbeddingLayer,
    pieces_layer: ElmoEmbeddingLayer,
    cuts: list[tuple[int, int]],
) -> None:
    """Each text cut anywhere, into pieces of any lengths, none included."""
    whole = to_numpy(whole_layer(pieces(TEXTS, N_TOKENS)))
    pieces_layer.reset_state()
    places = [sorted([0, *row, N_TOKENS]) for row in zip(*cuts, strict=True)]
    for k in range(len(cuts) + 1) if cuts else ():
        spans = [slice(row[k], row[k + 1]) for row in places]
        piece = pieces([t[s] for t, s in zip(TEXTS, spans, strict=True)], N_TOKENS)
        found, alone = to_numpy(pieces_layer(piece)), to_numpy(whole_layer(piece))
        mask = piece.any(axis=-1)
        assert not found[~mask].any()
        of_whole = np.concatenate([whole[i, s] for i, s in enumerate(spans)])
        forward, backward = found[mask][..., :HALF], found[mask][..., HALF:]
        np.testing.assert_allclose(forward, of_whole[..., :HALF], atol=1e-6)
        np.testing.assert_allclose(backward, alone[mask][..., HALF:], atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_half_precision_does_not_round_the_state(source: str, policy: str) -> None:
    whole, cut = (layer_of(source, stateful="pieces", dtype=policy) for _ in range(2))
    whole(pieces(TEXTS, N_TOKENS))
    cut(pieces([text[:6] for text in TEXTS], 6))
    cut(pieces([text[6:] for text in TEXTS], 5))
    states = (layer.bilm.carried_state.states for layer in (whole, cut))
    for expected, found in zip(*states, strict=True):
        assert found.dtype == "float32"
        assert np.abs(to_numpy(expected)).max() > 0.01
        np.testing.assert_allclose(to_numpy(found), to_numpy(expected), atol=1e-6)


def test_the_last_piece_is_as_in_the_whole_text(source: str, tmp_path: Path) -> None:
    """Before it the backward direction differs; a file continues, here with one row."""
    whole = to_numpy(layer_of(source, "layers")(pieces(TEXTS, N_TOKENS)))
    model = model_of(layer_of(source, "layers", stateful="pieces", name="elmo"), rows=2)
    start, rest = pieces([t[:6] for t in TEXTS], 6), pieces([t[6:] for t in TEXTS], 5)
    first = model.predict_on_batch(start)
    assert np.abs(first - whole[:, :6])[:, :, 1:, HALF:].max() > 1e-2
    loaded = reloaded(model, tmp_path)
    np.testing.assert_allclose(model.predict_on_batch(rest), whole[:, 6:], atol=1e-6)
    assert loaded.get_layer("elmo").stateful == "pieces"
    last = loaded.predict_on_batch(rest[:1])
    np.testing.assert_allclose(last, whole[:1, 6:], atol=1e-6)
    model.get_layer("elmo").reset_state()
    np.testing.assert_allclose(model.predict_on_batch(start), first, atol=1e-6)


def test_training_stops_at_the_cut(source: str) -> None:
    """A step on the second piece does not move the embedding of a letter of the first."""
    letters = {}
    for stateful in (False, "pieces"):
        layer = layer_of(source, stateful=stateful, fine_tune="all")
        model = model_of(layer, rows=1)
        sgd = keras.optimizers.SGD(1.0)
        model.compile(sgd, "mse", run_eagerly=BACKEND == "tensorflow")
        embedding = layer.bilm.token_encoder.char_embedding
        words = ["a", "b"] if stateful else ["q", "q", "a", "b"]
        if stateful:
            model.predict_on_batch(pieces([["q", "q"]], 2))
        target = np.ones((1, len(words), 16), np.float32)
        before = to_numpy(embedding).copy()
        model.train_on_batch(to_tensor(pieces([words], len(words))), to_tensor(target))
        moved = np.abs(to_numpy(embedding) - before).max(axis=1)
        letters[stateful] = {letter for letter in "qab" if moved[ord(letter)] > 1e-8}
    assert letters == {False: {"q", "a", "b"}, "pieces": {"a", "b"}}
