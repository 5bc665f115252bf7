"""Folders and archives of ELMoForManyLangs: good ones, mixed up ones, damaged ones."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_elmo import SourceError
from keras_elmo.hub.sources import load_source
from keras_elmo.weights.manylangs import _STANDARD
from tests.manylangs_models import (
    CHARACTERS,
    NETWORK,
    WORDS,
    dic,
    manylangs_files,
    manylangs_model,
    saved_tensors,
    without_words,
)

FILES = manylangs_files()


def packed(path: Path, inside: str = "", **changed: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in FILES.items():
            file.writestr(inside + name, changed.get(Path(name).stem, content))
        file.writestr(f"{inside}README", b"...")
    return path


def test_folders_and_archives(tmp_path: Path) -> None:
    config, arrays, _ = load_source(manylangs_model(tmp_path / "model"))
    assert (config.n_words, config.word_dim, config.n_characters) == (10, 3, 261)
    assert (config.cell_clip, config.projection_clip) == (0.8, 0.5)
    assert {name: array.shape for name, array in arrays.items()} == config.array_shapes()
    for path in (packed(tmp_path / "136.zip"), packed(tmp_path / "x.zip", "136/")):
        same_config, same_arrays, _ = load_source(path)
        assert same_config == config
        for name, array in arrays.items():
            np.testing.assert_array_equal(same_arrays[name], array)
    # 255 other characters are below the marks, the rest above.
    many = tuple(map(chr, range(0x4E00, 0x4E00 + 300))) + CHARACTERS[-6:]
    content = manylangs_files(without_words(), characters=many)
    changed = {Path(name).stem: part for name, part in content.items()} | {"word": None}
    config, arrays, _ = load_source(manylangs_model(tmp_path / "many", **changed))
    assert config.lexicon is not None
    assert (config.n_words, config.word_dim, config.n_characters) == (0, 0, 306)
    found = [config.lexicon.characters[i] for i in (0, 1, 255, 256, 258, 261, 305)]
    assert found == ["<oov>", many[0], many[254], "<bos>", "<eow>", many[255], many[299]]


@pytest.mark.parametrize(
    "path",
    [None, "../../network.json", "/etc/hostname", "C:\\x\\network.json", "."],
)
def test_where_the_network_is_described(path: str | None, tmp_path: Path) -> None:
    """Nothing outside of the folder is read; without a description it is the standard."""
    settings = json.dumps({"config_path": path}).encode()
    model = manylangs_model(tmp_path / "a" / "b" / "model", config=settings)
    (tmp_path / "a" / "network.json").write_text("{}")  # what the first path leads to
    if path and path.endswith("network.json"):
        assert load_source(model).config.dim == 6
    else:
        with pytest.raises(SourceError, match=r"misshapen: .*, expected \(512, 2148\)"):
            load_source(model)


def with_network(**changed: Any) -> bytes:
    """Changes the encoder's, or by its prefix the token embedder's settings."""
    network = json.loads(json.dumps(NETWORK))
    for name, value in changed.items():
        is_embedder = name.startswith("token_")
        part = network["token_embedder" if is_embedder else "encoder"]
        part[name.removeprefix("token_")] = value
    return json.dumps(network).encode()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"char": None}, r"'char.dic' cannot be read \(No such file"),
        ({"config": None}, r"'config.json' cannot be read \(No such file"),
        ({"char": b""}, "'char.dic' is empty"),
        ({"word": b"{}"}, "'word.dic' is not a list .*: line 1 has no id"),
        ({"word": b"a\t0\nb\t0\n"}, "line 2 has no id of its own"),
        ({"word": b"a\t1\n"}, r"there is no entry <bos>, <eos>, <oov>"),
        ({"word": dic((*WORDS, "x"))[:-2] + b"99\n"}, "ids do not go from 0 to 10"),
        ({"word": b"\xff\t0\n"}, "can't decode"),
        ({"word": dic((*WORDS, "another"))}, r"word_emb\S+, expected \(11, 3\), found"),
        (
            {"char": dic(CHARACTERS[1:])},
            r"char_emb\S+, expected \(19, 2\), found",
        ),
        ({"char": dic(CHARACTERS[:-1])}, "there is no entry <eow>"),
        ({"config": b"[]"}, "'config.json' is not a JSON object"),
        ({"config": b"{"}, "'config.json' is not JSON"),
        ({"network": b"{}"}, "no object 'encoder'"),
        ({"network": with_network(name="lstm")}, "a part named 'lstm'; expected 'elmo'"),
        (
            {"network": with_network(token_name="lstm")},
            "named 'lstm'; expected 'cnn'",
        ),
        ({"network": with_network(dim=10**9)}, "dim must be an integer from 1 to 16384"),
        ({"network": with_network(dim=4)}, "dim and the size .* other than projection_dim"),
        ({"network": with_network(token_char_dim=0)}, "filters"),
        ({"network": with_network(n_layers=1)}, "unexpected: backward_layer_1"),
        (
            {"encoder": FILES["token_embedder.pkl"]},
            "tensors in 'encoder.pkl' do not fit",
        ),
        ({"encoder": b"{}"}, "encoder.pkl.* not a file of torch.save"),
        (
            {"token_embedder": saved_tensors({"a": np.float32([np.nan])})},
            "unexpected: a, shape",
        ),
    ],
)
def test_mixed_up_and_damaged_files(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        load_source(manylangs_model(tmp_path / "model", **changed))


def test_archives_of_rubbish(tmp_path: Path) -> None:
    rubbish = {Path(name).stem: b"{}" for name in FILES}
    path = packed(tmp_path / "136.zip", **rubbish)
    with pytest.raises(SourceError, match=r"136.zip.*word.dic.* line 1 has no id"):
        load_source(path)
    assert _STANDARD["encoder"]["dim"] == 4096
