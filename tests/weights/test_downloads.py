"""Files and models from the web, from servers that behave and from others."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import hashlib
import io
import os
import random
import shutil
import socket
import stat
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pooch
import pytest

from keras_elmo import ElmoConfig, SourceError
from keras_elmo.hub.sources import load_source
from keras_elmo.weights import download as download_module
from keras_elmo.weights import named_models
from keras_elmo.weights.cache import cache_directory, forget, is_cached
from keras_elmo.weights.download import download, download_named_model
from keras_elmo.weights.named_models import MODELS, NamedModel, address_of, list_models
from tests.fuzzing.mutations import mutated
from tests.weights.checks import assert_loads, changed, files_in
from tests.weights.file_server import Answer, FileServer, serving

pytestmark = pytest.mark.usefixtures("cache")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------------------ models


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("model.zip", ["model.zip"]),
        ("model.zip?download=1", ["model.zip"]),
        ("module.tar.gz", ["module.tar.gz"]),
        ("module.tgz", ["module.tgz"]),
        ("model/weights.hdf5", ["options.json", "weights.hdf5"]),
        ("prefixed/x_weights.hdf5", ["x_options.json", "x_weights.hdf5"]),
        ("prefixed/x_weights.h5", ["x_options.json", "x_weights.h5"]),
    ],
)
def test_a_model_is_downloaded_once(
    www: Path, cache: Path, name: str, files: list[str]
) -> None:
    with serving(www) as server:
        url = f"{server.url}/{name}"
        for _ in range(2):
            assert_loads(url)
            assert len(server.requests) == len(files)
    assert_loads(url)  # without the server
    (folder,) = cache.iterdir()
    assert folder.name == sha256(url.encode())[:16]
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == files
    assert all(headers["Accept-Encoding"] == "identity" for headers in server.headers)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        *((f"{scheme}://127.0.0.1/model.zip", "") for scheme in ("ftp", "file", "gs")),
        ("s3://elmo", ""),
        ("http:///model.zip", ""),
        ("http://[::1/model.zip", ""),
        ("http://127.0.0.1", "does not end in the name of a file"),
        ("http://127.0.0.1/a/", "does not end in the name of a file"),
        ("http://127.0.0.1/a/..", "does not end in the name of a file"),
        ("http://127.0.0.1:99999/model.zip", "Cannot download .*99999.*Check the address"),
    ],
)
def test_urls_of_no_file(url: str, message: str) -> None:
    with pytest.raises(SourceError, match=message or r"source '.*': expected an http\(s\)"):
        download(url)
    if not message:
        with pytest.raises(SourceError, match=r"source '.*': expected an http\(s\) URL"):
            load_source(url)


def test_no_options_and_no_network(server: FileServer, cache: Path) -> None:
    server.answers["/model/options.json"] = [Answer(status=404)]
    with pytest.raises(SourceError, match=r"Cannot download '.*/model/options.json'"):
        load_source(f"{server.url}/model/weights.hdf5")
    assert server.requests == ["/model/options.json"]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/elmo_weights.hdf5"
        message = r"Cannot download .*elmo_options.json.*pass its path as source"
        with pytest.raises(SourceError, match=message):
            load_source(url)
    assert files_in(cache) == {}


# ------------------------------------------------------------------------------- files


def test_usual_permissions_and_a_progress_bar(
    server: FileServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "usual").touch()
    path = download(f"{server.url}/model.zip")
    assert stat.S_IMODE(path.stat().st_mode) == (tmp_path / "usual").stat().st_mode & 0o777
    assert "100%" in capfd.readouterr().err
    download(f"{server.url}/model.zip")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(server: FileServer, www: Path, status: int) -> None:
    """The content of one, which has no end that requests would wait for, is not read."""
    target = {"Location": f"{server.url}/v2"}
    server.answers["/latest.zip"] = [Answer(b"x" * 100, status, target, length=1 << 40)]
    server.redirect("/v2", "/model.zip", status)
    path = download(f"{server.url}/latest.zip")
    assert path.name == "latest.zip"
    assert path.read_bytes() == (www / "model.zip").read_bytes()
    assert server.requests == ["/latest.zip", "/v2", "/model.zip"]


@pytest.mark.parametrize("known", [True, False])
def test_a_known_file(server: FileServer, www: Path, known: bool) -> None:
    content = (www / "model" / "weights.hdf5").read_bytes()
    checksum = sha256(content).upper() if known else None
    url = f"{server.url}/model/weights.hdf5"
    for bad in (b"", content[:-1], content + b"x", bytes(len(content))):
        path = download(url, sha256=checksum, size=len(content))
        assert path.read_bytes() == content
        # What was changed on the disk is found by its size, or else by its SHA-256.
        if known or len(bad) != len(content):
            path.write_bytes(bad)
            server.requests.clear()
            assert download(url, sha256=checksum, size=len(content)) == path
            assert path.read_bytes() == content
            assert len(server.requests) == 1


def test_two_at_once(server: FileServer, cache: Path, www: Path) -> None:
    # Neither gets its file before the other has asked for it too.
    content = (www / "model.zip").read_bytes()
    server.answers["/model.zip"] = [Answer(content, together=threading.Barrier(2))]
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(download, 2 * [f"{server.url}/model.zip"])
    assert len(server.requests) == 2
    assert first == second
    assert [*files_in(cache).values()] == [content]


def test_another_process_had_more_luck(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(files: pooch.Pooch, name: str, **_: object) -> str:
        files.path.mkdir(parents=True)
        (files.path / name).write_bytes(b"the other's")
        raise PermissionError(errno.EACCES, "in use")  # as on Windows

    monkeypatch.setattr(pooch.Pooch, "fetch", fetch)
    assert download(f"{server.url}/nothing.zip").read_bytes() == b"the other's"


# --------------------------------------------------------------------------- bad answers

PAGE = Answer(b"<html>Please log in.</html>")
PART = b"PK\x03\x04" + bytes(5000)
NO_ZIP = "not a complete .zip file: File is not a zip file"
NO_GZIP = "not a complete .tar.gz or .tgz file: Not a gzipped file"
NO_HDF5 = "not a complete .hdf5 or .h5 file: .*file signature not found"
NO_JSON = "not a complete .json file: Expecting value"
PAGES = {"zip": NO_ZIP, "ZIP": NO_ZIP, "tar.gz": NO_GZIP, "tgz": NO_GZIP}
PAGES |= {"hdf5": NO_HDF5, "h5": NO_HDF5, "json": NO_JSON}
EMPTY, MANY = "downloaded file is empty", "more bytes than expected"
RESET = "ConnectionResetError"
ANNOUNCED = "the file has 1099511627776 bytes; expected at most 1,000,000"
ENCODED = Answer(gzip.compress(bytes(10**7)), headers={"Content-Encoding": "gzip"})


def zip_with(name: str, content: bytes) -> Answer:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return Answer(file.getvalue())


def redirect(target: str) -> Answer:
    return Answer(status=302, headers={"Location": target})


# The suffix of the file, the answer, the message, and whether another try may help.
BAD_ANSWERS: dict[str, tuple[str, Answer, str, bool]] = {
    **{
        str(status): ("zip", Answer(status=status), f"server answered {status} ", False)
        for status in (401, 403, 404, 410, 204)
    },
    **{
        str(status): ("zip", Answer(status=status), f"{status} .* Error", True)
        for status in (500, 502, 503, 429, 408)
    },
    "part": ("zip", Answer(PART, status=206), "server answered 206 Partial Con", False),
    "cut": ("zip", Answer(PART, length=100_000), "IncompleteRead", True),
    "cut at once": ("zip", Answer(b"", length=100_000), "IncompleteRead", True),
    "reset": ("zip", Answer(PART, length=100_000, reset=True), RESET, True),
    "reset at once": ("zip", Answer(b"", length=100_000, reset=True), RESET, True),
    "slow": ("zip", Answer(b"PK", wait=2.0), "timed out", True),
    "empty": ("zip", Answer(b""), EMPTY, True),
    "empty, unknown": ("bin", Answer(b""), EMPTY, True),
    "empty, no length": ("zip", Answer(b"", length=-1), EMPTY, True),
    **{f"page for {kind}": (kind, PAGE, no, True) for kind, no in PAGES.items()},
    "zip bomb": ("zip", zip_with("a", bytes(1_000_001)), "unpacks to 1,000,001 by", True),
    "gzip bomb": ("tgz", Answer(gzip.compress(bytes(1_000_001))), "than the 1,000,0", True),
    "evil zip": ("zip", zip_with("../evil", b""), "member '../evil' points out of", True),
    "encoded": ("zip", ENCODED, "the server answered in the encoding 'gzip'", False),
    "announces much": ("bin", Answer(b"", length=1 << 40), ANNOUNCED, False),
    "sends much": ("bin", Answer(bytes(1_000_001), length=-1), MANY, False),
    "large options": ("json", Answer(bytes(2_000_000), length=-1), MANY, False),
    "to a file": ("zip", redirect("file:///etc/passwd"), "No connection adap", True),
    "in a circle": ("zip", redirect("/a.zip"), "30 redirects", True),
}


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_bad_answers(
    server: FileServer,
    www: Path,
    cache: Path,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    suffix, answer, message, may_help = BAD_ANSWERS[kind]
    if kind == "slow":  # not for the others, on a busy machine
        monkeypatch.setattr(download_module, "_TIMEOUT", 0.6)
    for module in ("zip_archive", "tar_archive", "download"):
        monkeypatch.setattr(f"keras_elmo.weights.{module}.MOST_BYTES", 1_000_000)
    url, tries = f"{server.url}/a.{suffix}", 4 if may_help else 1
    server.answers[f"/a.{suffix}"] = [answer]
    message = rf"Cannot download '{url}' into '.*' \(.*{message}.*\)\. Check"
    with pytest.raises(SourceError, match=message):
        download(url)
    assert files_in(cache) == {}
    assert pauses == [1, 2, 3][: tries - 1]
    if kind == "in a circle":
        return
    assert len(server.requests) == tries
    if suffix == "zip" and may_help:  # and once the server has recovered
        good = (www / "model.zip").read_bytes()
        server.answers["/a.zip"] = [answer, answer, Answer(good)]
        assert download(url).read_bytes() == good
        assert len(files_in(cache)) == 1


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("model.zip", False),
        ("module.tar.gz", False),
        ("model/weights.hdf5", True),
        ("model/weights.hdf5", False),  # cuts are all that can be seen
    ],
)
def test_damage_never_reaches_the_cache(
    server: FileServer, www: Path, cache: Path, name: str, is_known: bool
) -> None:
    """An error that leaves nothing, or a retry that succeeds."""
    content = (www / name).read_bytes()
    checksum = sha256(content) if is_known else None
    url, rng, n_errors = f"{server.url}/{name}", random.Random(0), 0

    def damaged() -> Answer:
        if rng.random() < 0.6 and (is_known or not name.endswith("hdf5")):
            return Answer(mutated(content, rng))
        length = rng.choice([len(content), -1])  # the server may say how much would come
        cut, is_reset = content[: rng.randrange(len(content))], rng.random() < 0.3
        return Answer(cut, length=length, reset=length > 0 and is_reset)

    for _ in range(45):
        n_bad = rng.choice([1, 2, 3, 4, 4, 5])  # there are three retries
        server.answers[f"/{name}"] = [*(damaged() for _ in range(n_bad)), Answer(content)]
        try:
            path = download(url, sha256=checksum)
        except SourceError:
            n_errors += 1
            assert files_in(cache) == {}
            assert n_bad >= 4
            server.answers.clear()
            path = download(url, sha256=checksum)  # once the server has recovered
        assert len(files_in(cache)) == 1
        # An archive may have another date, say, and be whole all the same.
        if path.read_bytes() != content:
            assert path.suffix in (".zip", ".gz")
            assert_loads(path)
        shutil.rmtree(cache)
    assert 12 <= n_errors <= 33


# ---------------------------------------------------------------------------- the cache


def test_cache_directory(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_directory() == cache
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("KERAS_ELMO_CACHE", "~/models")
    assert cache_directory() == Path("/somewhere/models")
    monkeypatch.setenv("KERAS_ELMO_CACHE", "")
    assert cache_directory().name == "keras-elmo"
    monkeypatch.delenv("KERAS_ELMO_CACHE")
    assert cache_directory().name == "keras-elmo"


def test_a_cache_that_cannot_be_made(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setenv("KERAS_ELMO_CACHE", str(tmp_path / "file" / "cache"))
    message = r"Cannot download .*Not a directory.*Set KERAS_ELMO_CACHE to a directory"
    with pytest.raises(SourceError, match=message):
        download(f"{server.url}/model.zip")
    assert (tmp_path / "file").read_text() == "not a directory"
    assert server.requests == []


def test_a_cache_that_is_read_only(server: FileServer, cache: Path) -> None:
    path = download(f"{server.url}/model.zip")
    path.chmod(0o400)
    path.parent.chmod(0o500)
    cache.chmod(0o500)
    try:
        assert_loads(f"{server.url}/model.zip")
        if not os.access(cache, os.W_OK):  # root may write everywhere
            with pytest.raises(SourceError, match=r"Permission denied.*Set KERAS_ELMO"):
                download(f"{server.url}/module.tgz")
    finally:
        cache.chmod(0o700)
        path.parent.chmod(0o700)


def test_a_full_disk(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(_: object, url: str, file: object, files: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", write_half)
    message = r"Cannot download .*No space left on device\)\. Free some space, or set K"
    with pytest.raises(SourceError, match=message):
        download(f"{server.url}/model.zip")
    assert files_in(cache) == {}


@pytest.mark.parametrize(
    ("name", "file", "n_requests"),
    [
        ("model.zip", "model.zip", 2),
        ("module.tar.gz", "weights.hdf5", 2),  # where it was unpacked
        ("model/weights.hdf5", "weights.hdf5", 4),
        ("model/weights.hdf5", "options.json", 4),
    ],
)
def test_damage_on_the_disk(
    server: FileServer, cache: Path, name: str, file: str, n_requests: int
) -> None:
    """It is found when the file is read; everything of the source is downloaded again."""
    load_source(f"{server.url}/{name}")
    (path,) = cache.rglob(file)
    content = path.read_bytes()
    path.write_bytes(content[:100])
    assert_loads(f"{server.url}/{name}")
    assert path.read_bytes() == content
    assert len(server.requests) == n_requests


def test_damaged_options_of_the_users_own(
    server: FileServer, cache: Path, tmp_path: Path
) -> None:
    """The weights, which are whole, are not downloaded again."""
    (tmp_path / "own.json").write_text("{")
    for _ in range(2):
        with pytest.raises(SourceError, match=r"Cannot use the options .*own\.json"):
            load_source(f"{server.url}/model/weights.hdf5", options=tmp_path / "own.json")
    assert server.requests == ["/model/weights.hdf5"]


def test_forget(server: FileServer, cache: Path, tmp_path: Path) -> None:
    """Links that lead out of the cache are removed, and not what they lead to."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "file").write_text("kept")
    url, other = f"{server.url}/model.zip", download(f"{server.url}/module.tgz")
    assert not forget(url)
    (download(url).parent / "link").symlink_to(tmp_path / "own")
    assert forget(url)
    assert [*files_in(cache)] == [f"{other.parent.name}/{other.name}"]
    assert (tmp_path / "own" / "file").read_text() == "kept"


def test_only_the_cache_is_changed(
    server: FileServer, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path with ``://`` in it is not an address, and links in the cache lead nowhere."""
    monkeypatch.chdir(tmp_path)
    own = Path("mirror", "https://host", "elmo")
    own.mkdir(parents=True)
    files = {"model.zip": b"damaged", "options.json": b"{", "weights.hdf5": b"damaged"}
    for name, content in files.items():
        (own / name).write_bytes(content)
    for source in ("mirror/https://host/elmo", "mirror/https://host/elmo/model.zip"):
        with pytest.raises(SourceError, match="Cannot"):
            load_source(source)
    url = f"{server.url}/model.zip"
    folder = download(url).parent
    shutil.rmtree(folder)
    folder.symlink_to(own.absolute())
    with pytest.raises(SourceError, match=r"' is a link\. Delete it\."):
        load_source(url)
    folder.unlink()
    # A link of the file's name is replaced, and what it leads to is left.
    folder.mkdir()
    (folder / "model.zip").symlink_to((own / "model.zip").absolute())
    (folder / "unpacked").symlink_to(own.absolute())
    assert_loads(url)
    assert files_in(own) == files


# ------------------------------------------------------------------------- named models

# The shape, and the bytes and SHA-256 where they are known.
ORIGINAL = "a6b92b9ccbb13fe489faacd2221c795d4bebe84b75f8aded9d85ea464fa5c994"
SMALL = "747ba97abce8a5f446558369e10bb0f7931437a46867476fdd156f5d7f576229"
LANGUAGES = {"English", "Portuguese", "Japanese", "German", "Basque", "proteins"}
KNOWN = {
    "original": ("2x4096_512_2048cnn_2xhighway", 374_434_792, ORIGINAL),
    "original-5.5b": ("2x4096_512_2048cnn_2xhighway_5.5B", None, None),
    "medium": ("2x2048_256_2048cnn_1xhighway", None, None),
    "small": ("2x1024_128_2048cnn_1xhighway", 54_402_456, SMALL),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_released_model(name: str) -> None:
    """Its address, size and SHA-256, and what its shape says of the others."""
    model, (shape, size, checksum) = MODELS[name], KNOWN[name]
    base = f"https://allennlp.s3.amazonaws.com/models/elmo/{shape}/elmo_{shape}"
    assert model.weights_url == f"{base}_weights.hdf5"
    assert model.options_url == f"{base}_options.json"
    assert (model.size, model.sha256) == (size, checksum)
    assert "10.18653/v1/N18-1202" in model.citation
    assert "github.com/allenai/allennlp/issues/1462" in model.license
    assert model.embedded_path is None
    dim, projection_dim, highway = (
        int(shape.split("_")[i].split("x")[part]) for i, part in ((0, 1), (1, 0), (3, 0))
    )
    config = ElmoConfig(dim=dim, projection_dim=projection_dim, n_highway=highway)
    assert model.description.startswith(f"{config.n_parameters / 1e6:.1f} million")
    if size is not None:
        assert 0 < size - 4 * config.n_parameters < 40_000


def test_the_list_of_models() -> None:
    mini, *others = list_models()
    assert [model.name for model in others][: len(KNOWN)] == [*KNOWN]
    assert (mini, *others) == tuple(MODELS.values())
    assert "aclanthology.org/P11-1015" in mini.citation
    assert mini.license.startswith("Apache-2.0")
    assert is_cached(mini)
    assert len({model.weights_url for model in others}) == len(others)
    for model in others:
        for url, end in ((model.weights_url, ".hdf5"), (model.options_url, ".json")):
            assert str(url).startswith("http")
            assert str(url).endswith(end)
    assert {model.language for model in others} == LANGUAGES
    assert all(m.origin and m.license and m.citation for m in others)
    found = [model.name for model in list_models("portuguese")]
    assert found == ["portuguese", "portuguese-brwac"]
    with pytest.raises(ValueError, match=r"no named model has the language 'Greek'. There"):
        list_models(language="Greek")
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        mini.size = 0  # type: ignore[misc]


def test_a_model_by_its_number(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert address_of("nlpl:136") == "http://vectors.nlpl.eu/repository/11/136.zip"
    assert address_of("nlpl:180") == "http://vectors.nlpl.eu/repository/20/180.zip"
    assert address_of("nlpl:") == "nlpl:"
    server.redirect("/11/136.zip", f"{server.url}/model.zip")
    monkeypatch.setattr(named_models, "_NLPL_URL", f"{server.url}/{{}}/{{}}.zip")
    path = assert_loads("nlpl:136")
    assert path.is_relative_to(cache)
    path.write_bytes(path.read_bytes()[:-9])  # damaged in the cache: downloaded again
    assert_loads("nlpl:136")


@pytest.fixture
def tiny(server: FileServer, www: Path, monkeypatch: pytest.MonkeyPatch) -> NamedModel:
    """A model of that name, as if the server on this machine were AllenNLP's."""
    content = (www / "prefixed" / "x_weights.hdf5").read_bytes()
    model = dataclasses.replace(
        MODELS["small"],
        name="tiny",
        weights_url=f"{server.url}/prefixed/x_weights.hdf5",
        options_url=f"{server.url}/model/options.json",  # under another name
        size=len(content),
        sha256=sha256(content),
    )
    monkeypatch.setitem(MODELS, "tiny", model)
    return model


@pytest.mark.parametrize("known", [True, False])
def test_a_named_model(
    tiny: NamedModel, server: FileServer, cache: Path, known: bool
) -> None:
    if not known:
        MODELS["tiny"] = tiny = dataclasses.replace(tiny, size=None, sha256=None)
    assert not is_cached(tiny)
    for _ in range(2):
        weights = assert_loads("tiny")
        assert server.requests == ["/model/options.json", "/prefixed/x_weights.hdf5"]
    assert is_cached(tiny)
    folder = weights.parent.name
    assert [*files_in(cache)] == [f"{folder}/x_options.json", f"{folder}/x_weights.hdf5"]
    # The same file, named by its address.
    assert assert_loads(str(tiny.weights_url)) == weights
    assert len(server.requests) == 2
    # Damaged on the disk: only its SHA-256 finds a changed number.
    content = weights.read_bytes()
    for bad in [content[:-1], changed(content, -3)][: 1 + known]:
        weights.write_bytes(bad)
        assert_loads("tiny")
        assert weights.read_bytes() == content
    weights.write_bytes(content[:-1])
    server.answers["/prefixed/x_weights.hdf5"] = [Answer(status=404)]
    with pytest.raises(SourceError, match=r"Cannot (download|read) .*x_weights.hdf5'"):
        load_source("tiny")


@pytest.mark.parametrize(
    ("change", "message", "n_requests"),
    [
        ({"sha256": "0" * 64}, "SHA256 hash .* expected 0{64} but got [0-9a-f]{64}", 5),
        ({"size": 10**6}, r"expected 1,000,000 bytes, found \d\d,\d\d\d\)", 5),
        ({"size": 7}, r"the file has \d+ bytes; expected at most 7\)", 2),
        ({"weights_url": "/no_weights.hdf5"}, "answered 404", 2),
        ({"options_url": "/no_options.json"}, "answered 404", 1),
    ],
)
def test_a_named_model_whose_file_is_another(
    tiny: NamedModel,
    server: FileServer,
    cache: Path,
    change: dict[str, Any],
    message: str,
    n_requests: int,
) -> None:
    change = {k: server.url + v if k.endswith("url") else v for k, v in change.items()}
    message = rf"Cannot download 'http.*{message}.*\. Check the address"
    with pytest.raises(SourceError, match=message):
        download_named_model(dataclasses.replace(tiny, **change))
    assert len(server.requests) == n_requests
    assert not list(cache.rglob("*.hdf5"))


def test_mini_that_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras_elmo.weights.named_models._PACKAGE_DATA", tmp_path)
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini/weights.hdf5").write_bytes(bytes(MODELS["mini"].size or 0))
    with pytest.raises(SourceError, match=r"'mini': '.*' is not the file that comes with"):
        load_source("mini")
