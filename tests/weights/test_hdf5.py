from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import ElmoConfig, SourceError
from keras_elmo.weights.hdf5 import read_hdf5, write_hdf5
from keras_elmo.weights.names import array_shapes
from tests.tiny_models import TINY, Arrays, configs, random_arrays

NAME = "CNN/b_cnn_0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file, for tests to spoil."""
    file = tmp_path / "weights.hdf5"
    write_hdf5(file, TINY, random_arrays(TINY))
    return file


@given(configs(), st.integers(0, 2**32 - 1))
def test_round_trip_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, config: ElmoConfig, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("round_trip")
    arrays = random_arrays(config, seed)
    write_hdf5(folder / "once.hdf5", config, arrays)
    read = read_hdf5(folder / "once.hdf5", config)
    assert list(read) == list(array_shapes(config))
    for name, array in arrays.items():
        assert read[name].dtype == np.float32
        assert read[name].tobytes() == array.tobytes()


def test_a_reference_file_round_trips(shared: Path, tmp_path: Path) -> None:
    for model in ("allennlp_tiny", "bilm_tf_tiny"):
        folder = shared / "oracles" / model
        config = ElmoConfig.from_json(folder / "options.json")
        arrays = read_hdf5(folder / "lm_weights.hdf5", config)
        write_hdf5(tmp_path / "copy.hdf5", config, arrays)
        with (
            h5py.File(folder / "lm_weights.hdf5") as original,
            h5py.File(tmp_path / "copy.hdf5") as copy,
        ):
            for name in array_shapes(config):
                assert copy[name].dtype == original[name].dtype == np.float32
                assert copy[name][()].tobytes() == original[name][()].tobytes()
            names: list[str] = []
            original.visit(names.append)
            assert sorted(names) == sorted(_visited(copy))


def _visited(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def test_a_table_with_the_row_of_id_0(path: Path) -> None:
    table = random_arrays(TINY)["char_embed"]
    with h5py.File(path, "a") as file:
        del file["char_embed"]
        file["char_embed"] = np.concatenate([np.zeros((1, TINY.char_dim)), table])
    np.testing.assert_array_equal(read_hdf5(path, TINY)["char_embed"], table)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_other_floating_point_types(path: Path, dtype: object) -> None:
    values = np.arange(4) / 8
    with h5py.File(path, "a") as file:
        del file[NAME]
        file[NAME] = values.astype(dtype)
    array = read_hdf5(path, TINY)[NAME]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, values)


def test_compressed_files(path: Path) -> None:
    with h5py.File(path, "a") as file:
        values = file["char_embed"][()]
        del file["char_embed"]
        file.create_dataset(
            "char_embed", data=values, compression="gzip", shuffle=True, fletcher32=True
        )
    np.testing.assert_array_equal(read_hdf5(path, TINY)["char_embed"], values)


def test_lists_all_that_does_not_fit(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["CNN_proj/b_proj"], file["char_embed"], file[NAME]
        file["char_embed"] = np.zeros((100, 4), np.float32)
        file["softmax/W"] = np.zeros((3, 2), np.float32)
    with pytest.raises(SourceError, match="do not fit its options") as info:
        read_hdf5(path, TINY)
    assert str(info.value).splitlines()[1:-1] == [
        "- missing: CNN/b_cnn_0, shape (4,)",
        "- missing: CNN_proj/b_proj, shape (8,)",
        "- unexpected: softmax/W, shape (3, 2)",
        "- misshapen: char_embed, expected (261, 4), found (100, 4)",
    ]


def test_options_that_contradict_the_weights(path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"missing: RNN_0/RNN/MultiRNNCell/Cell2/LSTMCell/B"
    ):
        read_hdf5(path, dataclasses.replace(TINY, n_layers=3))
    with pytest.raises(
        SourceError, match=r"unexpected: CNN_high_1/W_carry, shape \(18, 18\)"
    ):
        read_hdf5(path, dataclasses.replace(TINY, n_highway=1))
    with pytest.raises(SourceError, match=r"B, expected \(40,\), found \(48,\)"):
        read_hdf5(path, dataclasses.replace(TINY, dim=10))


def test_truncated_files(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    cut = tmp_path / "cut.hdf5"
    for length in [
        0,
        1,
        7,
        100,
        1000,
        *range(2000, len(content) - 1, 4001),
        len(content) - 1,
    ]:
        cut.write_bytes(content[:length])
        with pytest.raises(SourceError, match=r"Cannot read the HDF5 file|do not fit"):
            read_hdf5(cut, TINY)


def test_changed_bytes_are_an_error_or_harmless(path: Path, tmp_path: Path) -> None:
    """HDF5 has no checksum of the numbers; what it notices ends in one kind of error."""
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    changed = tmp_path / "changed.hdf5"
    n_errors = 0
    for _ in range(300):
        damaged = bytearray(content)
        # Most of the structure stands before the numbers.
        for place in rng.integers(min(len(content), 8000), size=3):
            damaged[place] = int(rng.integers(256))
        changed.write_bytes(damaged)
        try:
            arrays = read_hdf5(changed, TINY)
        except SourceError:
            n_errors += 1
        else:
            assert {n: a.shape for n, a in arrays.items()} == array_shapes(TINY)
    assert n_errors > 50


def test_not_hdf5(tmp_path: Path) -> None:
    (tmp_path / "weights.hdf5").write_text("<html>Not Found</html>")
    with pytest.raises(SourceError, match=r"Cannot read the HDF5 file .*weights.hdf5"):
        read_hdf5(tmp_path / "weights.hdf5", TINY)
    with pytest.raises(SourceError, match=r"Cannot read the HDF5 file 'the name'"):
        read_hdf5(tmp_path / "nothing.hdf5", TINY, "the name")


# ------------------------------------------------------- what HDF5 can do to a reader


def spoil(path: Path, name: str = NAME) -> h5py.File:
    file = h5py.File(path, "a")
    del file[name]
    return file


def refused(path: Path, why: str) -> None:
    with pytest.raises(SourceError, match=rf"Refusing to read .*: '{NAME}' {why}"):
        read_hdf5(path, TINY)


def test_refuses_soft_links(path: Path) -> None:
    with spoil(path) as file:
        file[NAME] = h5py.SoftLink("/CNN/b_cnn_1")
    refused(path, r"is a link \(SoftLink\)")


def test_refuses_external_links(path: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["secret"] = np.zeros(4, np.float32)
    with spoil(path) as file:
        file[NAME] = h5py.ExternalLink("other.hdf5", "/secret")
    refused(path, r"is a link \(ExternalLink\)")


def test_refuses_external_storage(path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    with spoil(path) as file:
        secret = [(str(tmp_path / "secret"), 0, 16)]
        file.create_dataset(NAME, (4,), np.float32, external=secret)
    refused(path, "is stored outside the file")


def test_refuses_virtual_datasets(path: Path, tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "secret", (4,), np.float32)
    with spoil(path) as file:
        file.create_virtual_dataset(NAME, layout)
    refused(path, "is a virtual dataset")


def test_refuses_shapes_beyond_the_stored_bytes(tmp_path: Path) -> None:
    """Files of a few kilobytes that declare gigabytes, which options go along with."""
    config = dataclasses.replace(TINY, dim=4096, projection_dim=8192)
    path = tmp_path / "bomb.hdf5"
    for arguments in ({"chunks": True}, {"chunks": True, "compression": "gzip"}, {}):
        with h5py.File(path, "w") as file:
            for name, shape in array_shapes(config).items():
                file.create_dataset(name, shape, np.float32, **arguments)
        assert path.stat().st_size < 1_000_000
        with pytest.raises(SourceError, match=r"declares [\d,]+ bytes and stores 0"):
            read_hdf5(path, config)


def test_refuses_other_types(path: Path) -> None:
    for values, dtype in [
        (np.arange(4), "int64"),
        (np.array([b"a", b"b", b"c", b"d"]), r"\|S1"),
        (np.zeros(4, np.complex64), "complex64"),
    ]:
        with spoil(path) as file:
            file[NAME] = values
        refused(path, f"has dtype {dtype}, not floating point")


def test_refuses_named_types_and_cycles(path: Path) -> None:
    with spoil(path) as file:
        file[NAME] = np.dtype("f4")
    refused(path, "is a Datatype")
    with spoil(path) as file:
        file["CNN/again"] = file["CNN"]
    with pytest.raises(SourceError, match=r"'CNN/again/again/.*' is nested too deeply"):
        read_hdf5(path, TINY)


def test_refuses_links_that_multiply(path: Path) -> None:
    """Groups that hold each other several times: few bytes, and paths without end."""
    with h5py.File(path, "a") as file:
        inner = file.create_group("level0")
        inner["x"] = np.zeros(1, np.float32)
        for level in range(1, 6):
            outer = file.create_group(f"level{level}")
            for k in range(12):
                outer[f"again{k}"] = inner
            inner = outer
    with pytest.raises(SourceError, match="holds too many objects"):
        read_hdf5(path, TINY)


def test_refuses_chunks_beyond_the_shape(path: Path) -> None:
    with spoil(path) as file:
        file.create_dataset(
            NAME, data=np.zeros(4, "f4"), chunks=(1 << 20,), maxshape=(None,)
        )
    refused(path, r"has chunks \(1048576,\) beyond its shape")


def test_refuses_filters_that_come_from_plugins(path: Path) -> None:
    with spoil(path) as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((4,))
        # Optional, so that HDF5 writes without knowing it.
        properties.set_filter(32_015, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((4,))
        data = h5py.h5d.create(
            file["CNN"].id, b"b_cnn_0", h5py.h5t.IEEE_F32LE, space, properties
        )
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros(4, np.float32))
    refused(path, r"uses the HDF5 filters \[32015\]")


# ------------------------------------------------------------------------------ writing


def test_writing_checks_first_and_leaves_nothing(tmp_path: Path) -> None:
    arrays: Arrays = random_arrays(TINY)
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
