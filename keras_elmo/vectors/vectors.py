"""The layer that computes the vectors, from any kind of source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_elmo.backends import is_tensorflow
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.types import InputMode, OutputMode, PathLike


def embedding_layer(
    source: Any,
    mode: OutputMode,
    allow_untrained_mix: bool = False,
    options: PathLike | None = None,
) -> ElmoEmbeddingLayer:
    """A layer with an output mode, for :class:`~keras_elmo.encoding.Batches`."""
    if isinstance(source, (str, Path)) and Path(source).suffix == ".keras":
        source = _layer_of_model(source)
    if isinstance(source, ElmoEmbeddingLayer):
        if options is not None:
            raise ValueError(
                f"options={options!r} is for a source that is an .hdf5 file; got a layer, "
                "which has its own. Leave options out."
            )
        return _with_output_mode(source, mode)
    input_mode: InputMode = "sentences" if is_tensorflow() else "character_ids"
    layer = ElmoEmbeddingLayer(source, mode, input_mode, options=options, trainable=False)
    mix = () if layer.scalar_mix is None else layer.scalar_mix.get_weights()
    # Every layer starts with weights of 0 and a gamma of 1.
    if mix and not (allow_untrained_mix or np.any(mix[0] != 0) or np.any(mix[1] != 1)):
        raise ValueError(
            f"layers: the source {str(source)!r} has no trained mix. Use a saved model "
            "with one (.keras) or a TF1 Hub module, or 'average', which equals an "
            "untrained mix."
        )
    return layer


def _layer_of_model(path: PathLike) -> ElmoEmbeddingLayer:
    if not Path(path).is_file():
        raise ValueError(f"source: there is no file {str(path)!r}.")
    try:
        # In safe mode no code of the file runs.
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    # Keras, h5py and TensorFlow raise many kinds of errors for damaged files.
    except Exception as error:
        raise ValueError(
            f"source: cannot load the model {str(path)!r} ({error!s:.500}). Check that the "
            "file is complete and that no newer version of Keras wrote it."
        ) from error
    found = {id(layer): layer for layer in _elmo_layers(model)}
    if len(found) != 1:
        raise ValueError(
            f"source: expected one ElmoEmbeddingLayer in the model {str(path)!r}; found "
            f"{len(found)}. Load the model, and pass the layer itself."
        )
    (layer,) = found.values()
    return layer


def _elmo_layers(layer: keras.Layer) -> Iterator[ElmoEmbeddingLayer]:
    """The layers in a model, in nested models, and in wrappers."""
    if isinstance(layer, ElmoEmbeddingLayer):
        yield layer
        return
    for inner in [*getattr(layer, "layers", []), getattr(layer, "layer", None)]:
        if inner is not None:
            yield from _elmo_layers(inner)


def _with_output_mode(layer: ElmoEmbeddingLayer, mode: OutputMode) -> ElmoEmbeddingLayer:
    is_plain = layer.n_steps is None and not (
        layer.stateful or layer.keep_sentence_boundaries
    )
    if layer.output_mode == mode and is_plain:
        return layer
    if layer.engine == "hub":
        raise ValueError(
            f"source: a layer with engine='hub' must have output_mode={mode!r} for this; "
            f"got {layer.output_mode!r}."
        )
    if layer.scalar_mix is None and mode in ("default", "elmo"):
        raise ValueError(
            "source: layers='mix' needs a layer with a mix (output_mode 'default' or "
            f"'elmo'); got output_mode={layer.output_mode!r}."
        )
    config = {**layer.get_config(), "output_mode": mode, "stateful": False}
    # Padding is not kept: a fixed time axis just limits the number of tokens.
    config |= {"max_tokens": layer.max_tokens or layer.n_steps}
    config |= {"output_sequence_length": None, "keep_sentence_boundaries": False}
    result = ElmoEmbeddingLayer.from_config(
        {**config, "fine_tune": "aggregation", "trainable": False}
    )
    # A stateful layer's carried state comes after the weights.
    weights = layer.bilm.get_weights()[: len(result.bilm.weights)]
    if len(weights) < len(result.bilm.weights):
        raise ValueError(
            f"source: the layer has only the model's layers that its output_mode="
            f"{layer.output_mode!r} needs. Use the model that it was created from."
        )
    result.bilm.set_weights(weights)
    if result.scalar_mix is not None and layer.scalar_mix is not None:
        result.scalar_mix.set_weights(layer.scalar_mix.get_weights())
    return result
