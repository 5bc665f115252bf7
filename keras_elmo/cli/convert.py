"""``keras-elmo convert``: a model in another format, whole or not at all."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from keras_elmo.cli.arguments import (
    DOWNLOADS,
    UsageError,
    add_flag,
    add_options,
    add_quiet,
    add_source,
)

if TYPE_CHECKING:
    from keras_elmo.types import InputMode, OutputMode

SUMMARY = "write a model in another format"
DETAILS = (
    "The written model is loaded again and its output compared before it gets its name: "
    f"in the end there is all of OUT, or nothing. {DOWNLOADS}"
)
EXAMPLES = (
    "path/to/module elmo",
    "mini elmo.keras --output-mode elmo",
    "original elmo --to savedmodel",
)

OUTPUT_MODES = (
    *("default", "elmo", "word_emb", "lstm_outputs1", "lstm_outputs2"),
    *("layers", "pooled_layers"),
)
INPUT_MODES = ("sentences", "tokens", "character_ids")

# What a directory may hold that --force replaces.
_FILES = {
    "hdf5": {"options.json", "weights.hdf5", "vocabulary.txt", "softmax.npz"},
    "savedmodel": {"saved_model.pb", "fingerprint.pb", "variables", "assets"},
}

_LOADING = {
    "hdf5": ["import keras_elmo", "layer = keras_elmo.ElmoEmbeddingLayer({out!r})"],
    "keras": [
        "import keras, keras_elmo, tensorflow as tf",
        "model = keras.saving.load_model({out!r})",
        "model({example})",
    ],
    "savedmodel": [
        "import tensorflow as tf",
        "exported = tf.saved_model.load({out!r})",
        "exported.signatures['default'](tf.constant([\"The river bank\"]))",
        "exported.serve({example})",
    ],
}
_EXAMPLES = {
    "sentences": 'tf.constant(["The river bank"])',
    "tokens": 'tf.constant([["The", "river", "bank"]])',
    "character_ids": "ids",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_options(parser)
    parser.add_argument(
        "out", metavar="OUT", type=Path, help="where to; its directory must exist"
    )
    parser.add_argument(
        "--to",
        choices=("hdf5", "keras", "savedmodel"),
        help="hdf5, a directory with options.json, weights.hdf5 and the softmax if SOURCE "
        "has one (the default), for models of characters or of words, not both; keras, a "
        "Keras model from strings to the output (the default if OUT ends in .keras); "
        "savedmodel, the same as a directory for TensorFlow alone, with the signatures of "
        "the TF-Hub modules",
    )
    parser.add_argument(
        "--output-mode", choices=OUTPUT_MODES, help="the model's output (default: default)"
    )
    parser.add_argument(
        "--input-mode", choices=INPUT_MODES, help="the model's input (default: sentences)"
    )
    add_flag(
        parser, "--force", help="replace OUT if it is of the kind that would be written"
    )
    add_quiet(parser)


def run(
    source: str,
    options: str | None,
    out: Path,
    to: str | None,
    output_mode: OutputMode | None,
    input_mode: InputMode | None,
    force: bool,
    quiet: bool,
) -> None:
    to = _format(out, to)
    if to == "hdf5" and (output_mode or input_mode):
        raise UsageError(
            "HDF5 holds a model for every mode: --output-mode and --input-mode are for "
            "--to keras and --to savedmodel"
        )
    _check_target(out, to, force)
    from rich.filesize import decimal

    from keras_elmo.cli.conversion import Conversion
    from keras_elmo.cli.info import mix_of, size_on_disk

    # Next to the target, so that the last step is a rename and not a copy.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        # HDF5 has no place for the mix: what it mixes is compared.
        output = "layers" if to == "hdf5" else output_mode or "default"
        conversion = Conversion(source, output, input_mode or "sentences", options)
        written = Path(folder, f"new{out.suffix}")
        difference = conversion.write(to, written)
        _check_target(out, to, force)  # again: downloads take their time
        _put(written, out)
    if quiet:
        return
    found = f"differ by at most {difference:.1e} of the largest value"
    found = found if difference else "are equal"
    print(
        f"Wrote {str(out)!r} ({decimal(size_on_disk(out))}).\n"
        "Checked: loaded again, it gives the same vectors for "
        f"{len(conversion.sentences)} sentences (they {found})."
    )
    if to == "hdf5" and conversion.softmax is not None:
        words = len(conversion.softmax.vocabulary)
        print(f"With it: the softmax for {words:,} words, in softmax.npz.")
    mix = mix_of(conversion.model.arrays)
    if to == "hdf5" and mix is not None:
        print(
            f"Left out: the source's scalar mix (weights {mix['weights']}, scale "
            f"{mix['scale']}), for which HDF5 has no place. Layers start with an even mix."
        )
    mode = conversion.layer.input_mode
    print("\nTo load it:")
    for line in _LOADING[to]:
        print("    " + line.format(out=str(out), example=_EXAMPLES[mode]))
    if mode == "character_ids":
        config = conversion.model.config
        own = "layer.config.batch_to_ids"
        function = own if config.lexicon else "keras_elmo.batch_to_character_ids"
        print(f"    # ids: int32 (batch, time, {config.token_ids.length}), from {function}")


def _format(out: Path, to: str | None) -> str:
    """The format that ``--to`` or the suffix of OUT says; an error if they disagree."""
    if not out.name:
        raise UsageError(f"OUT must end in a file or directory name; got {str(out)!r}")
    is_keras_file = out.suffix == ".keras"
    if to is None and not is_keras_file and out.suffix:
        raise UsageError(f"the suffix of {out.name!r} does not say the format: add --to")
    if to is not None and (to == "keras") != is_keras_file:
        raise UsageError(
            f"--to {to} does not fit {out.name!r}: a .keras file has that suffix, a "
            "directory does not"
        )
    return to or ("keras" if is_keras_file else "hdf5")


def _check_target(out: Path, to: str, force: bool) -> None:
    if not out.parent.is_dir():
        raise FileNotFoundError(
            f"OUT: there is no directory {str(out.parent)!r}: make it first."
        )
    if not os.path.lexists(out):
        return
    if not force:
        raise FileExistsError(
            f"{str(out)!r} exists. Choose another path, or --force, which replaces it."
        )
    if to == "keras":
        is_replaceable = out.is_file()
    else:
        is_replaceable = out.is_dir() and {p.name for p in out.iterdir()} <= _FILES[to]
    if not is_replaceable:
        raise FileExistsError(
            f"{str(out)!r} is or holds something other than --to {to} writes, and is not "
            "replaced: remove it, or name another place."
        )


def _put(written: Path, out: Path) -> None:
    """Gives the written model its name; what had the name is removed with the folder."""
    replaced = written.with_name("replaced")
    if os.path.lexists(out):
        out.rename(replaced)
    try:
        written.rename(out)
    except OSError:
        if os.path.lexists(replaced):
            replaced.rename(out)
        raise
