"""From the handle of a module on TF-Hub or Kaggle to its directory."""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from pathlib import Path
from urllib.parse import urlsplit

from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.hub.tf_hub import import_tensorflow

_KAGGLE_HOSTS = ("kaggle.com", "www.kaggle.com")
_FILES = ("saved_model.pb", "variables/variables.index")


def resolve_handle(handle: str) -> Path:
    """Finds a module in the cache of its hub, or downloads it there.

    Args:
        handle: ``https://tfhub.dev/...`` or the URL of another server that speaks TF-Hub's
            protocol, resolved by ``tensorflow_hub`` (its cache is ``$TFHUB_CACHE_DIR``);
            or ``https://www.kaggle.com/models/...`` or ``kaggle://...`` followed by
            ``owner/model/framework/variation``, resolved by ``kagglehub`` (its cache is
            ``$KAGGLEHUB_CACHE``).

    Returns:
        The module's directory.

    Raises:
        keras_elmo.errors.DamagedSourceError: What was downloaded is no module, or a part
            of one.
        SourceError: The handle cannot be resolved, or what resolves it (``kagglehub``,
            TensorFlow) is not installed.
    """
    parts = urlsplit(handle)
    if parts.scheme == "kaggle":
        return _resolve_kaggle(handle, handle.removeprefix("kaggle://"))
    if parts.hostname in _KAGGLE_HOSTS:
        return _resolve_kaggle(handle, parts.path.removeprefix("/models").strip("/"))
    return _resolve_tf_hub(handle)


def forget_handle(directory: Path) -> None:
    """Removes a module that was resolved and turned out to be damaged."""
    shutil.rmtree(directory, ignore_errors=True)
    # What tensorflow_hub writes beside a module.
    Path(f"{directory}.descriptor.txt").unlink(missing_ok=True)


def _resolve_tf_hub(handle: str) -> Path:
    tf = import_tensorflow(handle)
    import tensorflow_hub

    try:
        path = Path(os.fsdecode(tensorflow_hub.resolve(handle)))
    except (
        OSError,  # no network, no such address, a full disk
        ValueError,
        RuntimeError,
        EOFError,
        zlib.error,
        tarfile.TarError,
        tf.errors.OpError,
    ) as error:
        raise _unresolved(handle, error, "TFHUB_CACHE_DIR") from error
    _check_complete(path, handle)
    return path


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
        path = Path(kagglehub.model_download(model))
    except (
        OSError,  # requests' errors are among these
        ValueError,
        exceptions.BackendError,
        exceptions.CredentialError,
        exceptions.DataCorruptionError,
        exceptions.NotFoundError,
        exceptions.UnauthenticatedError,
    ) as error:
        raise _unresolved(handle, error, "KAGGLEHUB_CACHE") from error
    _check_complete(path, handle)
    return path


def _unresolved(handle: str, error: Exception, variable: str) -> SourceError:
    return SourceError(
        f"Cannot get the module {handle!r} ({type(error).__name__}: {error}). Check the "
        f"handle and the network; or set {variable} to a cache that has the module; or "
        "download and unpack it elsewhere and name its directory as source."
    )


def _check_complete(path: Path, handle: str) -> None:
    # An archive that is cut between two files unpacks without an error.
    missing = [name for name in _FILES if not (path / name).is_file()]
    if missing:
        raise DamagedSourceError(
            f"The module {handle!r} was downloaded to {str(path)!r} and lacks "
            f"{' and '.join(missing)}: it is no TF1 Hub module, or the download was cut. "
            "Check the handle, or delete the directory and try again.",
            path,
        )
