from __future__ import annotations

import dataclasses
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from benchmarks.hub_module import signature, tensorflow_1

from keras_elmo import ElmoEmbeddingLayer, SourceError, VerificationError
from keras_elmo.config import MIX_GAMMA, MIX_WEIGHTS
from keras_elmo.hub import verification, verify
from keras_elmo.hub.tf_hub import read_tf_hub
from keras_elmo.hub.verification import PROBES, load_verified
from tests.hub.tf_hub_modules import MIX, STYLES, Style, write_module
from tests.tiny_models import TINY, random_arrays

v1 = tf.compat.v1

OUTPUTS = {"word_emb", "lstm_outputs1", "lstm_outputs2", "elmo", "default"}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module without skip connections: nothing in its files says so."""
    config = dataclasses.replace(TINY, use_skip_connections=False)
    return write_module(tmp_path_factory.mktemp("other") / "module", config)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_style(tmp_path: Path, style: Style) -> None:
    path = write_module(tmp_path / "module", style=style)
    config, arrays = read_tf_hub(path)
    assert config == TINY
    expected = {**random_arrays(TINY), MIX_WEIGHTS: MIX[0], MIX_GAMMA: MIX[1]}
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert arrays[name].dtype == np.float32
        np.testing.assert_array_equal(arrays[name], array)
    assert arrays[MIX_GAMMA].shape == ()
    result = verify(path)
    assert result.path == path
    names = {f"{key}/{output}" for key in ("default", "tokens") for output in OUTPUTS}
    assert set(result.errors) == names
    assert 0 < max(result.errors.values()) < 1e-5


def test_a_mismatch_names_the_outputs_and_their_errors(other: Path) -> None:
    message = r"these outputs differ: .*tokens/lstm_outputs2 by \d.*hub"
    with pytest.raises(VerificationError, match=message) as info:
        verify(other)
    assert "lstm_outputs1 by" not in str(info.value)
    assert "word_emb by" not in str(info.value)
    # Its own graph runs.
    assert ElmoEmbeddingLayer(other, engine="hub")(["a"]).shape == (1, 16)


def test_a_module_is_verified_once(
    module: Path, other: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no random numbers are drawn by the way."""
    random.seed(0)
    load_verified(module)
    drawn = random.random()
    random.seed(0)
    with monkeypatch.context() as patch:
        patch.setattr(verification, "verify_module", None)  # which would be an error
        assert load_verified(module).path == module
    assert random.random() == drawn
    assert [p.read_text() for p in (cache / "verified").iterdir()] == [f"{module}\n"]
    with pytest.raises(VerificationError, match="does not compute what the module"):
        ElmoEmbeddingLayer(other)  # other files, which are not noted
    assert len(list((cache / "verified").iterdir())) == 1


def test_no_verification_and_no_cache(
    module: Path, other: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_ELMO_VERIFY", "0")
    assert load_verified(other).config == TINY
    assert not cache.exists()
    monkeypatch.delenv("KERAS_ELMO_VERIFY")
    cache.write_text("in the way")
    assert load_verified(module).config == TINY


def test_sources_without_a_graph(source: str, module: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a TF1 Hub module: it has no graph to"):
        verify(source)
    path = Path(shutil.copytree(module, tmp_path / "spoiled"))
    content = (path / "saved_model.pb").read_bytes()
    (path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match="Cannot load the TF1 Hub module"):
        ElmoEmbeddingLayer(path)


def test_a_graph_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tensorflow_1(), tf.Graph().as_default(), v1.Session() as session:
        strings = v1.placeholder(tf.string, (None, None))
        lengths = v1.placeholder(tf.int32, (None,))
        ends = v1.while_loop(lambda i: i < 2, lambda i: 1 - i, [tf.constant(0)])
        vectors = tf.zeros([tf.shape(strings)[0], tf.shape(strings)[1], ends])
        signatures = {
            "tokens": signature(
                {"tokens": strings, "sequence_len": lengths},
                dict.fromkeys(("word_emb", "lstm_outputs1", "lstm_outputs2"), vectors),
            )
        }
        builder = v1.saved_model.Builder(str(tmp_path / "endless"))
        builder.add_meta_graph_and_variables(session, [], signature_def_map=signatures)
        builder.save()
    monkeypatch.setattr(verification, "MOST_SECONDS", 1.5)
    with pytest.raises(SourceError, match=r"it runs for over 1\.5 seconds"):
        verification.verify_module(tmp_path / "endless", TINY, random_arrays(TINY))


def test_probes_are_of_every_kind() -> None:
    lengths = [len(probe.split(" ")) for probe in PROBES]
    assert min(lengths) == 1
    assert max(lengths) > 30
    assert any(len(word.encode()) > 48 for probe in PROBES for word in probe.split(" "))
