"""The shape of an ELMo model, as its ``options.json`` tells it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_elmo.text.strict_json import parse_json
from keras_elmo.types import PathLike
from keras_elmo.weights.names import array_shapes

# A configuration is read from files that others made, and is turned into arrays:
# these bounds keep a wrong number from becoming an allocation of terabytes. The
# largest released model has 93.6 million parameters.
_LARGEST_SIZE = 65_536
_LARGEST_COUNT = 256
_LARGEST_MODEL = 2_000_000_000
_LARGEST_CLIP = 1e30  # larger ones are no float32

_ACTIVATIONS = ("relu", "tanh")


@dataclasses.dataclass(frozen=True)
class ElmoConfig:
    """Sizes and switches of an ELMo biLM; the defaults are the original model's.

    Given as ``source`` to :class:`~keras_elmo.ElmoEmbeddingLayer`, it stands for a
    model of that shape with random weights.

    Attributes:
        char_dim: Size of a character embedding.
        filters: Character convolutions, one ``(width, count)`` pair each: the width
            in characters and the number of filters.
        n_highway: Number of highway layers after the convolutions, 0 or more.
        activation: Activation of the convolutions, ``"relu"`` or ``"tanh"``.
        max_characters_per_token: Length of a token's row of character ids, the begin
            and end of word marks included.
        n_layers: Number of LSTM layers in each direction.
        dim: Number of LSTM cells (units) in each direction.
        projection_dim: Size of a token vector and of each direction's output; the
            layers are twice as wide. Where it equals ``dim`` the LSTM has no
            projection.
        cell_clip: Cell states are clipped to ``[-cell_clip, cell_clip]``; ``None``
            for no clipping.
        projection_clip: The same for the projected outputs (``proj_clip`` in
            ``options.json``).
        use_skip_connections: Whether each layer after the first adds its input to
            its output.

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
        """Checks every field, so that a configuration that exists is a sound one."""
        for name in ("char_dim", "dim", "projection_dim"):
            _check_integer(name, getattr(self, name), 1, _LARGEST_SIZE)
        _check_integer(
            "max_characters_per_token", self.max_characters_per_token, 3, _LARGEST_SIZE
        )
        _check_integer("n_highway", self.n_highway, 0, _LARGEST_COUNT)
        _check_integer("n_layers", self.n_layers, 1, _LARGEST_COUNT)
        for name in ("cell_clip", "projection_clip"):
            _check_clip(name, getattr(self, name))
        if self.activation not in _ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {_ACTIVATIONS}, not {self.activation!r:.200}."
            )
        if not isinstance(self.use_skip_connections, bool):
            raise ValueError(
                "use_skip_connections must be True or False, not "
                f"{self.use_skip_connections!r:.200}."
            )
        # JSON and callers give lists; tuples keep the dataclass hashable.
        object.__setattr__(self, "filters", _checked_filters(self.filters))
        for width, _ in self.filters:
            if width > self.max_characters_per_token:
                raise ValueError(
                    f"filters: a width of {width} is more than "
                    f"max_characters_per_token = {self.max_characters_per_token}."
                )
        if self.n_parameters > _LARGEST_MODEL:
            raise ValueError(
                f"The configuration describes a model of {self.n_parameters:,} "
                f"parameters; at most {_LARGEST_MODEL:,} are accepted."
            )

    @property
    def n_filters(self) -> int:
        """Number of character filters in all: the width of the highway layers."""
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
        """Number of weights in the biLM, without the scalar mix."""
        return sum(math.prod(shape) for shape in array_shapes(self).values())

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> ElmoConfig:
        """Reads the parsed content of an ``options.json``.

        The defaults are bilm-tf's, whose format this is: one LSTM layer, no
        clipping, no skip connections and no highway unless the file says otherwise.
        Entries that only matter for training are passed over.

        Args:
            options: The file's content, with the entries ``"lstm"`` and
                ``"char_cnn"``.

        Returns:
            The configuration.

        Raises:
            ValueError: An entry is missing, has the wrong type or is out of range.
        """
        if not isinstance(options, Mapping):
            raise ValueError(
                f"The options must be a JSON object, not {type(options).__name__}."
            )
        lstm = _section(options, "lstm")
        char_cnn = _section(options, "char_cnn")
        if options.get("bidirectional", True) is not True:
            raise ValueError(
                "The options say bidirectional = "
                f"{options['bidirectional']!r:.200}; ELMo needs both directions."
            )
        # Training counts 261 characters, use 262: with the padding id 0 before them.
        n_characters = char_cnn.get("n_characters", 262)
        if n_characters not in (261, 262):
            raise ValueError(
                "char_cnn.n_characters must be 262 (or 261, as in training), not "
                f"{n_characters!r:.200}: other alphabets than bytes are not supported."
            )
        return cls(
            char_dim=_entry(_section(char_cnn, "embedding", "char_cnn."), "dim"),
            filters=_entry(char_cnn, "filters"),
            n_highway=_or_default(char_cnn.get("n_highway"), 0),
            activation=_entry(char_cnn, "activation"),
            max_characters_per_token=_entry(char_cnn, "max_characters_per_token"),
            n_layers=lstm.get("n_layers", 1),
            dim=_entry(lstm, "dim"),
            projection_dim=_entry(lstm, "projection_dim"),
            cell_clip=lstm.get("cell_clip"),
            projection_clip=lstm.get("proj_clip"),
            use_skip_connections=_or_default(lstm.get("use_skip_connections"), False),
        )

    @classmethod
    def from_json(cls, path: PathLike) -> ElmoConfig:
        """Reads an ``options.json`` file.

        Args:
            path: The file.

        Returns:
            The configuration.

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
                "n_characters": 262,
                "max_characters_per_token": self.max_characters_per_token,
            },
        }


def _section(options: Mapping[str, Any], name: str, prefix: str = "") -> Any:
    section = options.get(name)
    if not isinstance(section, Mapping):
        raise ValueError(
            f"The options have no object {prefix + name!r}: they are not the options "
            "of a character-based ELMo model."
        )
    return section


def _entry(section: Mapping[str, Any], name: str) -> Any:
    if name not in section:
        raise ValueError(
            f"The options have no entry {name!r} beside {sorted(section)!s:.500}."
        )
    return section[name]


def _or_default(value: Any, default: Any) -> Any:
    return default if value is None else value


def _is_integer(value: object) -> bool:
    # bool is an int in Python; here True is a mistake.
    return isinstance(value, int) and not isinstance(value, bool)


def _check_integer(name: str, value: object, smallest: int, largest: int) -> None:
    if not _is_integer(value) or not smallest <= value <= largest:  # type: ignore[operator]
        raise ValueError(
            f"{name} must be an integer from {smallest} to {largest}, not {value!r:.200}."
        )


def _check_clip(name: str, value: object) -> None:
    if value is None:
        return
    if not (_is_integer(value) or isinstance(value, float)) or not (
        0 < value <= _LARGEST_CLIP  # type: ignore[operator]
    ):
        raise ValueError(f"{name} must be a positive number or None, not {value!r:.200}.")


def _checked_filters(filters: Any) -> tuple[tuple[int, int], ...]:
    if not isinstance(filters, (list, tuple)) or not 1 <= len(filters) <= _LARGEST_COUNT:
        raise ValueError(
            f"filters must be a list of 1 to {_LARGEST_COUNT} (width, count) pairs, "
            f"not {filters!r:.200}."
        )
    for pair in filters:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise ValueError(f"filters must hold (width, count) pairs, not {pair!r:.200}.")
        _check_integer("filters: a width", pair[0], 1, _LARGEST_SIZE)
        _check_integer("filters: a count", pair[1], 1, _LARGEST_SIZE)
    return tuple((width, count) for width, count in filters)
