"""The sizes of an ELMo model: its ``options.json``."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_elmo.text.characters import N_CHARACTERS
from keras_elmo.text.strict_json import parse_json
from keras_elmo.types import PathLike, check_integer, check_one_of, check_true_or_false

# Configurations come from untrusted files. With these bounds a wrong number cannot take
# much memory; the largest released model has at most a quarter of each.
_LARGEST_SIZE = 16_384
_LARGEST_COUNT = 64
_LONGEST_TOKEN = 512
_LARGEST_MODEL = 2_000_000_000
_LARGEST_CLIP = 1e30  # must fit float32

MIX_WEIGHTS = "aggregation/weights"
MIX_GAMMA = "aggregation/scaling"
"""The names of a scalar mix's arrays. TF1 Hub modules have them, HDF5 files do not."""

Shapes = dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class ElmoConfig:
    """Sizes and switches of an ELMo biLM; the defaults are the original model's.

    As ``source`` of :class:`~keras_elmo.ElmoEmbeddingLayer`, it makes a model of this shape
    with random weights.

    Attributes:
        char_dim: Size of a character embedding.
        filters: A ``(width, count)`` pair for each character convolution: the width in
            characters and the number of filters.
        n_highway: Number of highway layers after the convolutions, 0 or more.
        activation: Activation of the convolutions, ``"relu"`` or ``"tanh"``.
        max_characters_per_token: Length of a token's row of character ids, the two word
            marks included.
        n_layers: Number of LSTM layers in each direction.
        dim: Number of LSTM cells (units) in each direction.
        projection_dim: Size of a token vector and of each direction's output; the layers
            are twice as wide. If it equals ``dim`` the LSTM has no projection.
        cell_clip: Cell states are clipped to ``[-cell_clip, cell_clip]``; ``None`` for no
            clipping.
        projection_clip: The same for the projected outputs (``proj_clip`` in
            ``options.json``).
        use_skip_connections: Whether each layer after the first adds its input to its
            output.

    Raises:
        ValueError: A value is out of its range; the message names it.
    """

    char_dim: int = 16
    filters: tuple[tuple[int, int], ...] = (
        (1, 32),
        (2, 32),
        (3, 64),
        (4, 128),
        (5, 256),
        (6, 512),
        (7, 1024),
    )
    n_highway: int = 2
    activation: str = "relu"
    max_characters_per_token: int = 50
    n_layers: int = 2
    dim: int = 4096
    projection_dim: int = 512
    cell_clip: float | None = 3.0
    projection_clip: float | None = 3.0
    use_skip_connections: bool = True

    def __post_init__(self) -> None:
        for name, at_least, at_most in (
            ("char_dim", 1, _LARGEST_SIZE),
            ("n_highway", 0, _LARGEST_COUNT),
            ("max_characters_per_token", 3, _LONGEST_TOKEN),
            ("n_layers", 1, _LARGEST_COUNT),
            ("dim", 1, _LARGEST_SIZE),
            ("projection_dim", 1, _LARGEST_SIZE),
        ):
            self._set(name, check_integer(name, getattr(self, name), at_least, at_most))
        for name in ("cell_clip", "projection_clip"):
            self._set(name, _checked_clip(name, getattr(self, name)))
        check_one_of("activation", self.activation, ("relu", "tanh"))
        check_true_or_false("use_skip_connections", self.use_skip_connections)
        self._set("filters", _checked_filters(self.filters, self.max_characters_per_token))
        check_integer("filters: the sum of the counts", self.n_filters, 1, _LARGEST_SIZE)
        if self.n_parameters > _LARGEST_MODEL:
            raise ValueError(
                f"The configuration describes a model of {self.n_parameters:,} "
                f"parameters; at most {_LARGEST_MODEL:,} are accepted."
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen

    @property
    def n_filters(self) -> int:
        """Number of character filters: the width of the highway layers."""
        return sum(count for _, count in self.filters)

    @property
    def has_token_projection(self) -> bool:
        """Whether the filters are projected (``CNN_proj``) to ``projection_dim``."""
        return self.n_filters != self.projection_dim

    @property
    def has_lstm_projection(self) -> bool:
        """Whether the LSTMs project their outputs (``W_P_0``)."""
        return self.dim != self.projection_dim

    @property
    def output_dim(self) -> int:
        """Size of a layer's vectors, both directions together."""
        return 2 * self.projection_dim

    @property
    def n_parameters(self) -> int:
        """Number of weights of the biLM, without the scalar mix."""
        return sum(math.prod(shape) for shape in self.array_shapes().values())

    def array_shapes(self, depth: int | None = None) -> Shapes:
        """The arrays of the model's files, in the order data flows.

        Args:
            depth: How many LSTM layers to list; ``None`` for all.

        Returns:
            Shapes by name; the names are those of bilm-tf's and AllenNLP's HDF5 files.
        """
        n_filters, size = self.n_filters, self.projection_dim
        shapes: Shapes = {"char_embed": (N_CHARACTERS, self.char_dim)}
        for i, (width, count) in enumerate(self.filters):
            shapes[f"CNN/W_cnn_{i}"] = (1, width, self.char_dim, count)
            shapes[f"CNN/b_cnn_{i}"] = (count,)
        for i in range(self.n_highway):
            for gate in ("carry", "transform"):
                shapes[f"CNN_high_{i}/W_{gate}"] = (n_filters, n_filters)
                shapes[f"CNN_high_{i}/b_{gate}"] = (n_filters,)
        if self.has_token_projection:
            shapes["CNN_proj/W_proj"] = (n_filters, size)
            shapes["CNN_proj/b_proj"] = (size,)
        for direction in (0, 1):  # forward, backward
            for layer in range(self.n_layers if depth is None else depth):
                prefix = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
                shapes[f"{prefix}/W_0"] = (2 * size, 4 * self.dim)  # rows: input, state
                shapes[f"{prefix}/B"] = (4 * self.dim,)
                if self.has_lstm_projection:
                    shapes[f"{prefix}/W_P_0"] = (self.dim, size)
        return shapes

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> ElmoConfig:
        """Reads the parsed content of an ``options.json``.

        The defaults are bilm-tf's: one LSTM layer, and no clipping, skip connections or
        highway layers unless the file has them. Entries for training only are ignored.

        Args:
            options: The file's content, with the entries ``"lstm"`` and ``"char_cnn"``.

        Raises:
            ValueError: An entry is missing, or its value is out of its range.
        """
        if not isinstance(options, Mapping):
            found = type(options).__name__
            raise ValueError(f"The options must be a JSON object, not {found}.")
        lstm, char_cnn = _section(options, "lstm"), _section(options, "char_cnn")
        if options.get("bidirectional", True) is not True:
            raise ValueError(
                "The options have bidirectional = "
                f"{options['bidirectional']!r:.200}; ELMo needs both directions."
            )
        # 261 characters in training; after that 262, with the padding id 0 before them.
        n_characters = char_cnn.get("n_characters", 262)
        if n_characters not in (261, 262):
            raise ValueError(
                "char_cnn.n_characters must be 262 (or 261, as in training), not "
                f"{n_characters!r:.200}: only the alphabet of bytes is supported."
            )
        n_highway, skips = char_cnn.get("n_highway"), lstm.get("use_skip_connections")
        return cls(
            char_dim=_entry(_section(char_cnn, "embedding", "char_cnn."), "dim"),
            filters=_entry(char_cnn, "filters"),
            n_highway=0 if n_highway is None else n_highway,
            activation=_entry(char_cnn, "activation"),
            max_characters_per_token=_entry(char_cnn, "max_characters_per_token"),
            n_layers=lstm.get("n_layers", 1),
            dim=_entry(lstm, "dim"),
            projection_dim=_entry(lstm, "projection_dim"),
            cell_clip=lstm.get("cell_clip"),
            projection_clip=lstm.get("proj_clip"),
            use_skip_connections=False if skips is None else skips,
        )

    @classmethod
    def from_json(cls, path: PathLike) -> ElmoConfig:
        """Reads an ``options.json`` file.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is not JSON, or not the options of an ELMo model.
        """
        return cls.from_options(parse_json(Path(path).read_bytes()))

    def to_options(self) -> dict[str, Any]:
        """The content of an ``options.json``: the inverse of :meth:`from_options`."""
        return {
            "lstm": {
                "use_skip_connections": self.use_skip_connections,
                "projection_dim": self.projection_dim,
                "cell_clip": self.cell_clip,
                "proj_clip": self.projection_clip,
                "dim": self.dim,
                "n_layers": self.n_layers,
            },
            "char_cnn": {
                "activation": self.activation,
                "filters": [list(pair) for pair in self.filters],
                "n_highway": self.n_highway,
                "embedding": {"dim": self.char_dim},
                "n_characters": N_CHARACTERS + 1,
                "max_characters_per_token": self.max_characters_per_token,
            },
        }


def _section(options: Mapping[str, Any], name: str, prefix: str = "") -> Any:
    section = options.get(name)
    if not isinstance(section, Mapping):
        raise ValueError(
            f"The options have no object {prefix + name!r}. They are not the options "
            "of a character-based ELMo model."
        )
    return section


def _entry(section: Mapping[str, Any], name: str) -> Any:
    if name not in section:
        found = sorted(section)
        raise ValueError(f"The options have no entry {name!r} among {found!s:.500}.")
    return section[name]


def _checked_clip(name: str, value: object) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not 0 < value <= _LARGEST_CLIP:  # type: ignore[operator]
        raise ValueError(f"{name} must be a positive number or None; got {value!r:.200}.")
    return float(value)  # type: ignore[arg-type]


def _checked_filters(filters: Any, longest: int) -> tuple[tuple[int, int], ...]:
    if not isinstance(filters, list | tuple) or not 1 <= len(filters) <= _LARGEST_COUNT:
        raise ValueError(
            f"filters must be a list of 1 to {_LARGEST_COUNT} (width, count) pairs; got "
            f"{filters!r:.200}."
        )
    pairs = []
    for pair in filters:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError(f"filters must hold (width, count) pairs; got {pair!r:.200}.")
        # A filter cannot be wider than a token.
        width = check_integer("filters: a width", pair[0], 1, longest)
        pairs.append((width, check_integer("filters: a count", pair[1], 1, _LARGEST_SIZE)))
    return tuple(pairs)
