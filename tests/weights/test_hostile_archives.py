"""Archives that were made to do harm, beyond those of the tests of each kind."""

from __future__ import annotations

import gzip
import io
import json
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import SourceError
from keras_elmo.pretraining.softmax_file import load_softmax
from keras_elmo.weights import archive, numpy_files
from keras_elmo.weights.names import array_shapes
from keras_elmo.weights.sources import load_path
from keras_elmo.weights.tar_archive import unpack_tar
from tests.tiny_models import TINY, saved_model


def zip_with(tmp_path: Path, *members: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    """A good archive and more members."""
    model = saved_model(tmp_path / "model")
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("options.json", "weights.hdf5"):
            file.write(model / name, name)
        for member, content in members:
            file.writestr(member, content)
    return path


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_zip_members_that_are_no_files(tmp_path: Path, kind: int) -> None:
    member = zipfile.ZipInfo("odd")
    member.external_attr = (kind | 0o644) << 16
    path = zip_with(tmp_path, (member, b""))
    with pytest.raises(SourceError, match=r"zip': its member 'odd' is neither a plain"):
        load_path(path)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # we make one
def test_zip_members_of_one_name(tmp_path: Path) -> None:
    path = zip_with(tmp_path, ("options.json", b"{}"))
    with pytest.raises(SourceError, match=r"model.zip': .* found 2 options"):
        load_path(path)


def test_zip_members_that_share_their_bytes(tmp_path: Path) -> None:
    """Many entries of the directory for one place: as large as one likes."""
    path = zip_with(tmp_path)
    content = path.read_bytes().replace(b"weights.hdf5", b"another.hdf5", 1)
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"weights.hdf5.*model.zip.*differ"):
        load_path(path)


def test_zip_bombs_whose_options_go_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options say that so many numbers are expected; they are in the same archive."""
    monkeypatch.setattr(archive, "_SMALLEST_LIMIT", 1000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("options.json", json.dumps(TINY.to_options()))
        n_numbers = sum(int(np.prod(shape)) for shape in array_shapes(TINY).values())
        file.writestr("weights.hdf5", bytes(4 * n_numbers))
    with pytest.raises(SourceError, match=r"unpack 'weights.hdf5' from .*bomb.zip'"):
        load_path(path)


# ------------------------------------------------------------------------------- tar.gz


def unpacking(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "module.tar.gz"
    path.write_bytes(content)
    try:
        unpack_tar(path, tmp_path / "out", 1 << 20)
    finally:
        assert list(tmp_path.iterdir()) == [path]


def one_file(headers: dict[str, str], content: bytes, name: str = "variables/v") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo(name)
        member.size, member.pax_headers = len(content), headers
        tar.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue())


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "0,4", "GNU.sparse.size": "1000000000"},
        {"GNU.sparse.size": "1000000000", "GNU.sparse.offset": "0"}
        | {"GNU.sparse.numbytes": "4", "GNU.sparse.numblocks": "1"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        | {"GNU.sparse.realsize": "1000000000"},
    ],
)
def test_files_with_holes_that_a_pax_header_tells(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    """A few bytes that unpack to a gigabyte, of which gzip knows nothing."""
    content = one_file(headers, b"1\n0\n4\n".ljust(512, b"\0") + b"data")
    with pytest.raises(SourceError, match=r"module.tar.gz'.*(neither a plain|damaged)"):
        unpacking(tmp_path, content)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"path": "../../evil"}, "points out of the archive"),
        ({"size": str(1 << 62)}, "damaged"),
        ({"size": "-1"}, "has the size -1"),
        ({"linkpath": "/etc/passwd"}, None),  # of a plain file, which has none
    ],
)
def test_pax_headers_that_change_a_member(
    tmp_path: Path, headers: dict[str, str], message: str | None
) -> None:
    content = one_file(headers, b"data")
    if message is None:
        path = tmp_path / "module.tar.gz"
        path.write_bytes(content)
        unpack_tar(path, tmp_path / "out", 1 << 20)
        assert (tmp_path / "out/variables/v").read_bytes() == b"data"
        return
    with pytest.raises(SourceError, match=f"module.tar.gz'.*{message}"):
        unpacking(tmp_path, content)


def test_gzip_in_many_parts_and_in_gzip(tmp_path: Path) -> None:
    whole = gzip.decompress(one_file({}, b"data"))
    parts = [whole, *[bytes(1 << 19)] * 3]
    with pytest.raises(SourceError, match=r"unpacks to more than the 1,048,576 bytes"):
        unpacking(tmp_path, b"".join(map(gzip.compress, parts)))
    inner = one_file({}, bytes(1 << 19))
    with pytest.raises(SourceError, match=r"module.tar.gz'.*damaged"):
        unpacking(tmp_path, gzip.compress(inner))


# ---------------------------------------------------------------------------------- npz


def test_arrays_that_unpack_to_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numpy_files, "_SMALLEST_LIMIT", 1000)
    (tmp_path / "vocabulary.txt").write_text(
        "\n".join(["<S>", "</S>", "<UNK>", *map(str, range(997))]) + "\n"
    )
    np.savez_compressed(tmp_path / "softmax.npz", kernel=np.zeros((1000, 8)), bias=[0.0])
    with pytest.raises(SourceError, match=r"the softmax in .*kernel unpacks from"):
        load_softmax(tmp_path, 8)
