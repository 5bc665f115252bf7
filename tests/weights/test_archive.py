from __future__ import annotations

import errno
import stat
import struct
import zipfile
from pathlib import Path
from typing import IO

import pytest

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.errors import DamagedSourceError
from keras_elmo.weights.sources import load_source
from keras_elmo.weights.zip_archive import check_zip, member_names, unpack_member
from tests.tiny_models import TINY, random_arrays, saved_model


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A good archive, as the NLPL repository has them, for tests to add to."""
    model = saved_model(tmp_path / "model")
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(model / "options.json", "options.json")
        file.write(model / "weights.hdf5", "model.hdf5")
        file.writestr("vocab.txt", "the\nof\n")
        file.writestr("README", "Trained on ...")
    return path


def add(path: Path, name: str, content: bytes = b"", mode: int = 0o644) -> None:
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(member, content)


def test_loads(archive: Path) -> None:
    model = load_source(archive)
    assert model.config == TINY
    expected = random_arrays(TINY)
    assert model.arrays.keys() == expected.keys()
    assert all((model.arrays[name] == expected[name]).all() for name in expected)
    assert ElmoEmbeddingLayer(str(archive))(["a b"]).shape == (1, 16)


def test_loads_from_a_folder_in_the_archive(tmp_path: Path) -> None:
    model = saved_model(tmp_path / "model")
    path = tmp_path / "model.ZIP"
    with zipfile.ZipFile(path, "w") as file:
        file.mkdir("elmo")
        file.write(model / "options.json", "elmo/elmo_tiny_options.json")
        file.write(model / "weights.hdf5", "elmo/elmo_tiny_weights.hdf5")
    assert load_source(path).config == TINY


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "/etc/evil",
        "..\\evil",
        "C:\\evil",
        "C:evil",
        ".. /evil",
    ],
)
def test_refuses_members_that_leave_the_target(archive: Path, name: str) -> None:
    add(archive, name)
    with pytest.raises(SourceError, match=r"its member '.*evil' points out of the archive"):
        load_source(archive)


def test_refuses_links(archive: Path) -> None:
    add(archive, "link", b"/etc/passwd", stat.S_IFLNK | 0o777)
    with pytest.raises(SourceError, match="its member 'link' is a link"):
        load_source(archive)


def test_refuses_encrypted_members(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    entry = content.index(b"PK\x01\x02")  # the first entry of the central directory
    content[entry + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(SourceError, match=r"its member 'options.json' is encrypted"):
        load_source(archive)


@pytest.mark.parametrize("name", ["options.json", "model.hdf5"])
def test_refuses_members_that_unpack_without_bound(tmp_path: Path, name: str) -> None:
    model = saved_model(tmp_path / "model")
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for member in ("options.json", "model.hdf5"):
            if member == name:
                file.writestr(member, bytes(100_000_000))
            else:
                file.write(model / member.replace("model", "weights"), member)
    assert path.stat().st_size < 300_000
    with pytest.raises(
        SourceError, match=rf"unpack '{name}' .* unpacks to 100,000,000 bytes"
    ):
        load_source(path)


def test_members_that_declare_less_than_they_hold(archive: Path, tmp_path: Path) -> None:
    content = bytearray(archive.read_bytes())
    entry = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, entry + 24, 10)  # the uncompressed size
    archive.write_bytes(content)
    with pytest.raises(SourceError, match=r"Cannot unpack 'options.json' .*Bad CRC-32"):
        load_source(archive)


def test_cut_and_damaged_archives(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    path = tmp_path / "damaged.zip"
    for length in range(0, len(content), len(content) // 20):
        path.write_bytes(content[:length])
        with pytest.raises(
            DamagedSourceError, match="not a zip archive, or cut or damaged"
        ) as raised:
            load_source(path)
        assert raised.value.path == path
    for place in range(60, 3000, 97):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match=r"Cannot|Refusing"):
            load_source(path)


def test_nothing_is_left_behind(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    load_source(archive)
    assert list(scratch.iterdir()) == []
    add(archive, "another.hdf5")
    with pytest.raises(SourceError, match=r"2 HDF5 files \(model.hdf5, another.hdf5\)"):
        load_source(archive)
    assert list(scratch.iterdir()) == []


def test_a_full_disk(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(source: IO[bytes], file: IO[bytes]) -> None:
        file.write(source.read(100))
        raise OSError(errno.ENOSPC, "No space left on device")

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setattr("shutil.copyfileobj", write_half)
    with pytest.raises(
        SourceError,
        match=r"Cannot unpack 'options.json' from .*No space left on device\): free some",
    ) as raised:
        load_source(archive)
    assert not isinstance(raised.value, DamagedSourceError)
    assert list(scratch.iterdir()) == []


def test_a_check_reads_every_member(archive: Path) -> None:
    check_zip(archive)
    content = bytearray(archive.read_bytes())
    content[content.index(b"README") + 10] ^= 1  # in a file that nobody reads
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"what came is not a whole zip archive: "):
        check_zip(archive)
    assert load_source(archive).config == TINY


def test_names_and_members(archive: Path, tmp_path: Path) -> None:
    names = ["options.json", "model.hdf5", "vocab.txt", "README"]
    assert member_names(archive) == names
    unpack_member(archive, "vocab.txt", tmp_path / "out", 7)
    assert (tmp_path / "out").read_bytes() == b"the\nof\n"
    with pytest.raises(
        SourceError, match="unpacks to 7 bytes where at most 6 are expected"
    ):
        unpack_member(archive, "vocab.txt", tmp_path / "out", 6)
