"""The sizes of an ELMo model: its ``options.json``."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.characters import N_CHARACTERS
from keras_elmo.text.lexicon import Lexicon, TokenIds
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

    Three kinds of models differ in how they read a token: as the bytes of its text, the
    original's way; by Unicode characters and, most of them, words of their own, as
    ELMoForManyLangs; or by words alone, as bilm-tf without a character CNN.

    Attributes:
        char_dim: Size of a character embedding; 0 for a model of words alone.
        filters: A ``(width, count)`` pair for each character convolution: the width in
            characters and the number of filters. Empty for a model of words alone.
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
        word_dim: Size of a word embedding; 0 for a model of characters alone.
        lexicon: The words and Unicode characters that the model has vectors for; ``None``
            for a model that reads bytes.

    Raises:
        ValueError: A value is out of its range, or does not fit the others; the message
            names it.
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
    word_dim: int = 0
    lexicon: Lexicon | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.lexicon, Lexicon | None):
            raise ValueError(
                f"lexicon must be a Lexicon or None; got {self.lexicon!r:.200}."
            )
        for name, at_least, at_most in (
            ("char_dim", 0, _LARGEST_SIZE),
            ("word_dim", 0, _LARGEST_SIZE),
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
        longest = self.max_characters_per_token
        fewest = int(self.char_dim > 0)  # which a model of words alone does not have
        self._set("filters", _checked_filters(self.filters, fewest, longest))
        at_most = _LARGEST_SIZE if fewest else 0
        check_integer("filters: the sum of the counts", self.n_filters, fewest, at_most)
        check_integer("n_highway", self.n_highway, 0, _LARGEST_COUNT if fewest else 0)
        for name, size, has_entries in (
            ("char_dim", self.char_dim, self.lexicon is None or self.lexicon.characters),
            ("word_dim", self.word_dim, self.lexicon is not None and self.lexicon.words),
        ):
            if bool(size) != bool(has_entries):
                raise ValueError(
                    f"{name} must be {'positive' if has_entries else 0} with the lexicon "
                    f"{self.lexicon}; got {size}."
                )
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
    def n_words(self) -> int:
        """Number of word embeddings."""
        return 0 if self.lexicon is None else len(self.lexicon.words)

    @property
    def n_characters(self) -> int:
        """Number of character embeddings."""
        return N_CHARACTERS if self.lexicon is None else len(self.lexicon.characters)

    @property
    def has_token_projection(self) -> bool:
        """Whether words and filters are projected (``CNN_proj``) to ``projection_dim``."""
        return self.word_dim + self.n_filters != self.projection_dim

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
        shapes: Shapes = {}
        if self.word_dim:
            shapes["embedding"] = (self.n_words, self.word_dim)
        if self.char_dim:
            shapes["char_embed"] = (self.n_characters, self.char_dim)
        for i, (width, count) in enumerate(self.filters):
            shapes[f"CNN/W_cnn_{i}"] = (1, width, self.char_dim, count)
            shapes[f"CNN/b_cnn_{i}"] = (count,)
        for i in range(self.n_highway):
            for gate in ("carry", "transform"):
                shapes[f"CNN_high_{i}/W_{gate}"] = (n_filters, n_filters)
                shapes[f"CNN_high_{i}/b_{gate}"] = (n_filters,)
        if self.has_token_projection:
            shapes["CNN_proj/W_proj"] = (self.word_dim + n_filters, size)
            shapes["CNN_proj/b_proj"] = (size,)
        for direction in (0, 1):  # forward, backward
            for layer in range(self.n_layers if depth is None else depth):
                prefix = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
                shapes[f"{prefix}/W_0"] = (2 * size, 4 * self.dim)  # rows: input, state
                shapes[f"{prefix}/B"] = (4 * self.dim,)
                if self.has_lstm_projection:
                    shapes[f"{prefix}/W_P_0"] = (self.dim, size)
        return shapes

    @cached_property
    def token_ids(self) -> TokenIds:
        """What turns tokens in UTF-8 into their rows of ids."""
        return TokenIds(self.max_characters_per_token, self.lexicon)

    def batch_to_ids(self, batch: Sequence[Sequence[str]]) -> NDArray[np.int32]:
        """Turns tokenized sentences into the ids of ``input_mode="character_ids"``.

        For a model that reads bytes these are what
        :func:`~keras_elmo.batch_to_character_ids` returns. For others a row has the word's
        id first, if the model knows words, and then the characters' ids, if it reads them.

        Args:
            batch: Sentences, each a sequence of tokens (``str`` or UTF-8 ``bytes``).

        Returns:
            An int32 array (batch, time, ids of a token), where time is the length of the
            longest sentence and 0 is padding.

        Raises:
            TypeError: ``batch`` is not a batch of sequences of tokens.
        """
        return self.token_ids.batch(batch)

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], lexicon: Lexicon | None = None
    ) -> ElmoConfig:
        """Reads the parsed content of an ``options.json``.

        The defaults are bilm-tf's: one LSTM layer, and no clipping, skip connections or
        highway layers unless the file has them. Entries for training only are ignored.

        Args:
            options: The file's content, with the entries ``"lstm"`` and ``"char_cnn"``;
                or ``"lstm"`` and ``"n_tokens_vocab"``, for a model of words alone.
            lexicon: The model's own words or characters. By default the entry
                ``"lexicon"``, which :meth:`to_options` writes.

        Raises:
            ValueError: An entry is missing, or its value is out of its range.
        """
        if not isinstance(options, Mapping):
            found = type(options).__name__
            raise ValueError(f"The options must be a JSON object, not {found}.")
        if options.get("bidirectional", True) is not True:
            raise ValueError(
                "The options have bidirectional = "
                f"{options['bidirectional']!r:.200}; ELMo needs both directions."
            )
        if lexicon is None and "lexicon" in options:
            lexicon = Lexicon.from_dict(options["lexicon"])
        lstm = _section(options, "lstm")
        skips = lstm.get("use_skip_connections")
        encoder: dict[str, Any]
        if "char_cnn" in options or "n_tokens_vocab" not in options:
            encoder = _character_entries(_section(options, "char_cnn"), lexicon)
        else:
            encoder = {"char_dim": 0, "filters": (), "n_highway": 0}
            if lexicon is None:
                raise ValueError(
                    "The options have no 'char_cnn', so that they are those of a model of "
                    "words; its vocabulary is missing."
                )
        if lexicon is not None and lexicon.words:
            encoder["word_dim"] = options.get("word_dim", lstm.get("projection_dim"))
        return cls(
            **encoder,
            n_layers=lstm.get("n_layers", 1),
            dim=_entry(lstm, "dim"),
            projection_dim=_entry(lstm, "projection_dim"),
            cell_clip=lstm.get("cell_clip"),
            projection_clip=lstm.get("proj_clip"),
            use_skip_connections=False if skips is None else skips,
            lexicon=lexicon,
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
        """The content of an ``options.json``: the inverse of :meth:`from_options`.

        A lexicon is in it as the entry ``"lexicon"``.
        """
        options: dict[str, Any] = {
            "lstm": {
                "use_skip_connections": self.use_skip_connections,
                "projection_dim": self.projection_dim,
                "cell_clip": self.cell_clip,
                "proj_clip": self.projection_clip,
                "dim": self.dim,
                "n_layers": self.n_layers,
            },
        }
        if self.char_dim:
            options["char_cnn"] = {
                "activation": self.activation,
                "filters": [list(pair) for pair in self.filters],
                "n_highway": self.n_highway,
                "embedding": {"dim": self.char_dim},
                "n_characters": self.n_characters + 1,
                "max_characters_per_token": self.max_characters_per_token,
            }
        if self.word_dim:
            options |= {"n_tokens_vocab": self.n_words, "word_dim": self.word_dim}
        if self.lexicon is not None:
            options["lexicon"] = self.lexicon.to_dict()
        return options


def _character_entries(
    char_cnn: Mapping[str, Any], lexicon: Lexicon | None
) -> dict[str, Any]:
    """The arguments that say how characters are read."""
    n_characters, n_highway = char_cnn.get("n_characters", 262), char_cnn.get("n_highway")
    # 261 characters in training; after that 262, with the padding id 0 before them.
    if lexicon is None and n_characters not in (261, 262):
        raise ValueError(
            "char_cnn.n_characters must be 262 (or 261, as in training), not "
            f"{n_characters!r:.200}: only the alphabet of bytes is supported, or one that "
            "the options list."
        )
    return {
        "char_dim": _entry(_section(char_cnn, "embedding", "char_cnn."), "dim"),
        "filters": _entry(char_cnn, "filters"),
        "n_highway": 0 if n_highway is None else n_highway,
        "activation": _entry(char_cnn, "activation"),
        "max_characters_per_token": _entry(char_cnn, "max_characters_per_token"),
    }


def _section(options: Mapping[str, Any], name: str, prefix: str = "") -> Any:
    section = options.get(name)
    if not isinstance(section, Mapping):
        raise ValueError(f"The options have no object {prefix + name!r}.")
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


def _checked_filters(
    filters: Any, fewest: int, longest: int
) -> tuple[tuple[int, int], ...]:
    is_list = isinstance(filters, list | tuple)
    if not is_list or not fewest <= len(filters) <= _LARGEST_COUNT:
        raise ValueError(
            f"filters must be a list of {fewest} to {_LARGEST_COUNT} (width, count) pairs; "
            f"got {filters!r:.200}."
        )
    pairs = []
    for pair in filters:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError(f"filters must hold (width, count) pairs; got {pair!r:.200}.")
        # A filter cannot be wider than a token.
        width = check_integer("filters: a width", pair[0], 1, longest)
        pairs.append((width, check_integer("filters: a count", pair[1], 1, _LARGEST_SIZE)))
    return tuple(pairs)
