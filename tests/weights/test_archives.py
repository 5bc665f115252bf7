"""Models in zip and tar archives: good ones, damaged ones, and those made to do harm."""

from __future__ import annotations

import errno
import gzip
import io
import json
import random
import shutil
import stat
import tarfile
import threading
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from keras_elmo import SourceError
from keras_elmo.errors import DamagedSourceError
from keras_elmo.weights import archive as archive_module
from keras_elmo.weights.names import array_shapes
from keras_elmo.weights.sources import load_path, load_source
from keras_elmo.weights.tar_archive import unpack_tar
from keras_elmo.weights.zip_archive import check_zip
from tests.tiny_models import TINY, random_arrays, saved_model

PLENTY = 1 << 20
OUTSIDE = ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil", "C:evil", ".. /evil"]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where archives are unpacked for reading."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


# ---------------------------------------------------------------------------------- zip


def members(tmp_path: Path) -> dict[str, bytes]:
    """What archives of the NLPL repository hold."""
    model = saved_model(tmp_path / "model")
    return {
        "options.json": (model / "options.json").read_bytes(),
        "model.hdf5": (model / "weights.hdf5").read_bytes(),
        "vocab.txt": b"the\nof\n",
        "README": b"Trained on ...",
    }


def zip_of(
    tmp_path: Path, *others: tuple[zipfile.ZipInfo | str, bytes], **replaced: bytes
) -> Path:
    """A good archive with more members, or with other content of some."""
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members(tmp_path).items():
            file.writestr(name, replaced.get(name.split(".")[0], content))
        for member, content in others:
            file.writestr(member, content)
    return path


def odd(name: str, mode: int = 0o644, compress_type: int = 0) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr, member.compress_type = mode << 16, compress_type
    return member


def test_a_zip_archive(tmp_path: Path, scratch: Path) -> None:
    model = load_source(zip_of(tmp_path))
    assert model.config == TINY
    for name, expected in random_arrays(TINY).items():
        np.testing.assert_array_equal(model.arrays[name], expected)
    assert list(scratch.iterdir()) == []


def test_a_folder_in_a_zip_archive(tmp_path: Path) -> None:
    content = members(tmp_path)
    with zipfile.ZipFile(tmp_path / "model.ZIP", "w") as file:
        file.mkdir("elmo")
        file.writestr("elmo/elmo_tiny_options.json", content["options.json"])
        file.writestr("elmo/elmo_tiny_weights.hdf5", content["model.hdf5"])
    assert load_path(tmp_path / "model.ZIP")[0] == TINY


NOT_PLAIN = "its member 'odd' is neither a plain file nor a directory"
HOSTILE_MEMBERS = {
    **{
        stat.filemode(mode): (odd("odd", mode), NOT_PLAIN)
        for mode in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK)
    },
    "bzip2": (odd("odd", compress_type=zipfile.ZIP_BZIP2), NOT_PLAIN),
    "lzma": (odd("odd", compress_type=zipfile.ZIP_LZMA), NOT_PLAIN),
    "depth": (odd("/".join("abcdefghi")), "nested too deeply"),
    "second": (odd("another.hdf5"), r"2 HDF5 files \(model.hdf5, another.hdf5\)"),
    "same": (odd("a/options.json"), "found 2 options"),
    **{name: (odd(name), "its member '.*evil' points out of the") for name in OUTSIDE},
}


@pytest.mark.parametrize("kind", HOSTILE_MEMBERS)
def test_zip_members_that_are_refused(tmp_path: Path, scratch: Path, kind: str) -> None:
    member, message = HOSTILE_MEMBERS[kind]
    with pytest.raises(SourceError, match=rf"model.zip': .*{message}"):
        load_source(zip_of(tmp_path, (member, b"")))
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "shift", "value", "message"),
    [
        (
            b"PK\1\2",
            8,
            b"\1",
            "Refusing .*its member 'options.json' is neither",
        ),  # encrypted
        (b"PK\1\2", 24, b"\12\0\0\0", "Cannot unpack .*Bad CRC-32"),  # its size
        # Two entries of the directory for one place: as large as one likes.
        (b"model.hdf5", 0, b"other", "Cannot unpack .*File name in directory .* differ"),
        (b"PK\5\6", 16, b"\0\0\0\xff", "Cannot unpack .*archive is cut or damaged"),
    ],
)
def test_zip_archives_that_contradict_themselves(
    tmp_path: Path, place: bytes, shift: int, value: bytes, message: str
) -> None:
    path = zip_of(tmp_path)
    content = bytearray(path.read_bytes())
    start = content.index(place) + shift
    content[start : start + len(value)] = value
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        load_source(path)


@pytest.mark.parametrize("name", ["options", "model"])
def test_zip_members_that_unpack_without_bound(tmp_path: Path, name: str) -> None:
    path = zip_of(tmp_path, **{name: bytes(100_000_000)})
    assert path.stat().st_size < 300_000
    with pytest.raises(SourceError, match=rf"unpack '{name}\..* unpacks to 100,000,000 by"):
        load_source(path)


def test_zip_bombs_whose_options_go_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options say that so many numbers are expected; they are in the same archive."""
    monkeypatch.setattr(archive_module, "_SMALLEST_LIMIT", 1000)
    n_numbers = sum(int(np.prod(shape)) for shape in array_shapes(TINY).values())
    options = json.dumps(TINY.to_options()).encode()
    path = zip_of(tmp_path, options=options, model=bytes(4 * n_numbers))
    with pytest.raises(SourceError, match=r"unpack 'model.hdf5' from .*model.zip'"):
        load_path(path)


def test_a_zip_directory_of_any_size(tmp_path: Path) -> None:
    path = zip_of(tmp_path, *((odd(f"{i:0200}"), b"") for i in range(5000)))
    with pytest.raises(SourceError, match="its directory is too large"):
        load_path(path)


def test_cut_and_damaged_zip_archives(tmp_path: Path) -> None:
    content = zip_of(tmp_path).read_bytes()
    path = tmp_path / "damaged.zip"
    for length in range(0, len(content), len(content) // 20):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedSourceError, match="the archive is cut or damaged"):
            load_source(path)
    for place in range(60, 3000, 97):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match=r"Cannot|Refusing"):
            load_source(path)


def test_a_check_reads_every_member(tmp_path: Path) -> None:
    path = zip_of(tmp_path)
    check_zip(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"README") + 10] ^= 1  # in a file that nobody reads
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"model.zip' \("):
        check_zip(path)
    assert load_source(path).config == TINY


# ------------------------------------------------------------------------------- tar.gz

FILES = {
    "saved_model.pb": bytes(range(256)) * 30,
    "tfhub_module.pb": b"\x08\x03",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": random.Random(0).randbytes(9000),
    "assets/empty": b"",
}


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **pax: str
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.pax_headers = kind, link, pax
    return info


def tar_bytes(
    files: Mapping[str, bytes] = FILES,
    *others: tarfile.TarInfo,
    form: int = tarfile.GNU_FORMAT,
) -> bytes:
    """An archive of files, then of other members, before compression."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form) as tar:
        for name, file in files.items():
            info = member(name)
            info.size = len(file)
            tar.addfile(info, io.BytesIO(file))
        for info in others:
            tar.addfile(info)
    return content.getvalue()


def raw(name: str, kind: bytes, content: bytes, size: int | None = None) -> bytes:
    """A member as it stands in an archive, of whatever kind and size."""
    info = member(name, kind)
    info.size = len(content) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def packed(folder: Path, content: bytes | None = None) -> Path:
    path = folder / "module.tar.gz"
    path.write_bytes(gzip.compress(tar_bytes() if content is None else content, 1))
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_refused(path: Path, message: str, kind: type[SourceError] = SourceError) -> None:
    """It is not unpacked, and nothing of it is left."""
    with pytest.raises(kind, match=rf"module.tar.gz'.*{message}"):
        unpack_tar(path, path.with_name("out"), PLENTY)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_unpacks(tmp_path: Path, form: int) -> None:
    target = tmp_path / "new" / "module"
    unpack_tar(packed(tmp_path, tar_bytes(form=form)), target, PLENTY)
    assert files_in(target) == FILES
    assert [path.name for path in target.parent.iterdir()] == ["module"]


def test_unpacks_what_tar_makes_of_a_directory(tmp_path: Path) -> None:
    for name, content in FILES.items():
        path = tmp_path / "module" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "module" / "nothing").mkdir()
    with tarfile.open(tmp_path / "a.tgz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.add(tmp_path / "module", ".")
    unpack_tar(str(tmp_path / "a.tgz"), tmp_path / "out", PLENTY)
    assert files_in(tmp_path / "out") == FILES
    assert (tmp_path / "out" / "nothing").is_dir()


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(tmp_path: Path, form: int) -> None:
    files = {f"{'a' * 150}/{'b' * 150}": b"1", "ünïcode/名前": b"2"}
    unpack_tar(packed(tmp_path, tar_bytes(files, form=form)), tmp_path / "out", PLENTY)
    assert files_in(tmp_path / "out") == files


def test_modes_owners_times_and_links_are_not_taken_over(tmp_path: Path) -> None:
    script = member("script", linkpath="/etc/passwd", mtime="inf")
    script.mode, script.uid = 0o4777, 12345
    closed = member("closed", tarfile.DIRTYPE)
    closed.mode = 0
    content = tar_bytes({}, script, closed, form=tarfile.PAX_FORMAT)
    unpack_tar(packed(tmp_path, content), tmp_path / "out", PLENTY)
    (tmp_path / "usual").touch()
    usual, found = (tmp_path / "usual").stat(), (tmp_path / "out" / "script").stat()
    assert (found.st_mode, found.st_uid) == (usual.st_mode, usual.st_uid)
    assert stat.S_IMODE((tmp_path / "out" / "closed").stat().st_mode) & 0o700 == 0o700


def test_a_target_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text("kept")
    unpack_tar(packed(tmp_path), tmp_path / "out", PLENTY)
    assert files_in(tmp_path / "out") == {"file": b"kept"}


def test_two_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both unpack all before either moves its copy into place."""
    path = packed(tmp_path)
    together = threading.Barrier(2)
    replace = Path.replace
    errors: list[BaseException] = []

    def wait_and_replace(source: Path, target: Path) -> Path:
        together.wait(timeout=60)
        return replace(source, target)

    def unpack() -> None:
        try:
            unpack_tar(path, tmp_path / "out", PLENTY)
        except BaseException as error:
            errors.append(error)

    monkeypatch.setattr(Path, "replace", wait_and_replace)
    threads = [threading.Thread(target=unpack) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert files_in(tmp_path / "out") == FILES
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["module.tar.gz", "out"]


TO_THE_OUTSIDE = [*OUTSIDE, "//evil", "a/..", "\\\\host\\share\\evil", "a/.../evil"]
ODD_KINDS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
ODD_KINDS += [tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE, tarfile.XGLTYPE]
ODD_KINDS += [tarfile.GNUTYPE_LONGLINK, tarfile.SOLARIS_XHDTYPE, b"Z"]
HOLES = {"GNU.sparse.size": "1000000000"}
DIGITS = raw("x", tarfile.XHDTYPE, b"1" * PLENTY)  # minutes for tarfile's expressions

# Before compression: the content, and the end of the message.
HOSTILE_TARS: dict[str, tuple[bytes, str]] = {
    **{
        f"{name} {kind!r}": (tar_bytes(FILES, member(name, kind)), "points out of the arc")
        for name in TO_THE_OUTSIDE
        for kind in (tarfile.REGTYPE, tarfile.DIRTYPE)
    },
    "renamed": (
        tar_bytes({}, member("a", path="../../evil"), form=tarfile.PAX_FORMAT),
        "points out of the archive",
    ),
    **{
        f"kind {kind!r}": (
            tar_bytes(FILES, member("odd", kind, "/etc/passwd")),
            "member 'odd' is neither a plain file nor a directory. Pack",
        )
        for kind in ODD_KINDS
    },
    **{
        f"holes {i}": (
            tar_bytes({}, member("odd", **headers), form=tarfile.PAX_FORMAT)[:-1024]
            + b"1\n0\n4\n".ljust(512, b"\0")
            + bytes(1024),
            "neither a plain|damaged",
        )
        for i, headers in enumerate(
            [
                {"GNU.sparse.map": "0,4", **HOLES},
                {"GNU.sparse.offset": "0", "GNU.sparse.numbytes": "4"}
                | {"GNU.sparse.numblocks": "1", **HOLES},
                {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
                | {"GNU.sparse.realsize": "1000000000"},
            ]
        )
    },
    "negative size": (
        tar_bytes({}, member("odd", size="-1"), form=tarfile.PAX_FORMAT),
        "neither a plain file",
    ),
    "deep": (tar_bytes({}, member("a/" * 9, tarfile.DIRTYPE)), "is nested too deeply"),
    "many": (
        b"".join(raw(str(i), tarfile.DIRTYPE, b"") for i in range(501)),
        "it has more than 500 headers",
    ),
    "large header": (DIGITS + raw("f", tarfile.REGTYPE, b""), "a header of 1,048,576 byt"),
    "large": (raw("f", tarfile.REGTYPE, bytes(PLENTY)), "more than the 1,048,576 bytes"),
    "more after the end": (tar_bytes() + bytes(PLENTY), "more than the 1,048,576 bytes"),
}


@pytest.mark.parametrize("kind", HOSTILE_TARS)
def test_tar_archives_that_are_refused(tmp_path: Path, kind: str) -> None:
    content, message = HOSTILE_TARS[kind]
    start = time.process_time()
    assert_refused(packed(tmp_path, content), f"({message})")
    assert time.process_time() - start < 5


def test_a_file_through_a_link(tmp_path: Path) -> None:
    """A link to a directory outside, then a file below its name."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    content = tar_bytes({}, member("v", tarfile.SYMTYPE, str(outside)), member("v/evil"))
    assert_refused(packed(folder, content), "its member 'v' is neither a plain file nor")
    assert list(outside.iterdir()) == []


def test_headers_that_take_tarfile_long(tmp_path: Path) -> None:
    """As many as there may be, each as large as it may be."""
    header = raw("x", tarfile.XHDTYPE, b"1" * 1024) + raw("f", tarfile.REGTYPE, b"")
    start = time.process_time()
    assert_refused(packed(tmp_path, 251 * header), "more than 500 headers")
    assert time.process_time() - start < 10


def test_the_bound_of_bytes(tmp_path: Path) -> None:
    content = tar_bytes()
    path = packed(tmp_path, content)
    unpack_tar(path, tmp_path / "out", len(content))
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(SourceError, match=rf"more than the {len(content) - 1:,} bytes"):
        unpack_tar(path, tmp_path / "out", len(content) - 1)
    assert list(tmp_path.iterdir()) == [path]


def test_gzip_in_many_parts_and_in_gzip(tmp_path: Path) -> None:
    path = tmp_path / "module.tar.gz"
    path.write_bytes(b"".join(map(gzip.compress, [tar_bytes(), *[bytes(1 << 19)] * 3])))
    assert_refused(path, "unpacks to more than the 1,048,576 bytes")
    path.write_bytes(gzip.compress(gzip.compress(tar_bytes())))
    assert_refused(path, "damaged", DamagedSourceError)


def changed(content: bytes, place: int, bits: int = 1) -> bytes:
    result = bytearray(content)
    result[place] ^= bits
    return bytes(result)


def test_cut_and_changed_tar_archives(tmp_path: Path) -> None:
    path = packed(tmp_path)
    content = path.read_bytes()
    n = len(content)
    places = [*range(10, n, 83), *range(n - 9, n)]  # from the end of gzip's header
    bad = [content[:end] for end in [*range(0, n, 197), *range(n - 30, n, 3)]]
    bad += [changed(content, place, 0x11) for place in places]
    for body in bad:
        path.write_bytes(body)
        assert_refused(path, "the archive is cut or damaged. Dow", DamagedSourceError)


WHOLE = tar_bytes()
HEADER = WHOLE.index(b"tfhub_module")
DAMAGED_TARS = {
    "checksum": (changed(gzip.compress(WHOLE), -5), "CRC check failed"),
    "length": (changed(gzip.compress(WHOLE), -1), "Incorrect length"),
    "header": (
        changed(WHOLE, WHOLE.index(b"variables/variables.data") + 30),
        "a header",
    ),
    "first header": (changed(WHOLE, 0), "bad checksum"),
    "in a file": (WHOLE[: HEADER - 500], "end of data"),
    "before a header": (WHOLE[:HEADER], "no end"),
    "in a header": (WHOLE[: HEADER + 100], "no end"),
    "after a file": (WHOLE[: HEADER + 1024], "no end"),
    "size": (raw("f", tarfile.REGTYPE, b"", size=1 << 40), "end of data"),
    "headers without end": (400 * raw("x", tarfile.XHDTYPE, b"11 path=ab\n"), "recursion"),
    "name with a zero byte": (
        tar_bytes({}, member("x", path="a\0b"), form=tarfile.PAX_FORMAT),
        "null",
    ),
    "nothing": (b"", "empty file"),
    "page": (b"<html>", "truncated header"),
    "no header": (bytes(range(256)) * 40, "invalid header"),
    "not gzip": (b"<html>", "Not a gzipped file"),
    "more after gzip": (gzip.compress(WHOLE) + b"more", "Not a gzipped file"),
}


@pytest.mark.parametrize("kind", DAMAGED_TARS)
def test_damaged_tar_archives(tmp_path: Path, kind: str) -> None:
    content, message = DAMAGED_TARS[kind]
    path = packed(tmp_path, content)
    if "gzip" in message or content[:2] == b"\x1f\x8b":
        path.write_bytes(content)
    assert_refused(path, message, DamagedSourceError)


# ------------------------------------------------------------------------ the file system


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_full_disk(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def write_half(source: IO[bytes], file: IO[bytes]) -> None:
        file.write(source.read(100))
        raise OSError(errno.ENOSPC, "No space left on device")

    path = zip_of(tmp_path) if kind == "zip" else packed(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("shutil.copyfileobj", write_half)
    with pytest.raises(
        SourceError, match=r"Cannot unpack .*No space left on device\): free some space"
    ) as raised:
        load_path(path) if kind == "zip" else unpack_tar(path, tmp_path / "out", PLENTY)
    assert type(raised.value) is SourceError
    assert sorted(tmp_path.rglob("*")) == before


def test_archives_and_targets_that_cannot_be_opened(tmp_path: Path) -> None:
    path = packed(tmp_path)
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    for source, target in [
        (tmp_path / "nowhere.tar.gz", tmp_path / "out"),
        (tmp_path / "folder", tmp_path / "out"),
        (path, tmp_path / "file"),
        (path, tmp_path / "file" / "out"),
    ]:
        with pytest.raises(SourceError, match=r"check the path and its perm") as raised:
            unpack_tar(source, target, PLENTY)
        assert type(raised.value) is SourceError
    assert (tmp_path / "file").read_text() == "kept"
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "folder", path.name}
