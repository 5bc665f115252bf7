"""Writes a model in another format, loads it again and compares both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.errors import SourceError, VerificationError
from keras_elmo.hub.saved_model import servable, write_servable
from keras_elmo.hub.verification import load_verified
from keras_elmo.pretraining.softmax_file import has_softmax, load_softmax, save_softmax
from keras_elmo.types import InputMode, OutputMode, Tensor
from keras_elmo.weights.sources import save_model

_TOLERANCE = 1e-5
"""Largest accepted difference, as a share of the output's largest value."""


class Conversion:
    """A source, and the layer that ``ElmoEmbeddingLayer(source, ...)`` makes of it."""

    # Of different lengths, with characters of several bytes.
    sentences = ("The cat sat on the mat .", "Bank", "a naïve café in 北京")

    def __init__(
        self,
        source: str,
        output_mode: OutputMode,
        input_mode: InputMode,
        options: str | None = None,
    ) -> None:
        import tensorflow as tf

        self.model = load_verified(source, options)
        try:
            self.layer = ElmoEmbeddingLayer(self.model.config, output_mode, input_mode)
        except ValueError as error:
            raise SourceError(f"source {source!r}: {error}") from error
        self.layer.use_arrays(self.model.arrays)
        config, _, path = self.model
        self.softmax = (
            load_softmax(path, config.projection_dim) if has_softmax(path) else None
        )
        tokens = [sentence.split(" ") for sentence in self.sentences]
        ids = self.model.config.batch_to_ids(tokens)
        self._lengths = [len(row) for row in tokens]
        self._probes = {  # the sentences in the forms that layers take
            "sentences": tf.constant(self.sentences),
            "tokens": tf.ragged.constant(tokens).to_tensor(""),
            "character_ids": tf.constant(ids),
        }

    def write(self, to: str, path: Path) -> float:
        """Writes a model, reads it again and returns by how much its output differs."""
        again: Callable[[Tensor], Tensor]
        differences: list[float] = []
        config, arrays, _ = self.model
        probe = self._probes[self.layer.input_mode]
        if to == "hdf5":
            save_model(path, config, {name: arrays[name] for name in config.array_shapes()})
            if self.softmax is not None:
                save_softmax(path, self.softmax)
            again = ElmoEmbeddingLayer(path, "layers")
        elif to == "keras":
            shape = [None, *probe.shape[2:]][: probe.ndim - 1]
            text = keras.Input(shape, dtype=probe.dtype.name)
            keras.Model(text, self.layer(text), name="elmo").save(path)
            again = keras.saving.load_model(path)
        else:
            # Without the loaded object its functions have no variables.
            loaded, differences = self._write_saved_model(path)
            again = loaded.serve
        differences.append(_difference(again(probe), self.layer(probe)))
        difference = float(np.max(differences))  # NaN, if there is one
        if not difference <= _TOLERANCE:
            raise VerificationError(
                "The written model differs from the source by "
                f"{difference:.1e} of the output's largest value (at most {_TOLERANCE:.0e} "
                "is accepted). Nothing was kept."
            )
        return difference

    def _write_saved_model(self, path: Path) -> tuple[Any, list[float]]:
        """Returns what is loaded, and by how much the outputs of its signatures differ."""
        import tensorflow as tf

        functions = servable(self.layer)
        write_servable(functions, path)
        loaded = tf.saved_model.load(str(path))
        tokens, lengths = self._probes["tokens"], tf.constant(self._lengths)
        differences = []
        for name, probe in (
            ("default", {"text": self._probes["sentences"]}),
            ("tokens", {"tokens": tokens, "sequence_len": lengths}),
        ):
            expected = getattr(functions, name)(**probe)
            found = loaded.signatures[name](**probe)
            differences += [_difference(found[key], expected[key]) for key in expected]
        return loaded, differences


def _difference(found: Tensor, expected: Tensor) -> float:
    """By how much an output differs, as a share of its largest value."""
    found, expected = (keras.ops.convert_to_numpy(x) for x in (found, expected))
    largest = np.abs(expected).max() or 1.0  # zeros are compared as they are
    return float(np.abs(found - expected).max() / largest)
