from __future__ import annotations

import dataclasses
import random
import shutil
from pathlib import Path

import pytest

from keras_elmo import ElmoEmbeddingLayer, SourceError, VerificationError, verify
from keras_elmo.hub.verification import PROBES
from tests.hub.tf_hub_modules import STYLES, Style, write_module
from tests.tiny_models import TINY

OUTPUTS = {"word_emb", "lstm_outputs1", "lstm_outputs2", "elmo", "default"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_ELMO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_style_agrees(tmp_path: Path, style: Style) -> None:
    path = write_module(tmp_path / "module", style=style)
    result = verify(path)
    assert result.path == path
    assert set(result.errors) == {
        f"{s}/{o}" for s in ("default", "tokens") for o in OUTPUTS
    }
    assert 0 < max(result.errors.values()) < 1e-5


def test_a_mismatch_names_the_outputs_and_their_errors(tmp_path: Path) -> None:
    """A module without skip connections: nothing in its files says so."""
    config = dataclasses.replace(TINY, use_skip_connections=False)
    path = write_module(tmp_path / "module", config)
    with pytest.raises(
        VerificationError, match=r"these outputs differ: .*tokens/lstm_outputs2 by \d.*hub"
    ) as info:
        verify(path)
    assert "lstm_outputs1 by" not in str(info.value)
    assert "word_emb by" not in str(info.value)
    # The layer refuses it; its own graph runs.
    with pytest.raises(VerificationError, match="does not compute what the module"):
        ElmoEmbeddingLayer(path)
    assert ElmoEmbeddingLayer(path, engine="hub")(["a"]).shape == (1, 16)


def test_a_module_is_verified_once(
    module: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    original = verify.__globals__["verify_module"]

    def counted(*arguments: object) -> object:
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setitem(verify.__globals__, "verify_module", counted)
    ElmoEmbeddingLayer(module)
    ElmoEmbeddingLayer(module)
    assert len(calls) == 1
    assert [p.read_text() for p in (cache / "verified").iterdir()] == [f"{module}\n"]


def test_the_first_time_draws_no_random_numbers(module: Path, cache: Path) -> None:
    drawn = []
    for _ in range(2):
        random.seed(0)
        ElmoEmbeddingLayer(module)
        drawn.append(random.random())
        assert len(list((cache / "verified").iterdir())) == 1
    assert drawn[0] == drawn[1]


def test_other_files_are_verified_again(module: Path, tmp_path: Path, cache: Path) -> None:
    ElmoEmbeddingLayer(module)
    other = write_module(
        tmp_path / "other", dataclasses.replace(TINY, use_skip_connections=False)
    )
    with pytest.raises(VerificationError, match="these outputs differ"):
        ElmoEmbeddingLayer(other)
    assert len(list((cache / "verified").iterdir())) == 1


def test_it_can_be_turned_off(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_ELMO_VERIFY", "0")
    config = dataclasses.replace(TINY, use_skip_connections=False)
    layer = ElmoEmbeddingLayer(write_module(tmp_path / "module", config))
    assert layer(["a"]).shape == (1, 16)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("KERAS_ELMO_CACHE", str(tmp_path / "file" / "cache"))
    assert ElmoEmbeddingLayer(module)(["a"]).shape == (1, 16)


def test_sources_without_a_graph(source: str) -> None:
    with pytest.raises(
        SourceError, match="is no TF1 Hub module: it has no graph of its own"
    ):
        verify(source)


def test_a_graph_that_cannot_be_run(module: Path, tmp_path: Path, cache: Path) -> None:
    path = Path(shutil.copytree(module, tmp_path / "spoiled"))
    content = (path / "saved_model.pb").read_bytes()
    (path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match="Cannot load the TF1 Hub module"):
        ElmoEmbeddingLayer(path)


def test_probes_are_of_every_kind() -> None:
    lengths = [len(probe.split(" ")) for probe in PROBES]
    assert min(lengths) == 1
    assert max(lengths) > 30
    assert any(len(word.encode()) > 48 for probe in PROBES for word in probe.split(" "))
