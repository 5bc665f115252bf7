"""What computes the layers: our own stages, or the graph of a TF1 Hub module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo import backends
from keras_elmo.config import ElmoConfig
from keras_elmo.hub.module import HubModule
from keras_elmo.hub.sources import read_located
from keras_elmo.hub.tf_hub import read_mix
from keras_elmo.layers import ElmoBiLM
from keras_elmo.layers.output_modes import OUTPUTS
from keras_elmo.types import FineTune, InputMode, OutputMode, PathLike, Stateful


def native_engine(
    source: PathLike | ElmoConfig,
    output_mode: OutputMode,
    fine_tune: FineTune,
    stateful: Stateful,
    dtype: Any,
) -> tuple[ElmoBiLM, dict[str, NDArray[np.float32]]]:
    """Reads a source, and creates those of our stages that an output needs.

    Args:
        source: Where the weights come from.
        output_mode: What comes out of the layer.
        fine_tune: What ``trainable=True`` trains.
        stateful: What each row starts from.
        dtype: The dtype policy.

    Returns:
        The stages, and the source's arrays, which they do not hold yet: none of an
        :class:`ElmoConfig`.

    Raises:
        SourceError: No weights can be had from ``source``.
        VerificationError: The stages would not compute what a TF1 Hub module computes.
        ValueError: The model has fewer LSTM layers than the output needs.
    """
    arrays: dict[str, NDArray[np.float32]] = {}
    if isinstance(source, ElmoConfig):
        config = source
    else:
        # Verification needs the layer, so it cannot be imported first.
        from keras_elmo.hub.verification import load_verified

        config, loaded, _ = load_verified(source)
        arrays = dict(loaded)  # creating weights takes them out
    depth = OUTPUTS[output_mode].depth(config.n_layers)
    if depth > config.n_layers:
        raise ValueError(
            f"output_mode={output_mode!r} needs {depth} LSTM layers; this model "
            f"has {config.n_layers}."
        )
    return ElmoBiLM(config, depth, fine_tune, stateful, name="bilm", dtype=dtype), arrays


def hub_engine(
    source: PathLike | ElmoConfig | HubModule, dtype: Any
) -> tuple[HubModule, dict[str, NDArray[np.float32]]]:
    """Loads a module's graph, which stands in the place of our stages.

    Args:
        source: Where the module comes from; or one that loading will fill.
        dtype: The dtype policy.

    Returns:
        The module, and the arrays of its scalar mix.

    Raises:
        SourceError: There is no such module, or it is damaged or no ELMo.
        ValueError: The source is an :class:`ElmoConfig`.
    """
    if isinstance(source, ElmoConfig):
        raise ValueError(
            "engine='hub' needs a TF1 Hub module as source; got an ElmoConfig."
        )
    if isinstance(source, HubModule):
        return source, {}

    def read(path: Path) -> tuple[HubModule, dict[str, NDArray[np.float32]]]:
        module = HubModule.from_directory(path, name="bilm", dtype=dtype)
        return module, read_mix(path)

    return read_located(source, read)


def check_hub_engine(
    fine_tune: FineTune, stateful: Stateful, input_mode: InputMode
) -> None:
    """Says what a frozen graph of TensorFlow cannot do, before anything is read.

    Args:
        fine_tune: What ``trainable=True`` is to train.
        stateful: What each row is to start from.
        input_mode: What is to go in.

    Raises:
        ValueError: It is none of what such a graph can do, or Keras has another backend
            than TensorFlow.
    """
    backends.needs_tensorflow(
        "engine='hub' runs a TensorFlow graph and",
        "Use engine='native' with input_mode='character_ids'.",
    )
    for name, value, only in (
        ("fine_tune", fine_tune, "aggregation"),
        ("stateful", stateful, False),
    ):
        if value != only:
            raise ValueError(
                f"engine='hub' runs a frozen graph: {name} must be {only!r}; got "
                f"{value!r}. Use engine='native'."
            )
    if input_mode == "character_ids":
        raise ValueError(
            "engine='hub' takes strings: input_mode must be 'sentences' or 'tokens'; "
            "got 'character_ids'. Use engine='native'."
        )
