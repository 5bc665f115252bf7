"""``keras-elmo convert``: a model in another format, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_elmo.cli.info import mix_of, size_on_disk, size_text
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.errors import SourceError, VerificationError
from keras_elmo.hub.saved_model import servable, write_servable
from keras_elmo.hub.verification import load_verified
from keras_elmo.text.characters import batch_to_character_ids
from keras_elmo.types import InputMode, OutputMode, Tensor
from keras_elmo.weights.names import OPTIONS_NAME, WEIGHTS_NAME, array_shapes
from keras_elmo.weights.sources import Model, save_model

_TOLERANCE = 1e-5
"""Largest accepted difference, as a share of the output's largest value."""

# Of different lengths, with characters of several bytes.
_PROBES = ("The cat sat on the mat .", "Bank", "a naïve café in 北京")

# What a directory may hold that --force replaces.
_FILES = {
    "hdf5": {OPTIONS_NAME, WEIGHTS_NAME},
    "savedmodel": {"saved_model.pb", "fingerprint.pb", "variables", "assets"},
}

_EXAMPLES = {
    "sentences": 'tf.constant(["The river bank"])',
    "tokens": 'tf.constant([["The", "river", "bank"]])',
    "character_ids": "ids",
}


def convert(
    source: str,
    out: Path,
    to: str,
    output_mode: OutputMode | None,
    input_mode: InputMode | None,
    force: bool,
    quiet: bool,
) -> None:
    """Writes a model in another format, and compares what was written.

    Args:
        source: What :func:`~keras_elmo.hub.verification.load_verified` takes.
        out: Where to: its last part must be a name.
        to: ``"hdf5"``, ``"keras"`` or ``"savedmodel"``.
        output_mode: The output of a Keras model; ``None`` for ``"default"``.
        input_mode: Its input; ``None`` for ``"sentences"``.
        force: Whether to replace what is there, if it is of the same kind.
        quiet: Whether to print nothing.

    Raises:
        SourceError: The source cannot be had or read, or cannot give this output.
        VerificationError: What was written has another output. Nothing is left of it.
        OSError: It cannot be written, or something is there.
    """
    _check_target(out, to, force)
    # Beside the target, so that the last step is a rename and not a copy.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        model = load_verified(source)
        output: OutputMode = output_mode or "default"
        if to == "hdf5":  # which has no place for the mix: what it mixes is compared
            output = "layers"
        layer = _layer(source, model, output, input_mode or "sentences")
        written = Path(folder, f"new{out.suffix}")
        difference = _write(to, written, model, layer)
        _check_target(out, to, force)  # again: downloads take their time
        _put(written, out)
    if not quiet:
        print(_report(out, to, model, layer, difference))


def _check_target(out: Path, to: str, force: bool) -> None:
    if not out.parent.is_dir():
        raise FileNotFoundError(
            f"There is no directory {str(out.parent)!r}: make it first."
        )
    if not os.path.lexists(out):
        return
    if not force:
        raise FileExistsError(
            f"{str(out)!r} exists. Name another place, or replace it by --force."
        )
    if not _is_replaceable(out, to):
        raise FileExistsError(
            f"{str(out)!r} is or holds something other than --to {to} writes, and is not "
            "replaced: remove it, or name another place."
        )


def _is_replaceable(out: Path, to: str) -> bool:
    if to == "keras":
        return out.is_file()
    return out.is_dir() and {entry.name for entry in out.iterdir()} <= _FILES[to]


def _layer(
    source: str, model: Model, output_mode: OutputMode, input_mode: InputMode
) -> ElmoEmbeddingLayer:
    """The layer that ``ElmoEmbeddingLayer(source, ...)`` makes, from what has been read."""
    try:
        layer = ElmoEmbeddingLayer(model.config, output_mode, input_mode)
    except ValueError as error:
        raise SourceError(f"source {source!r}: {error}") from error
    layer.use_arrays(model.arrays)
    return layer


def _write(to: str, path: Path, model: Model, layer: ElmoEmbeddingLayer) -> float:
    """Writes a model and reads it again.

    Returns:
        By how much its output differs, as a share of the largest value.

    Raises:
        VerificationError: By too much.
    """
    again: Callable[[Tensor], Tensor]
    differences: list[float] = []
    if to == "hdf5":
        names = array_shapes(model.config)
        save_model(path, model.config, {name: model.arrays[name] for name in names})
        again = ElmoEmbeddingLayer(path, "layers")
    elif to == "keras":
        _keras_model(layer).save(path)
        again = keras.saving.load_model(path)
    else:
        # Without the loaded object its functions have no variables.
        loaded, differences = _write_saved_model(path, layer)
        again = loaded.serve
    probe = _probe(layer)
    differences.append(_difference(again(probe), layer(probe)))
    difference = float(np.max(differences))  # NaN, if there is one
    if not difference <= _TOLERANCE:
        raise VerificationError(
            "What was written and loaded again differs from the source by "
            f"{difference:.1e} of the output's largest value (at most {_TOLERANCE:.0e} is "
            "accepted). Nothing was kept."
        )
    return difference


def _write_saved_model(path: Path, layer: ElmoEmbeddingLayer) -> tuple[Any, list[float]]:
    """Writes a SavedModel and loads it.

    Returns:
        What was loaded, and by how much the outputs of its signatures differ.
    """
    import tensorflow as tf

    functions = servable(layer)
    write_servable(functions, path)
    loaded = tf.saved_model.load(str(path))
    tokens = [sentence.split(" ") for sentence in _PROBES]
    probes = {
        "default": {"text": tf.constant(_PROBES)},
        "tokens": {
            "tokens": tf.ragged.constant(tokens).to_tensor(""),
            "sequence_len": tf.constant([len(row) for row in tokens]),
        },
    }
    differences = []
    for name, probe in probes.items():
        expected = getattr(functions, name)(**probe)
        found = loaded.signatures[name](**probe)
        differences += [_difference(found[key], expected[key]) for key in expected]
    return loaded, differences


def _difference(found: Tensor, expected: Tensor) -> float:
    """By how much an output differs, as a share of its largest value."""
    found, expected = (keras.ops.convert_to_numpy(x) for x in (found, expected))
    # Zeros are compared as they are.
    largest = np.abs(expected).max() or 1.0
    return float(np.abs(found - expected).max() / largest)


def _keras_model(layer: ElmoEmbeddingLayer) -> Any:
    """A model from text to the layer's output."""
    inputs: dict[str, dict[str, Any]] = {
        "sentences": {"shape": (), "dtype": "string"},
        "tokens": {"shape": (None,), "dtype": "string"},
        "character_ids": {
            "shape": (None, layer.max_characters_per_token),
            "dtype": "int32",
        },
    }
    text = keras.Input(**inputs[layer.input_mode])
    return keras.Model(text, layer(text), name="elmo")


def _probe(layer: ElmoEmbeddingLayer) -> Tensor:
    """Sentences in the form that the layer takes."""
    import tensorflow as tf

    if layer.input_mode == "sentences":
        return tf.constant(_PROBES)
    tokens = [sentence.split(" ") for sentence in _PROBES]
    if layer.input_mode == "tokens":
        return tf.ragged.constant(tokens).to_tensor("")
    return tf.constant(batch_to_character_ids(tokens, layer.max_characters_per_token))


def _put(written: Path, out: Path) -> None:
    """Gives what was written its name; what had the name goes with the folder."""
    replaced = written.with_name("replaced")
    if os.path.lexists(out):
        out.rename(replaced)
    try:
        written.rename(out)
    except OSError:
        if os.path.lexists(replaced):
            replaced.rename(out)
        raise


def _report(
    out: Path, to: str, model: Model, layer: ElmoEmbeddingLayer, difference: float
) -> str:
    lines = [
        f"Wrote {str(out)!r} ({size_text(size_on_disk(out))}).",
        f"Checked: loaded again, it gives the same vectors for {len(_PROBES)} sentences "
        f"(they differ by at most {difference:.1e} of the largest value).",
    ]
    mix = mix_of(model.arrays)
    if to == "hdf5" and mix is not None:
        lines.append(
            f"Left out: the source's scalar mix (weights {mix['weights']}, scale "
            f"{mix['scale']}), for which HDF5 has no place. Layers from these files start "
            "with an even mix."
        )
    return "\n".join([*lines, "", "To load it:", *_loading(out, to, layer)])


def _loading(out: Path, to: str, layer: ElmoEmbeddingLayer) -> list[str]:
    name, example = repr(str(out)), _EXAMPLES[layer.input_mode]
    lines = {
        "hdf5": [
            "import keras_elmo",
            f"layer = keras_elmo.ElmoEmbeddingLayer({name})",
        ],
        "keras": [
            "import keras, keras_elmo, tensorflow as tf",
            f"model = keras.saving.load_model({name})",
            f"model({example})",
        ],
        "savedmodel": [
            "import tensorflow as tf",
            f"exported = tf.saved_model.load({name})",
            f"exported.signatures['default']({_EXAMPLES['sentences']})",
            f"exported.serve({example})",
        ],
    }
    if layer.input_mode == "character_ids":
        shape = f"(batch, time, {layer.max_characters_per_token})"
        lines[to].append(f"# ids: int32 {shape}, from keras_elmo.batch_to_character_ids")
    return [f"    {line}" for line in lines[to]]
