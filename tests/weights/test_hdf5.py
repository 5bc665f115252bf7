"""Weights in HDF5: what is read and written, and what is refused."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import ElmoConfig, SourceError
from keras_elmo.weights.hdf5 import read_hdf5, write_hdf5
from tests.tiny_models import TINY, configs, random_arrays
from tests.weights.checks import changed

NAME = "CNN/b_cnn_0"  # of shape (4,)
GZIP = {"compression": "gzip"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file, for tests to spoil."""
    file = tmp_path / "weights.hdf5"
    write_hdf5(file, TINY, random_arrays(TINY))
    return file


# --------------------------------------------------------------------------------- good


@given(configs(), st.integers(0, 2**32 - 1))
def test_round_trip_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, config: ElmoConfig, seed: int
) -> None:
    path = tmp_path_factory.mktemp("round_trip") / "weights.hdf5"
    arrays = random_arrays(config, seed)
    write_hdf5(path, config, arrays)
    read = read_hdf5(path, config)
    assert list(read) == list(config.array_shapes())
    for name, array in arrays.items():
        assert read[name].dtype == np.float32
        assert read[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("model", ["allennlp_tiny", "bilm_tf_tiny"])
def test_a_reference_file_round_trips(shared: Path, tmp_path: Path, model: str) -> None:
    folder = shared / "oracles" / model
    config = ElmoConfig.from_json(folder / "options.json")
    copy = tmp_path / "copy.hdf5"
    write_hdf5(copy, config, read_hdf5(folder / "lm_weights.hdf5", config))
    assert content_of(copy) == content_of(folder / "lm_weights.hdf5")


def content_of(path: Path) -> dict[str, tuple[str, bytes]]:
    """The dtype and the bytes of each array."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item}))
        arrays = {k: v[()] for k, v in found.items() if isinstance(v, h5py.Dataset)}
    return {name: (str(array.dtype), array.tobytes()) for name, array in arrays.items()}


def test_a_table_with_the_row_of_id_0(path: Path) -> None:
    table = random_arrays(TINY)["char_embed"]
    with h5py.File(path, "a") as file:
        del file["char_embed"]
        file["char_embed"] = np.concatenate([np.zeros((1, TINY.char_dim)), table])
    np.testing.assert_array_equal(read_hdf5(path, TINY)["char_embed"], table)


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"chunks": True}, {"shuffle": True}, GZIP, {**GZIP, "shuffle": True}],
)
def test_forms_that_are_read(path: Path, dtype: str, arguments: dict[str, Any]) -> None:
    values = np.arange(261 * 4).reshape(261, 4) / 8
    with h5py.File(path, "a") as file:
        del file["char_embed"]
        file.create_dataset("char_embed", data=values.astype(dtype), **arguments)
    array = read_hdf5(path, TINY)["char_embed"]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, values)


# ------------------------------------------------------------------ of another model


def test_lists_all_that_does_not_fit(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["CNN_proj/b_proj"], file["char_embed"], file[NAME]
        file["char_embed"] = np.zeros((100, 4), np.float32)
        file["more/W"] = np.zeros((3, 2), np.float32)
    with pytest.raises(SourceError, match="do not fit its options") as info:
        read_hdf5(path, TINY)
    assert str(info.value).splitlines()[1:-1] == [
        "- missing: CNN/b_cnn_0, shape (4,)",
        "- missing: CNN_proj/b_proj, shape (8,)",
        "- unexpected: more/W, shape (3, 2)",
        "- misshapen: char_embed, expected (261, 4), found (100, 4)",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_layers": 3}, "missing: RNN_0/RNN/MultiRNNCell/Cell2/LSTMCell/B"),
        ({"n_highway": 1}, r"unexpected: CNN_high_1/W_carry, shape \(18, 18\)"),
        ({"dim": 10}, r"B, expected \(40,\), found \(48,\)"),
    ],
)
def test_options_that_contradict_the_weights(
    path: Path, change: dict[str, int], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        read_hdf5(path, dataclasses.replace(TINY, **change))


# ----------------------------------------------------------------------------- damaged


def test_truncated_files(path: Path) -> None:
    content = path.read_bytes()
    ends = [0, 1, 7, 100, 1000, *range(2000, len(content) - 1, 4001), len(content) - 1]
    for length in ends:
        path.write_bytes(content[:length])
        with pytest.raises(SourceError, match=r"Cannot read the HDF5 file|do not fit"):
            read_hdf5(path, TINY)


def test_changed_bytes_are_an_error_or_harmless(path: Path) -> None:
    """HDF5 has no checksum of the numbers; what it notices ends in one kind of error."""
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    n_errors = 0
    for _ in range(200):
        damaged = content
        # Most of the structure stands before the numbers.
        for place in rng.integers(min(len(content), 8000), size=3):
            damaged = changed(damaged, place, int(rng.integers(256)))
        path.write_bytes(damaged)
        try:
            arrays = read_hdf5(path, TINY)
        except SourceError:
            n_errors += 1
        else:
            assert {n: a.shape for n, a in arrays.items()} == TINY.array_shapes()
    assert n_errors > 40


def test_not_hdf5(path: Path) -> None:
    path.write_text("<html>Not Found</html>")
    with pytest.raises(SourceError, match=r"Cannot read the HDF5 file .*weights.hdf5"):
        read_hdf5(path, TINY)
    with pytest.raises(SourceError, match=r"Cannot read the HDF5 file 'the name'"):
        read_hdf5(path.with_name("nothing.hdf5"), TINY, "the name")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(path: Path, value: float) -> None:
    with h5py.File(path, "a") as file:
        file["char_embed"][7, 1] = value
    with pytest.raises(SourceError, match=r"weights.hdf5', 'char_embed' holds numbers"):
        read_hdf5(path, TINY)


# ------------------------------------------------------- what HDF5 can do to a reader


Make = Callable[[h5py.File, Path], object]


def create(*arguments: Any, **options: Any) -> Make:
    """Makes a dataset in the place of :data:`NAME`."""
    return lambda file, _: file.create_dataset(NAME, *arguments, **options)


def store(value: Any) -> Make:
    return lambda file, _: file.__setitem__(NAME, value)


def plain_elsewhere(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "other.hdf5", "w") as other:
        other["secret"] = np.zeros(4, np.float32)
    file[NAME] = h5py.ExternalLink("other.hdf5", "/secret")


def external(file: h5py.File, folder: Path) -> None:
    (folder / "secret").write_bytes(bytes(16))
    places = [(str(folder / "secret"), 0, 16)]
    file.create_dataset(NAME, (4,), np.float32, external=places)


def virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "other.hdf5"), "x", (4,), np.float32)
    file.create_virtual_dataset(NAME, layout)


def low_level(**settings: Any) -> Make:
    """A dataset of 4 zeros with properties that h5py has no arguments for."""

    def make(file: h5py.File, _: Path) -> None:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        for name, arguments in settings.items():
            getattr(properties, name)(*arguments)
        space = h5py.h5s.create_simple((4,))
        kind = h5py.h5t.IEEE_F32LE
        data = h5py.h5d.create(file.id, NAME.encode(), kind, space, properties)
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros(4, np.float32))

    return make


def bomb(content: bytes, filter_mask: int = 0, **options: Any) -> Make:
    """A chunk of 16 bytes that holds something else."""

    def make(file: h5py.File, _: Path) -> None:
        data = file.create_dataset(NAME, (4,), "f4", chunks=(4,), **options)
        data.id.write_direct_chunk((0,), content, filter_mask)

    return make


def multiplied(file: h5py.File, _: Path) -> None:
    """Groups that hold each other several times: few bytes, and paths without end."""
    inner = file.create_group("level0")
    for level in range(1, 6):
        outer = file.create_group(f"level{level}")
        for k in range(12):
            outer[f"again{k}"] = inner
        inner = outer


def often(file: h5py.File, _: Path) -> None:
    """One large array under many names."""
    file["again"] = np.zeros(1 << 20)
    for k in range(20):
        file[f"again{k}"] = file["again"]


FLOATS = np.zeros(4, np.float32)
NO_PIECE = "is stored neither in one piece nor in chunks"
LARGE_CHUNK = r"has chunks \(1048576,\) beyond its shape"
LINKED = r"is a link \("
NO_FLOATS = r"has dtype .*, not floating point of 16, 32 or 64 bits"

HOSTILE: dict[str, tuple[Make, str]] = {
    # Links and other objects.
    "soft link": (store(h5py.SoftLink("/char_embed")), LINKED + "SoftLink"),
    "soft link to the root": (store(h5py.SoftLink("/")), LINKED + "SoftLink"),
    "external link": (plain_elsewhere, LINKED + "ExternalLink"),
    "named type": (store(np.dtype("f4")), "is a Datatype"),
    "cycle": (lambda f, _: f.__setitem__("CNN/again", f["CNN"]), "is nested too deeply"),
    "depth": (lambda f, _: f.create_group("a/b/c/d/e/f/g"), "'a/b/.*' is nested too deep"),
    "multiplied": (multiplied, "nested too deeply|holds too many objects"),
    # Numbers that are elsewhere, or missing.
    "external storage": (external, "is stored outside the file"),
    "virtual": (virtual, NO_PIECE),
    "compact": (low_level(set_layout=(h5py.h5d.COMPACT,)), NO_PIECE),
    "never written": (create((4,), "f4"), "declares 16 bytes and stores 0"),
    "fill value": (create((4,), "f4", chunks=(4,), fillvalue=1.0), "1 chunks and stores 0"),
    "fill value, gzip": (create((4,), "f4", fillvalue=1e30, **GZIP), "1 chunks and st"),
    # Other types.
    "null": (store(h5py.Empty("f4")), "misshapen"),
    "integers": (store(np.arange(4)), "has dtype int64"),
    "bytes": (store(np.array([b"a"] * 4)), NO_FLOATS),
    "complex": (store(np.zeros(4, np.complex64)), NO_FLOATS),
    "compound": (store(np.zeros(4, "f4,f4")), NO_FLOATS),
    "enum": (create((4,), h5py.enum_dtype({"a": 1})), NO_FLOATS),
    "references": (create((4,), h5py.ref_dtype), NO_FLOATS),
    "lists": (create((4,), h5py.vlen_dtype("f4")), NO_FLOATS),
    "strings": (create((4,), h5py.string_dtype()), NO_FLOATS),
    "opaque": (store(np.zeros(4, "V8")), NO_FLOATS),
    "long double": (create((4,), h5py.h5t.NATIVE_LDOUBLE), f"{NO_FLOATS}|Cannot read"),
    # Filters and chunks.
    "lzf": (create(data=FLOATS, compression="lzf"), r"uses the HDF5 filters \[32000\]"),
    "checksum": (create(data=FLOATS, fletcher32=True), r"uses the HDF5 filters \[3\]"),
    "scale and offset": (create(data=FLOATS, scaleoffset=2), r"the HDF5 filters \[6"),
    "two deflates": (
        low_level(set_chunk=((4,),), set_deflate=(1,), set_filter=(1, 1, (1,))),
        r"uses the HDF5 filters \[1, 1\]",
    ),
    "plugin": (
        # Optional, so that HDF5 writes without knowing it.
        low_level(set_chunk=((4,),), set_filter=(32_015, h5py.h5z.FLAG_OPTIONAL)),
        r"uses the HDF5 filters \[32015\]",
    ),
    "large chunk": (create(data=FLOATS, chunks=(1 << 20,), maxshape=(None,)), LARGE_CHUNK),
    "gzip bomb": (bomb(zlib.compress(bytes(10**7)), **GZIP), "is not one of 16 bytes"),
    "small gzip bomb": (bomb(zlib.compress(bytes(10**4)), **GZIP), "not hold its 16 bytes"),
    "short chunk": (bomb(zlib.compress(bytes(8)), **GZIP), "does not hold its 16 bytes"),
    "no gzip": (bomb(b"no zlib stream", **GZIP), "a chunk that cannot be unpacked"),
    "filter skipped": (bomb(bytes(16), filter_mask=1, **GZIP), "is not one of 16 bytes"),
    "often": (often, "unexpected: again"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_refuses(path: Path, tmp_path: Path, kind: str) -> None:
    make, message = HOSTILE[kind]
    with h5py.File(path, "a") as file:
        del file[NAME]
        make(file, tmp_path)
    with pytest.raises(SourceError, match=rf"weights.hdf5'[\s\S]*{message}"):
        read_hdf5(path, TINY)


HUGE = {"filters": ((1, 8192),), "dim": 4096, "projection_dim": 8192}
FULL = {"dim": 1024, "projection_dim": 1024}  # 67 MB


@pytest.mark.parametrize(
    ("sizes", "arguments", "message"),
    [
        (HUGE, {}, r"declares [\d,]+ bytes and stores 0"),
        (HUGE, {"chunks": True}, r"has [\d,]+ chunks and stores 0"),
        (HUGE, GZIP, r"has [\d,]+ chunks and stores 0"),
        (HUGE, {"chunks": "ones"}, r"is cut into [\d,]+ chunks"),
        # Zeros take a thousandth of their room; numbers of a trained model are none.
        (FULL, {**GZIP, "data": "zeros"}, r"declares [\d,]+ bytes (in all|and stores)"),
    ],
)
def test_refuses_shapes_beyond_the_stored_bytes(
    tmp_path: Path, sizes: dict[str, Any], arguments: dict[str, Any], message: str
) -> None:
    """Files of a few kilobytes that declare gigabytes, which options go along with."""
    config = dataclasses.replace(TINY, **sizes)
    path = tmp_path / "bomb.hdf5"
    with h5py.File(path, "w") as file:
        for name, shape in config.array_shapes().items():
            forms = {"ones": (1,) * len(shape), "zeros": np.zeros(1, np.float32)}
            options = {key: forms.get(value, value) for key, value in arguments.items()}
            if "data" in options:
                options["data"] = np.broadcast_to(options["data"], shape)
            file.create_dataset(name, shape, np.float32, **options)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(SourceError, match=message):
        read_hdf5(path, config)


# ------------------------------------------------------------------------------ writing


def test_writing_checks_first_and_leaves_nothing(tmp_path: Path) -> None:
    arrays = random_arrays(TINY)
    del arrays[NAME]
    with pytest.raises(ValueError, match=r"- missing: CNN/b_cnn_0, shape \(4,\)"):
        write_hdf5(tmp_path / "weights.hdf5", TINY, arrays)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_keeps_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.File, "__setitem__", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_hdf5(path, TINY, random_arrays(TINY, seed=1))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["weights.hdf5"]
