"""Compares our stages with a TF1 Hub module's own graph on the same sentences."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import MIX_GAMMA, MIX_WEIGHTS, ElmoConfig
from keras_elmo.errors import SourceError, VerificationError
from keras_elmo.hub.module import load_module, without_states
from keras_elmo.hub.sources import load_path, load_source
from keras_elmo.hub.tf_hub import is_tf_hub_module
from keras_elmo.layers import ElmoBiLM
from keras_elmo.layers.arrays import create_from_arrays
from keras_elmo.text.characters import batch_to_character_ids
from keras_elmo.types import Arrays, PathLike
from keras_elmo.weights.atomic import replacing
from keras_elmo.weights.cache import cache_directory
from keras_elmo.weights.locate import read_located
from keras_elmo.weights.sources import Model

VERIFY_VARIABLE = "KERAS_ELMO_VERIFY"

TOLERANCE = 1e-4
"""The largest accepted difference, relative to the output's largest value."""

MOST_SECONDS = 600.0
"""The time limit for a module. A large one takes a few seconds on two cores."""

# Plain and unusual sentences: one character, over 48 bytes, several bytes per character,
# white space other than the space, one token and many.
PROBES = (
    "the cat is on the mat",
    "Bank",
    "He sat on the bank of the river , and the bank was closed .",
    "naïve café 北京 🙂 русский don't",
    "supercalifragilisticexpialidocious-and-then-some-more-until-it-is-cut x",
    "tab\there 1,234.5 ( [ \" ' @ # % & * _ ] ) http://a.b/c?d=e",
    " ".join(["We", "went", "on", "and", "on", "until", "they", "came", "."] * 4),
)


@dataclasses.dataclass(frozen=True)
class Verification:
    """The result of a comparison.

    Attributes:
        path: The module's directory.
        errors: The largest difference of each output, relative to its largest value, under
            names such as ``"tokens/elmo"``.
    """

    path: Path
    errors: Mapping[str, float]


def verify(source: PathLike) -> Verification:
    """Runs a TF1 Hub module's own signatures and compares all outputs with ours.

    Args:
        source: The directory, ``.tar.gz`` archive or handle of a module.

    Returns:
        The largest relative difference of each output of each signature.

    Raises:
        VerificationError: An output differs by more than ``TOLERANCE``.
        SourceError: The source could not be loaded, is not a TF1 Hub module, or its graph
            cannot be run.
    """

    def compare(path: Path) -> Verification:
        if not is_tf_hub_module(path):
            raise SourceError(
                f"source {os.fspath(source)!r} is not a TF1 Hub module: it has no graph to "
                "compare with."
            )
        return verify_module(path, *load_path(path, os.fspath(source)))

    return read_located(source, compare)


def load_verified(source: PathLike, options: PathLike | None = None) -> Model:
    """Finds and reads a model; a TF1 Hub module is verified once per machine.

    The environment variable ``KERAS_ELMO_VERIFY=0`` turns verification off.
    """
    return load_source(source, _verify_once, options)


def _verify_once(model: Model) -> None:
    if not is_tf_hub_module(model.path) or os.environ.get(VERIFY_VARIABLE) == "0":
        return
    # The content of a module: its graph, and the index with all checksums.
    digest = hashlib.sha256()
    for name in ("saved_model.pb", "variables/variables.index"):
        digest.update((model.path / name).read_bytes())
    note = cache_directory() / "verified" / digest.hexdigest()
    if note.is_file():
        return
    verify_module(model.path, model.config, model.arrays)
    with suppress(OSError):  # the next run only verifies it again
        note.parent.mkdir(parents=True, exist_ok=True)
        with replacing(note) as written:
            written.write_text(f"{model.path}\n", encoding="utf-8")


def verify_module(path: Path, config: ElmoConfig, arrays: Arrays) -> Verification:
    """Compares a module's outputs with those of our stages."""
    tokens = [[t for t in sentence.split(" ") if t] for sentence in PROBES]
    mask = np.arange(max(map(len, tokens))) < np.array([[len(row)] for row in tokens])
    expected = _our_outputs(config, arrays, tokens, mask)
    errors = {}
    for name, output in _module_outputs(path, tokens, mask).items():
        if references := expected.get(name.split("/")[1]):
            errors[name] = min(_relative_error(output, ours, mask) for ours in references)
    wrong = {name: error for name, error in errors.items() if not error <= TOLERANCE}
    if wrong:
        listed = ", ".join(f"{name} by {error:.1e}" for name, error in wrong.items())
        raise VerificationError(
            f"The layer does not compute what the module in {str(path)!r} computes. "
            f"Relative to their largest values, these outputs differ: {listed}; at most "
            f"{TOLERANCE:.0e} is accepted. The module does not have ELMo's published "
            "architecture: use engine='hub', which runs its own graph. If you downloaded "
            "the module, it may be damaged: delete the directory and try again."
        )
    return Verification(path, errors)


def _our_outputs(
    config: ElmoConfig, arrays: Arrays, tokens: list[list[str]], mask: NDArray[np.bool_]
) -> dict[str, list[NDArray[Any]]]:
    """All accepted values of each output."""
    # Keras draws seeds for initial values from Python's generator. Verification must not
    # change the random numbers of a program that fixes its seed.
    generator = random.getstate()
    bilm = ElmoBiLM(config, name="verified", dtype="float32")
    create_from_arrays(bilm, dict(arrays))  # this removes arrays from the dictionary
    random.setstate(generator)
    ids = batch_to_character_ids(tokens, config.max_characters_per_token)
    layers = keras.ops.convert_to_numpy(bilm(ids))  # (batch, time, n_layers + 1, D)
    outputs = {
        "word_emb": [layers[:, :, 0, : config.projection_dim]],
        "lstm_outputs1": [layers[:, :, 1]],
        "lstm_outputs2": [layers[:, :, -1]],
    }
    if MIX_WEIGHTS in arrays:
        exponents = np.exp(arrays[MIX_WEIGHTS] - np.max(arrays[MIX_WEIGHTS]))
        mixed = np.einsum("btkd,k->btd", layers, exponents / exponents.sum())
        gamma = arrays.get(MIX_GAMMA, np.float32(1))
        pooled = mixed.sum(axis=1) / mask.sum(axis=1)[:, None]  # (batch, D)
        # Some exporters omit gamma from the default output.
        outputs |= {"elmo": [gamma * mixed], "default": [gamma * pooled, pooled]}
    return outputs


def _module_outputs(
    path: Path, tokens: list[list[str]], mask: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    import tensorflow as tf

    module = load_module(path)
    padded = [row + [""] * (mask.shape[1] - len(row)) for row in tokens]
    inputs = {
        "default": [tf.constant(PROBES)],
        "tokens": [tf.constant(mask.sum(axis=1), tf.int32), tf.constant(padded)],
    }
    outputs: dict[str, NDArray[Any]] = {}
    try:
        with _time_limit() as limited:
            for name in inputs.keys() & module.signatures.keys():
                found = limited(without_states(module.signatures[name]))(*inputs[name])
                outputs |= {f"{name}/{key}": x.numpy() for key, x in found.items()}
    except (OSError, ValueError, RuntimeError, TypeError, tf.errors.OpError) as error:
        problem = f"{type(error).__name__}: {error!s:.300}"
        if isinstance(error, tf.errors.CancelledError):
            problem = f"it runs for over {MOST_SECONDS:g} seconds"
        raise SourceError(
            f"The module in {str(path)!r} cannot be verified, because its graph does not "
            f"run ({problem}). To load it anyway, set the environment variable "
            f"{VERIFY_VARIABLE}=0."
        ) from error
    return outputs


@contextmanager
def _time_limit() -> Iterator[Any]:
    """Ends TensorFlow functions with an error when their common time is up."""
    from tensorflow.python.eager import cancellation  # it has no public name

    manager = cancellation.CancellationManager()
    timer = threading.Timer(MOST_SECONDS, manager.start_cancel)
    timer.daemon = True
    timer.start()
    try:
        yield manager.get_cancelable_function
    finally:
        timer.cancel()


def _relative_error(
    found: NDArray[Any], expected: NDArray[Any], mask: NDArray[np.bool_]
) -> float:
    if found.ndim == 3:
        steps = min(found.shape[1], mask.shape[1])
        if mask[:, steps:].any():
            return float("inf")  # tokens are missing
        found, expected = found[:, :steps][mask[:, :steps]], expected[mask]
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / np.abs(expected).max())
