from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.weights.sources import load_source
from tests.tiny_models import TINY, random_arrays, saved_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved_model(tmp_path / "model")


def assert_loads(source: object) -> None:
    config, arrays, _ = load_source(source)
    assert config == TINY
    for name, expected in random_arrays(TINY).items():
        np.testing.assert_array_equal(arrays[name], expected)


def test_a_directory(model: Path) -> None:
    assert_loads(model)
    assert_loads(str(model))
    (model / "vocab.txt").write_text("the")
    (model / "options.json").rename(model / "elmo_tiny_options.json")
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
    assert_loads(model / "x_weights.h5")


def test_the_home_directory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(model.parent))
    assert_loads("~/model")


def test_what_save_hdf5_writes(model: Path, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(model, "elmo")
    layer(["a"])
    layer.save_hdf5(tmp_path / "new" / "copy")
    assert_loads(tmp_path / "new" / "copy")
    names = sorted(path.name for path in (tmp_path / "new" / "copy").iterdir())
    assert names == ["options.json", "weights.hdf5"]


def test_save_hdf5_refuses_what_it_does_not_hold(model: Path, tmp_path: Path) -> None:
    for mode in ("word_emb", "lstm_outputs1"):
        layer = ElmoEmbeddingLayer(model, mode)
        layer(["a"])
        with pytest.raises(
            ValueError, match=f"output_mode='{mode}' the layer does not hold"
        ):
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


ERRORS: dict[str, tuple[Callable[[Path], str | Path], str]] = {
    "not there": (
        lambda model: model / "nowhere",
        r"no file or directory '/.*nowhere', and no model of that name .* A source",
    ),
    "no name": (lambda _: "", "source '': the name is empty"),
    "no user": (lambda _: "~nobody-of-this-name/model", "there is no file or directory"),
    "long name": (lambda _: "x" * 300, "there is no file or directory"),
    "zero byte": (lambda _: "a\0b", "there is no file or directory"),
    "empty": (
        lambda model: model.parent / "new",
        r"found 0 options \(\) and 0 HDF5 files \(\) among 0",
    ),
    "two HDF5 files": (
        write("b.hdf5"),
        r"2 HDF5 files \(b.hdf5, weights.hdf5\).*Name the .hdf5 file itself",
    ),
    "two options": (
        write("b_options.json"),
        r"found 2 options \(b_options.json, options.json\)",
    ),
    "no options": (remove_options, r"found 0 options \(\) and 1 HDF5 files"),
    "HDF5 without options": (
        lambda model: remove_options(model) / "weights.hdf5",
        "its options are not next to it: no 'options.json'",
    ),
    "another kind": (
        lambda model: write("model.bin")(model) / "model.bin",
        "'model.bin' is neither a directory nor a .zip",
    ),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_what_is_no_model(model: Path, kind: str) -> None:
    make, message = ERRORS[kind]
    (model.parent / "new").mkdir()
    with pytest.raises(SourceError, match=message):
        load_source(make(model))


def test_what_is_passed_over(model: Path) -> None:
    for name in ("._weights.hdf5", "._options.json"):  # what macOS adds
        (model / name).write_bytes(b"")
    assert_loads(model)
    (model / "b.hdf5").write_bytes(b"")
    assert_loads(model / "weights.hdf5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
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
        (b'{"lstm": %s}' % (b"9" * 5000), "digits"),
        (b" " * (1 << 20) + b"{}", "larger than 1,048,576 bytes"),
    ],
    ids=range(13),
)
def test_options_that_are_none(model: Path, content: bytes, message: str) -> None:
    (model / "options.json").write_bytes(content)
    with pytest.raises(
        SourceError, match=rf"Cannot use the options '.*options.json': .*({message})"
    ):
        load_source(model)
    with pytest.raises(ValueError, match=f"{message}|no object"):
        ElmoConfig.from_json(model / "options.json")


def test_json_with_many_names(model: Path) -> None:
    names = ",".join(f'"{i}":0' for i in range(200_000))
    start = time.process_time()
    with pytest.raises(ValueError, match="has '199999' twice"):
        parse_json(f'{{{names},"199999":1}}')
    with pytest.raises(ValueError, match="has 'a' twice"):
        parse_json("{" + '"a":0,' * 1_000_000 + '"a":0}')
    assert time.process_time() - start < 10
    with pytest.raises(ValueError, match="JSON of more than 67,108,864 bytes"):
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


def test_not_a_path() -> None:
    with pytest.raises(
        TypeError, match="source must be a name, a path, a URL or an ElmoConfig; got"
    ):
        load_source(["a"])


def test_a_config_is_a_source() -> None:
    assert ElmoEmbeddingLayer(ElmoConfig.from_options(TINY.to_options())).config == TINY
