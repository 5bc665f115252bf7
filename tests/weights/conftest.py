"""A server on this machine, to download from."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.tiny_models import saved_model
from tests.weights.file_server import FileServer, serving


@pytest.fixture
def www(tmp_path: Path) -> Path:
    """The files that the server has: one model in each of its forms."""
    folder = tmp_path / "www"
    model = saved_model(folder / "model")
    with zipfile.ZipFile(folder / "model.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in model.iterdir():
            archive.write(path, path.name)
    for name in ("module.tar.gz", "module.tgz"):
        with tarfile.open(folder / name, "w:gz") as tar:
            tar.add(model, ".")
    prefixed = folder / "prefixed"
    prefixed.mkdir()
    (prefixed / "x_options.json").write_bytes((model / "options.json").read_bytes())
    for name in ("x_weights.hdf5", "x_weights.h5"):
        (prefixed / name).write_bytes((model / "weights.hdf5").read_bytes())
    return folder


@pytest.fixture
def server(www: Path) -> Iterator[FileServer]:
    with serving(www) as running:
        yield running


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that pooch would have waited before each retry."""
    waited: list[float] = []
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=waited.append))
    return waited
