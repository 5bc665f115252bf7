from __future__ import annotations

import itertools
import json
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError
from keras_elmo.hub.sources import load_source
from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors.vectors import embedding_layer
from tests.tiny_models import TINY, saved_model
from tests.weights.checks import assert_loads, files_in
from tests.weights.file_server import FileServer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved_model(tmp_path / "model")


def test_a_directory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(model.parent))
    for source in (model, str(model), "~/model"):
        assert_loads(source)
    (model / "vocab.txt").write_text("the")
    (model / "options.json").rename(model / "elmo_tiny_options.json")
    for name in ("._weights.hdf5", "._options.json"):  # what macOS adds
        (model / name).write_bytes(b"")
    assert_loads(model)


def test_the_hdf5_file_itself(model: Path) -> None:
    assert_loads(model / "weights.hdf5")
    (model / "options.json").rename(model / "any_options.json")
    assert_loads(model / "weights.hdf5")
    (model / "weights.hdf5").rename(model / "x_weights.h5")
    assert_loads(model / "x_weights.h5")
    # Of several options, those with the same prefix, then the plain ones.
    (model / "any_options.json").rename(model / "x_options.json")
    (model / "options.json").write_text("{}")
    (model / "y_options.json").write_text("{}")
    (model / "b.hdf5").write_bytes(b"")
    assert_loads(model / "x_weights.h5")


def test_a_directory_with_only_a_folder_in_it(model: Path, tmp_path: Path) -> None:
    outer = tmp_path / "unpacked"
    (outer / "__MACOSX").mkdir(parents=True)
    model.rename(outer / "uniref50")
    assert assert_loads(outer) == outer / "uniref50"
    (outer / "other").mkdir()
    with pytest.raises(SourceError, match="found 0 options"):
        load_source(outer)


def test_explicit_options(www: Path, server: FileServer, cache: Path) -> None:
    model = www / "model"
    for old, new in (("weights.hdf5", "w.bin"), ("options.json", "o.json")):
        (model / old).rename(model / new)
    places = (str(model), f"{server.url}/model")
    for one, other in itertools.product(places, repeat=2):
        weights, options = f"{one}/w.bin", f"{other}/o.json"
        assert_loads(weights, options)
    layer = ElmoEmbeddingLayer(weights, options=options)
    expected = ElmoEmbeddingLayer(www / "model.zip").encode(["a b", "c"], verbose=0)
    np.testing.assert_array_equal(layer.encode(["a b", "c"], verbose=0), expected)
    again = ElmoEmbeddingLayer.from_config(layer.get_config())
    assert again.config == TINY


def test_explicit_options_that_do_not_fit(model: Path) -> None:
    options, archive = model / "options.json", model.parent / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(options, "options.json")
    for source in (model, archive):
        with pytest.raises(SourceError, match=r"they are for a source that is an .hdf5 fi"):
            load_source(source, options=options)
    with pytest.raises(SourceError, match=r"options 'none.json': there is no file '/"):
        load_source(model / "weights.hdf5", options="none.json")
    with pytest.raises(TypeError, match=r"options must be a path or a URL; got {}"):
        load_source(model / "weights.hdf5", options={})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"is for a source that is an .hdf5 file; got sou"):
        ElmoEmbeddingLayer(TINY, options=options)
    with pytest.raises(ValueError, match="got a layer, which has its own"):
        embedding_layer(ElmoEmbeddingLayer(TINY), "default", options=options)


def test_what_save_hdf5_writes(model: Path, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(model, "elmo")
    layer(["a"])
    layer.save_hdf5(tmp_path / "new" / "copy")
    assert_loads(tmp_path / "new" / "copy")
    assert [*files_in(tmp_path / "new" / "copy")] == ["options.json", "weights.hdf5"]
    for mode in ("word_emb", "lstm_outputs1"):
        layer = ElmoEmbeddingLayer(model, mode)
        layer(["a"])
        with pytest.raises(ValueError, match=f"mode='{mode}' the layer does not hold"):
            layer.save_hdf5(tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------ errors


def write(name: str) -> Callable[[Path], Path]:
    """Adds a file to the model."""

    def add(model: Path) -> Path:
        (model / name).write_text("{}")
        return model

    return add


def remove_options(model: Path) -> Path:
    (model / "options.json").unlink()
    return model


def new(model: Path) -> Path:
    (model.parent / "new").mkdir()
    return model.parent / "new"


NOT_THERE = (
    r"no file or directory '/.*', and no model of that name. There are mini, .* A source"
)
NOTHING = r"found 0 options \(\) and 0 HDF5 files \(\) among 0"
TWO = r"2 HDF5 files \(b.hdf5, weights.hdf5\).*Pass the .hdf5 file itself"
ERRORS: list[tuple[Callable[[Path], str | Path], str]] = [
    (lambda model: model / "nowhere", NOT_THERE),
    (lambda _: "Portugese", "name. Did you mean 'portuguese' or 'portuguese-brwac'\\? A s"),
    (lambda _: "orginal", "Did you mean 'original' or 'original-5.5b'\\?"),
    (lambda _: "transformer", "has a Transformer instead of the LSTMs, which is another"),
    (lambda _: "nlpl:x", "There are mini, original"),
    (lambda _: "", "source '': the name is empty"),
    (lambda _: "~nobody-of-this-name/model", "there is no file or directory"),
    (lambda _: "x" * 300, "there is no file or directory"),
    (lambda _: "a\0b", "there is no file or directory"),
    (new, NOTHING),
    (write("b.hdf5"), TWO),
    (write("b_options.json"), r"found 2 options \(b_options.json, options.json\)"),
    (remove_options, r"found 0 options \(\) and 1 HDF5 files"),
    (lambda model: remove_options(model) / "weights.hdf5", "not next to it: no 'options.j"),
    (lambda model: write("a.bin")(model) / "a.bin", "'a.bin' is neither a directory nor a"),
]


@pytest.mark.parametrize(("make", "message"), ERRORS, ids=range(len(ERRORS)))
def test_what_is_no_model(
    model: Path, make: Callable[[Path], str | Path], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        load_source(make(model))


def test_what_is_no_path() -> None:
    for source in (["a"], b"a", None):
        with pytest.raises(TypeError, match="source must be a name, a path, a URL or an"):
            load_source(source)
    assert ElmoEmbeddingLayer(ElmoConfig.from_options(TINY.to_options())).config == TINY


OPTIONS = [
    (b"", "Expecting value"),
    (b"{", "Expecting property name"),
    (b"\xff\xfe{", "codec can't decode|Expecting"),
    (b'"\xff"', "utf-8"),
    (b"\0" * 100, "Expecting value|utf"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"lstm":' * 100_000, "nested too deeply"),
    (b"[1]", "must be a JSON object, not list"),
    (b"{}", "no object 'lstm'"),
    (b'{"lstm": NaN, "char_cnn": {}}', "no object 'lstm'"),
    (b'{"lstm": {}, "lstm": {}, "char_cnn": {}}', "has 'lstm' twice"),
    (b'{"lstm": {"dim": 13, "dim": 12}, "char_cnn": {}}', "has 'dim' twice"),
    (b'{"lstm": %s}' % (b"9" * 5000), "digits"),
    (b" " * (1 << 20) + b"{}", "larger than 1,048,576 bytes"),
]


@pytest.mark.parametrize(("content", "message"), OPTIONS, ids=range(len(OPTIONS)))
def test_options_that_are_none(model: Path, content: bytes, message: str) -> None:
    (model / "options.json").write_bytes(content)
    found = rf"Cannot use the options '.*options.json': .*({message})"
    with pytest.raises(SourceError, match=found):
        load_source(model)
    with pytest.raises(ValueError, match=f"{message}|no object"):
        ElmoConfig.from_json(model / "options.json")


def test_json_with_many_names() -> None:
    names = ",".join(f'"{i}":0' for i in range(200_000))
    start = time.process_time()
    with pytest.raises(ValueError, match="has '199999' twice"):
        parse_json(f'{{{names},"199999":1}}')
    with pytest.raises(ValueError, match="has 'a' twice"):
        parse_json("{" + '"a":0,' * 1_000_000 + '"a":0}')
    assert time.process_time() - start < 10
    with pytest.raises(ValueError, match="JSON of over 67,108,864 bytes"):
        parse_json(b" " * ((1 << 26) + 1))


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("lstm", "dim", -4096),
        ("lstm", "dim", 10**12),
        ("lstm", "projection_dim", 1e300),
        ("lstm", "n_layers", 10**6),
        ("char_cnn", "max_characters_per_token", 10**9),
        ("char_cnn", "filters", [[1, 10**15]]),
        ("char_cnn", "n_highway", 10**9),
        ("lstm", "cell_clip", float("nan")),
    ],
)
def test_absurd_options_are_refused_before_anything_is_allocated(
    model: Path, section: str, name: str, value: object
) -> None:
    options = TINY.to_options()
    options[section][name] = value
    (model / "options.json").write_text(json.dumps(options))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=r"Cannot use the options .*must be"):
            load_source(model)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
