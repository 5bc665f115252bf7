"""Unpacking .tar.gz archives, good ones and others."""

from __future__ import annotations

import errno
import gzip
import io
import random
import shutil
import stat
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.weights import tar_archive
from keras_elmo.weights.tar_archive import unpack_tar

PLENTY = 1 << 20
FILES = {
    "saved_model.pb": bytes(range(256)) * 30,
    "tfhub_module.pb": b"\x08\x03",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": random.Random(0).randbytes(9000),
    "assets/empty": b"",
}


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
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


def packed(folder: Path, content: bytes | None = None) -> Path:
    path = folder / "module.tar.gz"
    path.write_bytes(gzip.compress(tar_bytes() if content is None else content))
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_nothing_is_left(path: Path) -> None:
    assert list(path.parent.iterdir()) == [path]


# --------------------------------------------------------------------------------- good


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
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


def test_long_names(tmp_path: Path) -> None:
    files = {f"{'a' * 150}/{'b' * 150}": b"1", "ünïcode/名前": b"2"}
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        target = tmp_path / str(form)
        unpack_tar(packed(tmp_path, tar_bytes(files, form=form)), target, PLENTY)
        assert files_in(target) == files


def test_modes_and_owners_are_not_taken_over(tmp_path: Path) -> None:
    script = member("script")
    script.mode, script.uid = 0o4777, 12345
    closed = member("closed", tarfile.DIRTYPE)
    closed.mode = 0
    unpack_tar(packed(tmp_path, tar_bytes({}, script, closed)), tmp_path / "out", PLENTY)
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat()
    found = (tmp_path / "out" / "script").stat()
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
    rename = Path.rename
    errors: list[BaseException] = []

    def wait_and_rename(source: Path, target: Path) -> Path:
        together.wait(timeout=60)
        return rename(source, target)

    def unpack() -> None:
        try:
            unpack_tar(path, tmp_path / "out", PLENTY)
        except BaseException as error:
            errors.append(error)

    monkeypatch.setattr(Path, "rename", wait_and_rename)
    threads = [threading.Thread(target=unpack) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert files_in(tmp_path / "out") == FILES
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["module.tar.gz", "out"]


# ------------------------------------------------------------------------------- harmful


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "/evil",
        "//evil",
        "a/..",
        "..\\evil",
        "C:\\evil",
        "C:evil",
        "\\\\host\\share\\evil",
        "a/.. /evil",
        "a/.../evil",
    ],
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_refuses_members_that_leave_the_target(
    tmp_path: Path, name: str, kind: bytes
) -> None:
    path = packed(tmp_path, tar_bytes(FILES, member(name, kind)))
    with pytest.raises(
        SourceError,
        match=r"Refusing to unpack '.*module.tar.gz': its member '.*' points ou",
    ):
        unpack_tar(path, tmp_path / "out", PLENTY)
    assert_nothing_is_left(path)


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "saved_model.pb"),
        (tarfile.LNKTYPE, "saved_model.pb"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.GNUTYPE_SPARSE, ""),
        (tarfile.CONTTYPE, ""),
        (b"Z", ""),
    ],
)
def test_refuses_members_that_are_no_plain_files(
    tmp_path: Path, kind: bytes, link: str
) -> None:
    path = packed(tmp_path, tar_bytes(FILES, member("variables/odd", kind, link)))
    with pytest.raises(
        SourceError,
        match=r"its member 'variables/odd' is neither a plain file nor a directory. Pack",
    ):
        unpack_tar(path, tmp_path / "out", PLENTY)
    assert_nothing_is_left(path)


def test_refuses_a_file_through_a_link(tmp_path: Path) -> None:
    """A link to a directory outside, then a file below its name."""
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "folder"
    folder.mkdir()
    content = tar_bytes({}, member("v", tarfile.SYMTYPE, str(outside)), member("v/evil"))
    path = packed(folder, content)
    with pytest.raises(SourceError, match="its member 'v' is neither a plain file nor"):
        unpack_tar(path, folder / "out", PLENTY)
    assert_nothing_is_left(path)
    assert list(outside.iterdir()) == []


def test_refuses_more_bytes_than_acceptable(tmp_path: Path) -> None:
    content = tar_bytes()
    path = packed(tmp_path, content)
    unpack_tar(path, tmp_path / "out", len(content))
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(SourceError, match=rf"more than the {len(content) - 1:,} bytes"):
        unpack_tar(path, tmp_path / "out", len(content) - 1)
    assert_nothing_is_left(path)


@pytest.mark.parametrize(
    "kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME]
)
def test_refuses_to_unpack_without_bound(tmp_path: Path, kind: bytes) -> None:
    """Large files, and large headers, which tarfile reads into memory."""
    info = member("bomb", kind)
    info.size = 100_000_000
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(100):
            file.write(bytes(1_000_000))
    assert path.stat().st_size < 500_000
    with pytest.raises(SourceError, match="it unpacks to more than the 1,048,576 bytes"):
        unpack_tar(path, tmp_path / "out", PLENTY)
    assert_nothing_is_left(path)


def test_refuses_what_follows_the_archive_without_bound(tmp_path: Path) -> None:
    path = packed(tmp_path, tar_bytes() + bytes(2 * PLENTY))
    with pytest.raises(SourceError, match="it unpacks to more than the 1,048,576 bytes"):
        unpack_tar(path, tmp_path / "out", PLENTY)
    assert_nothing_is_left(path)


def test_refuses_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tar_archive._MOST_MEMBERS == 10_000
    monkeypatch.setattr(tar_archive, "_MOST_MEMBERS", 100)
    files = [member(f"{i}", tarfile.DIRTYPE) for i in range(101)]
    path = packed(tmp_path, tar_bytes({}, *files))
    with pytest.raises(SourceError, match="it has more than 100 members"):
        unpack_tar(path, tmp_path / "out", PLENTY)
    assert_nothing_is_left(path)
    unpack_tar(packed(tmp_path, tar_bytes({}, *files[1:])), tmp_path / "out", PLENTY)
    assert len(list((tmp_path / "out").iterdir())) == 100


# ------------------------------------------------------------------------------- damaged


def damaged(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(
        DamagedSourceError,
        match=rf"Cannot unpack '.*module.tar.gz' \(.*{message}.*\): the archive is cut or "
        "damaged. Download or copy it again.",
    ) as raised:
        unpack_tar(path, path.with_name("out"), PLENTY)
    assert raised.value.path == path
    assert_nothing_is_left(path)


def test_cut_archives(tmp_path: Path) -> None:
    path = packed(tmp_path)
    content = path.read_bytes()
    for length in [*range(0, len(content), 97), *range(len(content) - 30, len(content))]:
        damaged(path, content[:length], "")


def test_changed_bytes(tmp_path: Path) -> None:
    path = packed(tmp_path)
    content = path.read_bytes()
    # From the end of gzip's header to the end of its trailer.
    for place in [*range(10, len(content), 41), *range(len(content) - 9, len(content))]:
        changed = bytearray(content)
        changed[place] ^= 0x11
        damaged(path, bytes(changed), "")


def test_the_checksum_in_the_trailer(tmp_path: Path) -> None:
    """tarfile alone stops before it."""
    path = packed(tmp_path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    damaged(path, bytes(content), "CRC check failed")
    content[-5] ^= 1
    content[-1] ^= 1
    damaged(path, bytes(content), "Incorrect length")


def test_archives_that_were_damaged_before_they_were_compressed(tmp_path: Path) -> None:
    path = packed(tmp_path)
    content = tar_bytes()
    changed = bytearray(content)
    changed[content.index(b"variables/variables.data") + 30] ^= 1
    damaged(path, gzip.compress(changed), "a header cannot be read")
    changed[0] ^= 1
    damaged(path, gzip.compress(changed), "bad checksum")
    header = content.index(b"tfhub_module")
    for length, message in ((-500, "end of data"), (0, "no end"), (100, "no end")):
        damaged(path, gzip.compress(content[: header + length]), message)
    damaged(path, gzip.compress(content[: header + 1024]), "no end")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"<html>", "Not a gzipped file"),
        (gzip.compress(b""), "empty file"),
        (gzip.compress(b"<html>"), "truncated header"),
        (gzip.compress(bytes(range(256)) * 40), "invalid header"),
        (gzip.compress(tar_bytes()) + b"more", "Not a gzipped file"),
    ],
    # Not the contents themselves: gzip writes the time into them.
    ids=["nothing", "page", "no-archive", "short", "no-header", "more-behind"],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    damaged(tmp_path / "module.tar.gz", content, message)


def test_headers_without_end(tmp_path: Path) -> None:
    """tarfile calls itself for each."""
    header = tarfile.TarInfo.create_pax_global_header({"comment": "x"})
    damaged(tmp_path / "module.tar.gz", gzip.compress(1000 * header), "recursion")


def test_a_name_with_a_zero_byte(tmp_path: Path) -> None:
    info = member("x")
    info.pax_headers = {"path": "a\0b"}
    content = tar_bytes({}, info, form=tarfile.PAX_FORMAT)
    damaged(tmp_path / "module.tar.gz", gzip.compress(content), "null")


# ------------------------------------------------------------------------ the file system


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half(source: io.BufferedIOBase, file: io.BufferedIOBase) -> None:
        file.write(source.read(100))
        raise OSError(errno.ENOSPC, "No space left on device")

    path = packed(tmp_path)
    monkeypatch.setattr(shutil, "copyfileobj", write_half)
    with pytest.raises(
        SourceError, match=r"Cannot unpack .*No space left on device\): free some space"
    ) as raised:
        unpack_tar(path, tmp_path / "out", PLENTY)
    assert not isinstance(raised.value, DamagedSourceError)
    assert_nothing_is_left(path)


@pytest.mark.parametrize("path", ["nowhere.tar.gz", "directory"])
def test_an_archive_that_cannot_be_opened(tmp_path: Path, path: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(
        SourceError, match=r"Cannot unpack .*\): check the path and its permissions"
    ) as raised:
        unpack_tar(tmp_path / path, tmp_path / "out", PLENTY)
    assert not isinstance(raised.value, DamagedSourceError)
    assert not (tmp_path / "out").exists()


def test_a_target_that_cannot_be_made(tmp_path: Path) -> None:
    path = packed(tmp_path)
    (tmp_path / "file").write_text("kept")
    for target in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(SourceError, match=r"Cannot unpack .*check the path and its pe"):
            unpack_tar(path, target, PLENTY)
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", path.name]
