"""Downloads that are cut or changed on the way, hundreds of them, at random places.

Each ends in an error that leaves nothing in the cache, or in a retry that succeeds. An
archive that arrives changed and unpacks to the same files all the same (a date, say) is
not damaged.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from keras_elmo import SourceError
from keras_elmo.weights.download import download
from keras_elmo.weights.sources import load_source
from keras_elmo.weights.tar_archive import unpack_tar
from tests.tiny_models import TINY, saved_model
from tests.weights.file_server import Answer, FileServer, serving

N_DOWNLOADS = 70  # of each kind


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with serving(tmp_path) as running:
        yield running


def zip_file(model: Path) -> bytes:
    path = model.with_name("packed.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("options.json", "weights.hdf5"):
            archive.write(model / name, name)
    return path.read_bytes()


def tar_file(model: Path) -> bytes:
    path = model.with_name("packed.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(model, ".")
    return path.read_bytes()


def hdf5_file(model: Path) -> bytes:
    return (model / "weights.hdf5").read_bytes()


def zip_content(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tar_content(path: Path) -> dict[str, bytes]:
    folder = path.with_name("unpacked")
    unpack_tar(path, folder, 1 << 24)
    content = {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    shutil.rmtree(folder)
    return content


def whole(path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes()}


def cut(content: bytes, rng: random.Random) -> Answer:
    """The connection ends too early; the server may have said how much would come."""
    length = rng.choice([len(content), len(content), -1])
    end = rng.randrange(len(content))
    return Answer(content[:end], length=length, reset=rng.random() < 0.3 and length > 0)


def changed(content: bytes, rng: random.Random) -> Answer:
    """Some bytes are others."""
    body = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        # The ends of files hold their structure: worth as many tries as the middle.
        near = rng.choice([rng.randrange(100), -1 - rng.randrange(100), None])
        place = rng.randrange(len(body)) if near is None else near
        body[place] ^= rng.randint(1, 255)
    return Answer(bytes(body))


def another_size(content: bytes, rng: random.Random) -> Answer:
    """The server has a part of the file, or more than the file."""
    if rng.random() < 0.6:
        return Answer(content[: rng.randrange(len(content))])
    place = rng.randrange(len(content))
    more = rng.randbytes(rng.randint(1, 3000))
    return Answer(content[:place] + more + content[place:])


KINDS = [
    pytest.param("model.zip", zip_file, zip_content, False, id="zip"),
    pytest.param("module.tar.gz", tar_file, tar_content, False, id="tar.gz"),
    pytest.param("weights.hdf5", hdf5_file, whole, True, id="hdf5 of known sha256"),
]


@pytest.mark.parametrize(("name", "pack", "read", "known"), KINDS)
def test_damage_never_reaches_the_cache(
    server: FileServer,
    tmp_path: Path,
    cache: Path,
    name: str,
    pack: Callable[[Path], bytes],
    read: Callable[[Path], dict[str, bytes]],
    known: bool,
) -> None:
    content = pack(saved_model(tmp_path / "model"))
    (tmp_path / name).write_bytes(content)
    expected = read(tmp_path / name)
    sha256 = hashlib.sha256(content).hexdigest() if known else None
    get = partial(download, f"{server.url}/{name}", sha256=sha256)
    rng = random.Random(0)
    outcomes = {"error": 0, "retry": 0, "harmless": 0}
    for i in range(N_DOWNLOADS):
        damage = (cut, changed, another_size)[i % 3]
        n_bad = rng.choice([1, 2, 3, 4, 4, 5])  # there are three retries
        bad = [damage(content, rng) for _ in range(n_bad)]
        server.answers[f"/{name}"] = [*bad, Answer(content)]
        server.requests.clear()
        message = ""
        try:
            path = get()
        except SourceError as error:
            message = str(error)
        if message:
            assert message.startswith(f"Cannot download '{server.url}/{name}' into ")
            assert [file for file in cache.rglob("*") if file.is_file()] == []
            assert (n_bad, len(server.requests)) in ((4, 4), (5, 4))
            outcomes["error"] += 1
            server.answers.clear()
            path = get()  # once the server has recovered
        else:
            arrived_changed = path.read_bytes() != content
            outcomes["harmless" if arrived_changed else "retry"] += 1
            assert damage is changed or not arrived_changed
        assert read(path) == expected
        assert [file for file in cache.rglob("*") if file.is_file()] == [path]
        path.unlink()
    assert min(outcomes["error"], outcomes["retry"]) >= 20
    assert outcomes["harmless"] <= (0 if known else 12), outcomes


def test_hdf5_that_is_cut_or_of_another_size(
    server: FileServer, tmp_path: Path, cache: Path
) -> None:
    """All that can be seen of a file of unknown SHA-256."""
    content = hdf5_file(saved_model(tmp_path / "model"))
    rng = random.Random(1)
    for i in range(30):
        bad = cut(content, rng) if i % 2 else Answer(content[: rng.randrange(len(content))])
        server.answers["/weights.hdf5"] = [bad, bad, bad, bad, Answer(content)]
        with pytest.raises(SourceError, match=r"Cannot download .*weights.hdf5"):
            download(f"{server.url}/weights.hdf5")
        assert [file for file in cache.rglob("*") if file.is_file()] == []
        path = download(f"{server.url}/weights.hdf5")
        assert path.read_bytes() == content
        path.unlink()


@pytest.mark.parametrize(
    "name", ["model.zip", "model.tar.gz", "model/weights.hdf5", "model/options.json"]
)
def test_damage_on_the_disk(
    server: FileServer, tmp_path: Path, cache: Path, name: str
) -> None:
    """The cached file is found to be damaged when it is read, and downloaded again."""
    model = saved_model(tmp_path / "model")
    (tmp_path / "model.zip").write_bytes(zip_file(model))
    (tmp_path / "model.tar.gz").write_bytes(tar_file(model))
    url = f"{server.url}/{name.replace('options.json', 'weights.hdf5')}"
    load_source(url)
    (path,) = cache.rglob(Path(name).name)
    path.write_bytes(path.read_bytes()[:100])
    assert load_source(url).config == TINY
    assert path.read_bytes() == (tmp_path / name).read_bytes()
