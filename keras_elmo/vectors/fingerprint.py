"""Fingerprints: all that vectors depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer

Fingerprint = dict[str, Any]

# These do not change the vectors. All other options might, in later versions too. The
# texts are split before the layer reads them.
_NO_MATTER = (
    *("name", "trainable", "fine_tune", "stateful", "pad_token", "dtype"),
    *("input_mode", "split"),
)


def fingerprint(layer: ElmoEmbeddingLayer, texts: str, **options: Any) -> Fingerprint:
    """All that vectors depend on, as a dictionary for JSON; ``texts`` is a digest."""
    result = {
        **options,
        "texts": texts,
        "weights": digest(_weights(layer)),
        "compute_dtype": layer.compute_dtype,
        **{k: v for k, v in layer.get_config().items() if k not in _NO_MATTER},
    }
    if lexicon := result["source"].get("lexicon"):  # which may have megabytes
        lexicon = digest(f"{name} {text}".encode() for name, text in lexicon.items())
        result["source"] = {**result["source"], "lexicon": lexicon}
    return json.loads(json.dumps(result))


def differences(found: Fingerprint, wanted: Fingerprint) -> list[str]:
    """The names of what differs, with short values."""
    result = []
    for name in sorted(found.keys() | wanted.keys()):
        old, new = found.get(name), wanted.get(name)
        if old != new:
            is_short = max(len(repr(old)), len(repr(new))) < 20
            result.append(f"{name} ({old!r}, now {new!r})" if is_short else name)
    return result


def _weights(layer: ElmoEmbeddingLayer) -> Iterable[bytes]:
    for variable in layer.weights:
        array = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        yield f"{array.dtype} {array.shape}".encode()
        yield array.tobytes()
    # The weights of a TF1 Hub module are in its own graph.
    if folder := getattr(layer.bilm, "directory", None):
        for path in [folder / "saved_model.pb", *sorted((folder / "variables").iterdir())]:
            yield path.name.encode()
            yield path.read_bytes()


def digest(parts: Iterable[bytes]) -> str:
    """The SHA-256 of parts in hexadecimal digits; it depends on their boundaries."""
    running = hashlib.sha256()
    for part in parts:
        # The length distinguishes ("ab", "c") from ("a", "bc").
        running.update(len(part).to_bytes(8, "little"))
        running.update(part)
    return running.hexdigest()
