"""Resolves handles of modules on TF-Hub and Kaggle to archives or directories."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from keras_elmo.errors import SourceError
from keras_elmo.weights.cache import split_url
from keras_elmo.weights.download import download

_KAGGLE = "kaggle://"
_KAGGLE_HOSTS = ("kaggle.com", "www.kaggle.com")


def resolve_handle(handle: str) -> Path:
    """The directory or ``.tar.gz`` archive of a module, from a cache or downloaded.

    Handles on Kaggle are ``https://www.kaggle.com/models/owner/model/framework/variation``
    and ``kaggle://owner/model/framework/variation``; all others use TF-Hub's protocol.
    """
    if handle.startswith(_KAGGLE):
        return _resolve_kaggle(handle, handle.removeprefix(_KAGGLE))
    parts = split_url(handle)
    if parts.hostname in _KAGGLE_HOSTS:
        return _resolve_kaggle(handle, parts.path.removeprefix("/models").strip("/"))
    if cache := os.environ.get("TFHUB_CACHE_DIR"):
        module = Path(cache, hashlib.sha1(handle.encode()).hexdigest())
        if module.is_dir():
            return module
    query = urlencode([*parse_qsl(parts.query), ("tf-hub-format", "compressed")])
    url = parts._replace(query=query).geturl()
    try:
        return download(url, name="module.tar.gz", address=handle)
    except SourceError as error:
        raise SourceError(
            f"Cannot get the module {handle!r}: {error} Or set TFHUB_CACHE_DIR to a cache "
            "of tensorflow_hub that has the module. The source 'mini' works offline: a "
            "small English model that comes with keras-elmo, for first tests and for film "
            "reviews."
        ) from error


def _resolve_kaggle(handle: str, model: str) -> Path:
    try:
        import kagglehub
        from kagglehub import exceptions
    except ImportError as error:
        raise SourceError(
            f"source {handle!r}: modules on Kaggle need kagglehub: "
            "pip install 'keras-elmo[kaggle]'."
        ) from error
    try:
        return Path(kagglehub.model_download(model))
    except (
        OSError,  # requests' errors are among these
        ValueError,
        exceptions.BackendError,
        exceptions.CredentialError,
        exceptions.DataCorruptionError,
        exceptions.NotFoundError,
        exceptions.UnauthenticatedError,
    ) as error:
        raise SourceError(
            f"Cannot get the module {handle!r} ({type(error).__name__}: {error}). Check "
            "the handle and the network; or set KAGGLEHUB_CACHE to a cache that has the "
            "module; or download it elsewhere and pass its directory as source."
        ) from error
