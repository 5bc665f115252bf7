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

import pytest

from keras_elmo import SourceError
from keras_elmo.errors import DamagedSourceError
from keras_elmo.hub.sources import load_path, load_source
from keras_elmo.weights import archive as archive_module
from keras_elmo.weights.tar_archive import unpack_tar
from keras_elmo.weights.zip_archive import check_zip
from tests.tiny_models import TINY, saved_model
from tests.weights.checks import assert_loads, changed, files_in

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


def zip_of(
    tmp_path: Path,
    *others: tuple[zipfile.ZipInfo | str, bytes],
    folder: str = "",
    **replaced: bytes,
) -> Path:
    """An archive like the NLPL repository's, with more members or other content."""
    model = saved_model(tmp_path / "model")
    members = {
        "elmo_options.json": (model / "options.json").read_bytes(),
        "model.hdf5": (model / "weights.hdf5").read_bytes(),
        "vocab.txt": b"the\nof\n",
        "README": b"Trained on ...",
    }
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(folder + name, replaced.get(name.split(".")[0], content))
        for member, content in others:
            file.writestr(member, content)
    return path


def odd(name: str, mode: int = 0o644, compress_type: int = 0) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr, member.compress_type = mode << 16, compress_type
    return member


def test_zip_archives(tmp_path: Path, scratch: Path) -> None:
    assert_loads(zip_of(tmp_path))
    path = zip_of(tmp_path, ("elmo/", b""), folder="elmo/")
    assert_loads(path.rename(path.with_suffix(".ZIP")))
    assert list(scratch.iterdir()) == []


NOT_PLAIN = "its member 'odd' is neither a plain file nor a directory"
ODD_MODES = (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK)
HOSTILE_MEMBERS = {
    **{stat.filemode(mode): (odd("odd", mode), NOT_PLAIN) for mode in ODD_MODES},
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
        # Encryption, a size, two entries of the directory for one place, its own place.
        (b"PK\1\2", 8, b"\1", "Refusing .*its member 'elmo_options.json' is neither"),
        (b"PK\1\2", 24, b"\12\0\0\0", "Cannot unpack .*Bad CRC-32"),
        (b"model.hdf5", 0, b"other", "Cannot unpack .*File name in directory .* differ"),
        (b"PK\5\6", 16, b"\0\0\0\xff", "Cannot unpack .*archive is cut or damaged"),
    ],
)
def test_zip_archives_that_contradict_themselves(
    tmp_path: Path, place: bytes, shift: int, value: bytes, message: str
) -> None:
    path = zip_of(tmp_path)
    content = path.read_bytes()
    start = content.index(place) + shift
    path.write_bytes(content[:start] + value + content[start + len(value) :])
    with pytest.raises(SourceError, match=message):
        load_source(path)


@pytest.mark.parametrize("name", ["elmo_options", "model"])
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
    options = json.dumps(TINY.to_options()).encode()
    path = zip_of(tmp_path, elmo_options=options, model=bytes(4 * TINY.n_parameters))
    with pytest.raises(SourceError, match=r"unpack 'model.hdf5' from .*model.zip'"):
        load_path(path)


def test_a_zip_directory_of_any_size(tmp_path: Path) -> None:
    path = zip_of(tmp_path, *((odd(f"{i:0200}"), b"") for i in range(5000)))
    with pytest.raises(SourceError, match="the archive is cut or damaged"):
        load_path(path)


def test_cut_and_damaged_zip_archives(tmp_path: Path) -> None:
    content = zip_of(tmp_path).read_bytes()
    path = tmp_path / "damaged.zip"
    for length in range(0, len(content), len(content) // 20):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedSourceError, match="the archive is cut or damaged"):
            load_source(path)
    for place in range(60, 3000, 97):
        path.write_bytes(changed(content, place, 0xFF))
        with pytest.raises(SourceError, match=r"Cannot|Refusing"):
            load_source(path)


def test_a_check_reads_every_member(tmp_path: Path) -> None:
    path = zip_of(tmp_path)
    check_zip(path)
    content = path.read_bytes()
    path.write_bytes(changed(content, content.index(b"README") + 10))  # which nobody reads
    with pytest.raises(SourceError, match=r"model.zip' \("):
        check_zip(path)
    assert load_source(path).config == TINY
    # A size in the directory: zipfile ends where the data do, and their checksum fits.
    start = content.index(b"PK\1\2") + 24
    path.write_bytes(content[:start] + b"\xff\xff\0\0" + content[start + 4 :])
    with pytest.raises(SourceError, match=r"'elmo_options.json' has \d+ bytes"):
        check_zip(path)


# ------------------------------------------------------------------------------- tar.gz

FILES = {
    "assets/empty": b"",
    "saved_model.pb": bytes(range(256)) * 30,
    "tfhub_module.pb": b"\x08\x03",
    "variables/variables.data-00000-of-00001": random.Random(0).randbytes(9000),
    "variables/variables.index": b"index",
}
LONG = {f"{'a' * 150}/{'b' * 150}": b"1", "ünïcode/名前": b"2"}
PAX = tarfile.PAX_FORMAT


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


def gz(content: bytes) -> bytes:
    return gzip.compress(content, 1)


def packed(folder: Path, content: bytes | None = None) -> Path:
    path = folder / "module.tar.gz"
    path.write_bytes(gz(tar_bytes() if content is None else content))
    return path


def assert_refused(path: Path, message: str, kind: type[SourceError] = SourceError) -> None:
    """It is not unpacked, and nothing of it is left."""
    with pytest.raises(kind, match=rf"module.tar.gz'.*{message}"):
        unpack_tar(path, path.with_name("out"), PLENTY)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, PAX])
def test_unpacks(tmp_path: Path, form: int) -> None:
    files = FILES if form == tarfile.USTAR_FORMAT else {**FILES, **LONG}
    path = packed(tmp_path, tar_bytes(files, member("./no", tarfile.DIRTYPE), form=form))
    target = tmp_path / "new" / "module"
    unpack_tar(path, target, PLENTY)
    assert files_in(target) == files
    assert (target / "no").is_dir()
    assert list(target.parent.iterdir()) == [target]
    shutil.rmtree(target / "variables")
    unpack_tar(path, target, PLENTY)  # which is there, and left alone
    assert not (target / "variables").exists()


def test_modes_owners_times_and_links_are_not_taken_over(tmp_path: Path) -> None:
    script = member("script", linkpath="/etc/passwd", mtime="inf")
    script.mode, script.uid = 0o4777, 12345
    closed = member("closed", tarfile.DIRTYPE)
    closed.mode = 0
    content = tar_bytes({}, script, closed, form=PAX)
    unpack_tar(packed(tmp_path, content), tmp_path / "out", PLENTY)
    (tmp_path / "usual").touch()
    usual, found = (tmp_path / "usual").stat(), (tmp_path / "out" / "script").stat()
    assert (found.st_mode, found.st_uid) == (usual.st_mode, usual.st_uid)
    assert stat.S_IMODE((tmp_path / "out" / "closed").stat().st_mode) & 0o700 == 0o700


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
HOLES = [
    {"map": "0,4", "size": "1000000000"},
    {"offset": "0", "numbytes": "4", "numblocks": "1", "size": "1000000000"},
    {"major": "1", "minor": "0", "realsize": "1000000000"},
]
DIGITS = raw("x", tarfile.XHDTYPE, b"1" * PLENTY)  # minutes for tarfile's expressions
DIGITS_OF_EACH = raw("x", tarfile.XHDTYPE, b"1" * 1024)
SLOW = b"".join(DIGITS_OF_EACH + raw(f"f{i}", tarfile.REGTYPE, b"") for i in range(251))
WHOLE = tar_bytes()
HEADER = WHOLE.index(b"tfhub_module")
OUT, PLAIN, LARGE = (
    "points out of the archive",
    "neither a plain file",
    "than the 1,048,576",
)


def with_holes(names: Mapping[str, str]) -> bytes:
    headers = {f"GNU.sparse.{name}": value for name, value in names.items()}
    start = tar_bytes({}, member("odd", **headers), form=PAX)[:-1024]
    return start + b"1\n0\n4\n".ljust(512, b"\0") + bytes(1024)


TWICE = [(["a", "./a"], []), (["a", "a/b"], []), (["a/b", "a"], []), (["a"], [member("a")])]
HOSTILE_TARS: dict[str, tuple[bytes, str]] = {
    **{
        f"{name} {kind!r}": (tar_bytes(FILES, member(name, kind)), OUT)
        for name in TO_THE_OUTSIDE
        for kind in (tarfile.REGTYPE, tarfile.DIRTYPE)
    },
    **{
        f"kind {kind!r}": (
            tar_bytes({}, member("odd", kind, "/etc"), member("odd/evil")),
            "member 'odd' is neither a plain file nor a directory. Pack",
        )
        for kind in ODD_KINDS
    },
    **{f"holes {i}": (with_holes(h), f"{PLAIN}|damaged") for i, h in enumerate(HOLES)},
    "renamed": (tar_bytes({}, member("a", path="../../evil"), form=PAX), OUT),
    "negative size": (tar_bytes({}, member("odd", size="-1"), form=PAX), PLAIN),
    "deep": (tar_bytes({}, member("a/" * 9, tarfile.DIRTYPE)), "is nested too deeply"),
    "many": (501 * raw("d", tarfile.DIRTYPE, b""), "it has more than 500 headers"),
    "many slow ones": (SLOW, "it has more than 500 headers"),
    "large header": (DIGITS + raw("f", tarfile.REGTYPE, b""), "a header of 1,048,576 byt"),
    **{
        f"twice {i}": (tar_bytes(dict.fromkeys(names, b""), *others), "the name of another")
        for i, (names, others) in enumerate(TWICE)
    },
    "large": (raw("f", tarfile.REGTYPE, bytes(PLENTY)), LARGE),
    "more after the end": (WHOLE + bytes(PLENTY), LARGE),
    "many parts": (b"".join(map(gz, [WHOLE, *[bytes(1 << 19)] * 3])), LARGE),
}
DAMAGED_TARS: dict[str, tuple[bytes, str]] = {
    "checksum": (changed(gz(WHOLE), -5), "CRC check failed"),
    "length": (changed(gz(WHOLE), -1), "Incorrect length"),
    "header": (changed(WHOLE, WHOLE.index(b"variables/variables.data") + 30), "a header"),
    "first header": (changed(WHOLE, 0), "bad checksum"),
    "in a file": (WHOLE[: HEADER - 500], "end of data"),
    "before a header": (WHOLE[:HEADER], "no end"),
    "in a header": (WHOLE[: HEADER + 100], "no end"),
    "after a file": (WHOLE[: HEADER + 1024], "no end"),
    "size": (raw("f", tarfile.REGTYPE, b"", size=1 << 40), "end of data"),
    "headers without end": (400 * raw("x", tarfile.XHDTYPE, b"11 path=ab\n"), "recursion"),
    "zero byte": (tar_bytes({}, member("x", path="a\0b"), form=PAX), "null"),
    "nothing": (b"", "empty file"),
    "page": (b"<html>", "truncated header"),
    "no header": (bytes(range(256)) * 40, "invalid header"),
    "gzip in gzip": (gz(gz(WHOLE)), "damaged"),
    "not gzip": (b"<html>", "Not a gzipped file"),
    "more after gzip": (gz(WHOLE) + b"more", "Not a gzipped file"),
}


@pytest.mark.parametrize("kind", [*HOSTILE_TARS, *DAMAGED_TARS])
def test_tar_archives_that_are_not_unpacked(tmp_path: Path, kind: str) -> None:
    content, message = {**HOSTILE_TARS, **DAMAGED_TARS}[kind]
    path = packed(tmp_path, content)
    if content.startswith(b"\x1f\x8b") or kind == "not gzip":
        path.write_bytes(content)
    error = DamagedSourceError if kind in DAMAGED_TARS else SourceError
    start = time.process_time()
    assert_refused(path, f"({message})", error)
    assert time.process_time() - start < 10


def test_the_bound_of_bytes(tmp_path: Path) -> None:
    path = packed(tmp_path)
    unpack_tar(path, tmp_path / "out", len(WHOLE))
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(SourceError, match=rf"more than the {len(WHOLE) - 1:,} bytes"):
        unpack_tar(path, tmp_path / "out", len(WHOLE) - 1)
    assert list(tmp_path.iterdir()) == [path]


def test_cut_and_changed_tar_archives(tmp_path: Path) -> None:
    path = packed(tmp_path)
    content = path.read_bytes()
    n = len(content)
    places = [*range(10, n, 83), *range(n - 9, n)]  # from the end of gzip's header
    bad = [content[:end] for end in [*range(0, n, 197), *range(n - 30, n, 3)]]
    for body in [*bad, *(changed(content, place, 0x11) for place in places)]:
        path.write_bytes(body)
        assert_refused(path, "the archive is cut or damaged. Dow", DamagedSourceError)


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
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("kept")
    folder.mkdir()
    for source, target in [
        (tmp_path / "nowhere.tar.gz", tmp_path / "out"),
        (folder, tmp_path / "out"),
        (path, file),
        (path, file / "out"),
    ]:
        with pytest.raises(SourceError, match=r"check the path and its perm") as raised:
            unpack_tar(source, target, PLENTY)
        assert type(raised.value) is SourceError
    assert files_in(tmp_path) == {"file": b"kept", path.name: path.read_bytes()}
