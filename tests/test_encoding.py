"""``layer.encode``: any number of texts to NumPy, on any backend."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer, backends, compute_features, encoding
from tests.any_backend import BACKEND, INPUT_MODES, to_numpy
from tests.any_backend import given as given_tokens
from tests.processes import run_python
from tests.tiny_models import LEAST, TINY

pytestmark = pytest.mark.any_backend

TOKENS = [["the", "cat", "sat"], ["naïve", "café", "北京"], [], ["a"], ["x", "y", "x", "z"]]
TEXTS = [" ".join(tokens) for tokens in TOKENS]
MODE = "sentences" if BACKEND == "tensorflow" else "character_ids"
quiet: dict[str, Any] = {"verbose": 0}
FRAME = pd.DataFrame({"text": ["a", "b"], "label": ["c", "d"]})
QUIET: dict[str, Any] = {"progress": False, "batch_size": 2}


@functools.cache
def made(output_mode: Any = "default", input_mode: Any = MODE, **kw: Any) -> Any:
    return ElmoEmbeddingLayer(TINY, output_mode, input_mode, **kw)


def called(layer: ElmoEmbeddingLayer, texts: list[list[str]]) -> list[np.ndarray]:
    """The layer's own call, without padding."""
    found = to_numpy(layer(given_tokens(texts, layer.input_mode)))
    pairs = zip(found, texts, strict=True)
    return [rows if layer.masked_mean else rows[: len(text)] for rows, text in pairs]


def check(found: Any, expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for array, values in zip(found, expected, strict=True):
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, values, rtol=0, atol=1e-6, strict=True)


@pytest.mark.parametrize("output_mode", ["default", "word_emb", "layers", "pooled_layers"])
def test_it_is_the_call(output_mode: str) -> None:
    layer = made(output_mode)
    found = layer.encode(TEXTS, batch_size=2, **quiet)
    assert isinstance(found, np.ndarray if layer.masked_mean else list)
    check(found, called(layer, TOKENS))
    # The arrays are no views that keep a padded batch in memory.
    assert layer.masked_mean or all(array.base is None for array in found)
    nothing = layer.encode([], **quiet)
    assert len(nothing) == 0
    assert not layer.masked_mean or nothing.shape == (0, *found.shape[1:])


@pytest.mark.parametrize("input_mode", INPUT_MODES)
def test_strings_and_tokens_for_every_input_mode(input_mode: str) -> None:
    layer = made("elmo", input_mode, max_tokens=3)
    expected = called(layer, [tokens[:3] for tokens in TOKENS])
    check(layer.encode(TEXTS, **quiet), expected)
    check(layer.encode(TOKENS, **quiet), expected)
    check(layer.encode([*TEXTS[:2], *TOKENS[2:]], **quiet), expected)
    # A token may have spaces; "" is padding, and in that mode the pad token.
    kept = ["New York", "a"] if input_mode == "tokens" else ["New York", "--PAD--", "a"]
    (found,) = layer.encode([["", "New York", "--PAD--", "a"]], **quiet)
    (expected_of_odd,) = layer.encode([kept], **quiet)
    assert len(found) == len(kept)
    np.testing.assert_allclose(found, expected_of_odd, rtol=0, atol=1e-6)
    if input_mode == "tokens":
        check([found], called(layer, [kept]))
        cut, gaps = made("elmo", input_mode, output_sequence_length=2), [["a", "", "b"]]
        outputs, mask = map(to_numpy, cut(gaps, return_mask=True))
        assert mask.tolist() == [[True, False]]
        check(cut.encode(gaps, **quiet), [outputs[0, :1]])
    # Bytes are taken as they are, what UTF-8 cannot express is dropped.
    raw = layer.encode([b"a \xff", "a \ud800b", "a b"], **quiet)
    np.testing.assert_allclose(raw[1], raw[2], atol=1e-6)
    assert np.abs(raw[0][1] - raw[2][1]).max() > 1e-3


@pytest.mark.tensorflow
@pytest.mark.parametrize("split", ["words", "character"])
def test_raw_text_is_split_as_in_the_graph(split: Any) -> None:
    layer = made("elmo", split=split)
    texts = ["It isn't bad... (8/10)", "", "北京 e\u0301t", b"\xffa b"]
    expected, mask = layer(texts, return_mask=True)
    kept = [rows[m] for rows, m in zip(to_numpy(expected), to_numpy(mask), strict=True)]
    check(layer.encode(texts, **quiet), kept)


@settings(max_examples=5 if BACKEND == "jax" else 15)  # which compiles for each shape
@given(
    lengths=st.lists(st.integers(0, 9), max_size=12),
    batch_size=st.integers(1, 5),
    chunk=st.integers(1, 20),
)
def test_batches_and_chunks_do_not_matter(
    lengths: list[int], batch_size: int, chunk: int
) -> None:
    layer = made("elmo")
    texts = [[f"w{(i * n) % 7}" for i in range(n)] for n in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "_CHUNK_TEXTS", chunk)
        patch.setattr(encoding, "_CHUNK_TOKENS", 2 * chunk)
        patch.setattr(encoding, "_STEPS_OF_A_TEXT", 4)
        found = layer.encode((text for text in texts), batch_size, **quiet)
    expected = to_numpy(layer(given_tokens([["a"] * 9, *texts], layer.input_mode)))[1:]
    check(found, [rows[:n] for rows, n in zip(expected, lengths, strict=True)])


def collections() -> Iterator[tuple[str, Any]]:
    import pandas
    import polars

    yield "tuple", tuple(TEXTS)
    yield "generator", (text for text in TEXTS)
    yield "array", np.array(TEXTS)
    yield "array of objects", np.array(TEXTS, object)
    yield "array (n, 1)", np.array(TEXTS)[:, None]
    yield "bytes", np.array([text.encode() for text in TEXTS])
    yield "pandas", pandas.Series(TEXTS, index=range(9, 4, -1))
    yield "pandas tokens", pandas.Series(TOKENS)
    yield "polars", polars.Series(TEXTS)
    yield "polars tokens", polars.Series(TOKENS)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        yield "tensor", tf.constant(TEXTS)
        yield "tensor (n, 1)", tf.constant(TEXTS)[:, None]
        yield "ragged tensor", tf.ragged.constant(TOKENS, dtype=tf.string)
        yield "padded tokens", tf.ragged.constant(TOKENS, dtype=tf.string).to_tensor("")


def test_collections() -> None:
    layer = made()
    expected = called(layer, TOKENS)
    for name, texts in collections():
        found = layer.encode(texts, **quiet)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6, err_msg=name)


def test_weights_of_the_moment() -> None:
    """What is compiled holds no copies of weights, cached words or other settings."""
    layer = ElmoEmbeddingLayer(LEAST, "elmo", MODE)
    before = layer.encode(TEXTS, **quiet)
    if BACKEND == "tensorflow":
        layer.cache_vocabulary(["the", "cat"])
        check(layer.encode(TEXTS, **quiet), before)
    layer.set_weights([weight * 0.5 for weight in layer.get_weights()])
    after = layer.encode(TEXTS, **quiet)
    check(after, called(layer, TOKENS))
    assert np.abs(after[0] - before[0]).max() > 1e-3


def test_compute_features_on_any_backend(source: str, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(source, "layers", MODE)
    expected = layer.encode(TEXTS, **quiet)
    for features_of in (source, layer):  # the second time it is opened
        check(compute_features(features_of, TEXTS, tmp_path / "a.npy", **QUIET), expected)
    average = compute_features(layer, TEXTS, tmp_path / "b.npy", layers="average", **QUIET)
    check(average, [array.mean(axis=1) for array in expected])


def test_half_precision() -> None:
    layer = made("pooled_layers", dtype="mixed_bfloat16")
    found = layer.encode(TEXTS, **quiet)
    assert found.dtype == np.float32
    whole = ElmoEmbeddingLayer(TINY, "pooled_layers", MODE)
    whole.set_weights(layer.get_weights())
    np.testing.assert_allclose(found, whole.encode(TEXTS, **quiet), atol=2e-3)


@pytest.mark.parametrize(
    ("n_texts", "verbose", "shown"),
    [
        (5, "auto", ["5/5", "s/text"]),
        (5, 1, ["5/5"]),
        (5, 2, ["5/5"]),
        (None, 1, ["5/Unknown"]),
        (5, 0, []),
    ],
)
def test_progress(n_texts: int | None, verbose: Any, shown: list[str], capsys: Any) -> None:
    layer = made()
    layer.encode(TEXTS if n_texts else iter(TEXTS), batch_size=2, verbose=verbose)
    output = capsys.readouterr().out
    assert all(part in output for part in shown)
    assert bool(output) == bool(shown)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"texts": "a b"}, TypeError, "got the single text 'a b'. Put it into a list"),
        ({"texts": 3}, TypeError, "texts must be a list, array, .*; got 3 of type int"),
        ({"texts": {"a": "b"}}, TypeError, r"; got a dict. Pass .* such as texts\['a'\]"),
        ({"texts": FRAME}, TypeError, r"got a DataFrame. Pass .* such as frame\['text'\]"),
        ({"texts": {"a"}}, TypeError, "got {'a'} of type set. Convert it to a list"),
        ({"texts": [{"a"}]}, TypeError, r"texts\[0\] must be .*; got {'a'} of type set"),
        ({"texts": Path("a")}, TypeError, "For files use keras_elmo.compute_features"),
        ({"texts": ["a", None]}, ValueError, r"texts\[1\] is missing \(None\)"),
        ({"texts": ["a", float("nan")]}, ValueError, r"texts\[1\] is missing \(nan\)"),
        ({"texts": ["a", 3]}, TypeError, r"texts\[1\] must be a string or .*; got 3 of"),
        ({"texts": [["a", 3]]}, TypeError, r"texts\[0\] must be .*; got 3 of type int"),
        ({"texts": np.zeros((2, 2))}, TypeError, r"texts\[0\] must be .*; got 0\.0 of"),
        ({"batch_size": 0}, ValueError, "batch_size must be a positive integer; got 0"),
        ({"verbose": 3}, ValueError, "verbose must be 'auto', 0, 1 or 2; got 3"),
    ],
)
def test_refuses(arguments: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        made().encode(**{"texts": TEXTS, **quiet, **arguments})


def test_refuses_a_stateful_layer() -> None:
    layer = ElmoEmbeddingLayer(LEAST, input_mode=MODE, stateful=True)
    with pytest.raises(ValueError, match="encode: with stateful=True vectors depend on"):
        layer.encode(TEXTS, **quiet)


def test_what_says_that_memory_ran_out() -> None:
    names = ("OutOfMemoryError", "ResourceExhaustedError")  # of PyTorch and TensorFlow
    texts = ("RESOURCE_EXHAUSTED: x", "DefaultCPUAllocator: x")  # of JAX and PyTorch
    errors = [type(name, (Exception,), {})() for name in names]
    for error in (MemoryError(), *errors, *map(RuntimeError, texts)):
        assert backends.is_out_of_memory(error)
    assert not backends.is_out_of_memory(RuntimeError("x"))


def test_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, run, tried = made("elmo"), encoding.Program.__call__, []

    def limited(self: Any, texts: Any) -> Any:
        tried.append([len(text) for text in texts])
        if len(texts) > 1:
            raise MemoryError
        return run(self, texts)

    monkeypatch.setattr(encoding.Program, "__call__", limited)
    check(layer.encode(TEXTS, **quiet), called(layer, TOKENS))
    assert tried[:3] == [[4, 3, 3, 1, 0], [4, 3], [4]]
    monkeypatch.setattr(encoding.Program, "__call__", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        layer.encode(TEXTS, **quiet)


@pytest.mark.slow
def test_memory_is_bounded() -> None:
    """100,000 texts of a generator take little more than their vectors."""
    code = f"""
from keras_elmo import ElmoConfig, ElmoEmbeddingLayer
config = ElmoConfig.from_options({LEAST.to_options()})
from tests.memory import growth
layer = ElmoEmbeddingLayer(config, input_mode={MODE!r})
texts = lambda n: (f"a{{i % 99}} b" + " c" * (i % 5) for i in range(n))
layer.encode(texts(20_000), 128, verbose=0)
vectors, grown = growth(lambda: layer.encode(texts(100_000), 128, verbose=0))
print(len(vectors), grown, vectors.nbytes)
"""
    n, grown, of_vectors = map(int, run_python(code).split())
    assert n == 100_000
    assert grown < of_vectors + (30 << 20)
