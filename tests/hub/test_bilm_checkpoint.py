"""Checkpoints of bilm-tf: found, read as models and softmax, and refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_elmo import SourceError
from keras_elmo.hub.sources import load_source
from keras_elmo.pretraining import evaluate, train
from keras_elmo.pretraining.softmax_file import has_softmax, load_softmax
from keras_elmo.text.lexicon import Lexicon
from tests.hub.bilm_checkpoints import (
    N_WORDS,
    VOCABULARY,
    bilm_variables,
    random_softmax,
    write_checkpoint,
    write_variables,
)
from tests.numpy_elmo import NumpyElmo, State
from tests.tiny_models import LEAST, TINY, random_arrays, saved_model
from tests.weights.checks import assert_loads


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two checkpoints, of which the first was written last."""
    folder = write_checkpoint(tmp_path_factory.mktemp("bilm") / "t", step=900, seed=1)
    return write_checkpoint(folder, step=1250)


@pytest.mark.parametrize("config", [LEAST, dataclasses.replace(TINY, dim=8, n_layers=3)])
def test_every_shape(config: Any, tmp_path: Path) -> None:
    found, arrays, _ = load_source(write_checkpoint(tmp_path / "t", config))
    assert found == config
    expected = random_arrays(config)
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_which_checkpoint(training: Path, tmp_path: Path) -> None:
    record = training / "checkpoint"
    assert "model.ckpt-1250" in record.read_text()
    assert_loads(training)
    assert_loads(training / "model.ckpt-1250")
    assert_loads(training / "model.ckpt-1250.index", training / "options.json")
    # The record counts, wherever it was written; without one the largest step.
    before = record.read_text()
    record.write_text('model_checkpoint_path: "/elsewhere/model.ckpt-900"\n')
    arrays = load_source(training).arrays
    np.testing.assert_array_equal(
        arrays["char_embed"], random_arrays(TINY, 1)["char_embed"]
    )
    for text in ("\0", 'model_checkpoint_path: "model.ckpt-7"\n'):
        record.write_text(text)
        assert_loads(training)
    record.write_text(before)
    # HDF5 files next to it are what bilm-tf makes of a checkpoint.
    both = write_checkpoint(tmp_path / "both", seed=2)
    saved_model(both)
    assert_loads(both)


def test_the_softmax(training: Path) -> None:
    expected, words = random_softmax(8), training / "vocab-train.txt"
    assert not has_softmax(training)
    with pytest.raises(SourceError, match="has no vocabulary: expected one vocab"):
        load_softmax(training, 8)
    words.write_text(VOCABULARY)
    for path, given in ((training, None), (training / "model.ckpt-900.index", words)):
        assert has_softmax(path)
        found = load_softmax(path, 8, given)
        assert found.vocabulary.words == tuple(VOCABULARY.split())
        np.testing.assert_array_equal(found.kernel, expected["softmax/W"])
        np.testing.assert_array_equal(found.bias, expected["softmax/b"])
    words.write_text(VOCABULARY + "more\n")
    with pytest.raises(SourceError, match=r"vocab-train.txt': it predicts 7 words, not 8"):
        load_softmax(training, 8)
    words.unlink()


def test_a_model_of_words(tmp_path: Path) -> None:
    """Read as a model; and its perplexity, in each state, is that of NumPy."""
    words = VOCABULARY.split()
    sizes = {"char_dim": 0, "filters": (), "n_highway": 0, "word_dim": 8}
    config = dataclasses.replace(TINY, lexicon=Lexicon(tuple(words)), **sizes)
    arrays, softmax = random_arrays(config), random_softmax(8)
    variables = bilm_variables({**arrays, **softmax}, config.n_layers)
    write_variables(tmp_path / "m.ckpt", variables, 1)
    options = {"lstm": config.to_options()["lstm"], "n_tokens_vocab": N_WORDS}
    (tmp_path / "options.json").write_text(json.dumps(options))
    (tmp_path / "vocab.txt").write_text(VOCABULARY)
    found = load_source(tmp_path)
    assert found.config == config
    np.testing.assert_equal(found.arrays, dict(arrays))
    texts = ["the cat of the mat", "größe <S>", "mat the the cat"]
    (tmp_path / "text").write_text("\n".join(texts), encoding="utf-8")
    for sentence_state in ("reset", "carried"):
        state: State = {}
        losses: tuple[list[float], list[float]] = ([], [])
        for text in texts:
            tokens = ["<S>", *text.split(), "</S>"]
            ids = [words.index(token if token in words else "<UNK>") for token in tokens]
            start = state if sentence_state == "carried" else {}
            top = NumpyElmo(config, arrays).layers(
                [t.encode() for t in text.split()], start
            )
            logits = top[:, -1].reshape(-1, 2, 8) @ softmax["softmax/W"].T.astype(float)
            logits += softmax["softmax/b"]  # (tokens, 2, words)
            logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            losses[0].extend(-logits[range(len(ids) - 1), 0, ids[1:]])
            losses[1].extend(-logits[range(1, len(ids)), 1, ids[:-1]])
        expected = np.exp([np.mean(each) for each in (losses, *losses)])
        perplexities = evaluate(tmp_path, [tmp_path / "text"], sentence_state, batch_size=1)
        np.testing.assert_allclose(perplexities, expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"model: training needs .* bytes; .*7 words"):
        train([tmp_path / "text"], tmp_path / "out", tmp_path)


def test_a_softmax_that_is_the_embedding(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text(VOCABULARY)
    W, b = random_softmax(8).values()  # noqa: N806
    write_variables(tmp_path / "m.ckpt", {"lm/embedding": W, "lm/softmax/b": b}, 1)
    np.testing.assert_array_equal(load_softmax(tmp_path, 8).kernel, W)
    write_variables(tmp_path / "m.ckpt", {"lm/embedding": W}, 2)
    with pytest.raises(SourceError, match="has no softmax: lm/softmax/W and lm/softmax/b"):
        load_softmax(tmp_path, 8)


def test_what_is_no_such_checkpoint(training: Path, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "t")
    arrays = random_arrays(TINY)
    arrays["more"] = arrays.pop("CNN_proj/b_proj").astype(np.int32)
    write_variables(folder / "model.ckpt", bilm_variables(arrays, 2), 2000)
    with pytest.raises(SourceError, match="do not fit together") as info:
        load_source(folder)
    assert str(info.value).splitlines()[1:] == [
        "- missing: CNN_proj/b_proj, shape (8,)",
        "- unexpected: more, shape (8,)",
        "The checkpoint and the options must belong to the same model.",
    ]
    index = folder / "model.ckpt-2000.index"
    for damage in (lambda: index.write_bytes(b"x"), (folder / "options.json").unlink):
        damage()
        message = r"Cannot read the variables of the checkpoint '.*ckpt-2000.*ind|options"
        with pytest.raises(SourceError, match=message):
            load_source(folder)
