"""Runs the graph of a TF1 Hub module as an engine, if its weights cannot be read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn, Self

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo import backends
from keras_elmo.config import ElmoConfig
from keras_elmo.hub.module import HubModule
from keras_elmo.hub.tf_hub import read_mix
from keras_elmo.types import Arrays, FineTune, InputMode, PathLike, Stateful, Tensor
from keras_elmo.weights.locate import read_located


class HubEngine(keras.Layer):
    """An :class:`~keras_elmo.layers.engine.Engine` of a module's own graph, frozen."""

    def __init__(self, module: HubModule, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bilm = module
        self.n_layers = module.n_layers
        self.output_dim = module.output_dim
        self.max_characters_per_token = module.max_characters_per_token
        self.vocabulary_cache = None
        self.built = True

    @classmethod
    def load(
        cls, source: PathLike | ElmoConfig | HubModule, dtype: Any
    ) -> tuple[Self, dict[str, NDArray[np.float32]]]:
        """The engine of a module, which a ``.keras`` file may fill, and its mix by name."""
        if isinstance(source, ElmoConfig):
            raise ValueError(
                "engine='hub' needs a TF1 Hub module as source; got an ElmoConfig."
            )

        if isinstance(source, HubModule):
            return cls(source, name="hub", dtype=dtype), {}

        def read(path: Path) -> tuple[Self, dict[str, NDArray[np.float32]]]:
            module = HubModule.from_directory(path, name="module", dtype=dtype)
            return cls(module, name="hub", dtype=dtype), read_mix(path)

        return read_located(source, read)

    @staticmethod
    def check(
        fine_tune: FineTune, stateful: Stateful, input_mode: InputMode, keeps: bool
    ) -> None:
        """Raises ValueError for options that a frozen TensorFlow graph does not support."""
        backends.needs_tensorflow(
            "engine='hub' runs a TensorFlow graph and",
            "Use engine='native' with input_mode='character_ids'.",
        )
        for name, value, choices in (
            ("fine_tune", fine_tune, ("aggregation",)),
            ("stateful", stateful, (False,)),
            ("input_mode", input_mode, ("sentences", "tokens")),
            ("keep_sentence_boundaries", keeps, (False,)),
        ):
            if value not in choices:
                choice = " or ".join(map(repr, choices))
                raise ValueError(
                    f"engine='hub' runs a frozen graph of strings: {name} must be "
                    f"{choice}; got {value!r}. Use engine='native'."
                )

    def call(
        self, tokens: Tensor, is_token: Tensor, training: bool | None = None
    ) -> Tensor:
        return self.bilm(tokens)

    def create_weights(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        pass  # the graph has its own weights

    def create_state(self, n_rows: int | None) -> None:
        pass  # check() refuses stateful

    def reset_state(self) -> None:
        pass

    def assign_arrays(self, arrays: Arrays) -> NoReturn:
        raise ValueError("use_arrays: a layer with engine='hub' has no arrays.")

    def collect_arrays(self) -> NoReturn:
        raise ValueError("save_hdf5: a layer with engine='hub' has no arrays.")

    def cache_vocabulary(self, words: Iterable[str]) -> NoReturn:
        raise ValueError(
            "cache_vocabulary: needs engine='native' and strings as input; got "
            "engine='hub'."
        )

    def source_config(self) -> dict[str, Any]:
        return {"hub_output_dim": self.output_dim}
