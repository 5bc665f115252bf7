"""How a language model is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, get_args

import keras

from keras_elmo.pretraining.windows import SentenceState
from keras_elmo.types import check_one_of, check_positive_integer

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of :func:`train`. All of them together make a run repeatable.

    The learning rate rises from 0 over ``warmup_steps`` and then falls along a half
    cosine, to 0 at the end.

    Attributes:
        n_steps: How many windows to train on.
        batch_size: Rows of a window.
        window_steps: Steps of a window: how far gradients reach back.
        sentence_state: Whether the LSTM state is ``"carried"`` from sentence to sentence,
            as in bilm-tf, or ``"reset"``, as the embedding layer reads sentences.
        vocabulary_size: How many words to predict, three special ones included, where
            the vocabulary is built from the texts.
        n_samples: Size of the sampled softmax; ``None`` for a full one. Where the
            vocabulary has no more words than that, it is a full one too.
        dropout: Share of each LSTM layer's inputs, and of the last one's outputs, that is
            dropped.
        optimizer: The name of a Keras optimizer.
        learning_rate: The highest learning rate.
        warmup_steps: After how many steps it is reached.
        clip_norm: Bound of the gradient's norm, or ``None``.
        precision: The dtype policy: ``"float32"``, ``"mixed_bfloat16"`` or
            ``"mixed_float16"``.
        log_steps: After how many steps the log gets a line and a checkpoint is kept.
        seed: Makes the initial weights, the order of the sentences, dropout and samples
            repeatable.

    Raises:
        ValueError: A value is out of its range; the message names it.
    """

    n_steps: int = 10_000
    batch_size: int = 128
    window_steps: int = 20
    sentence_state: SentenceState = "carried"
    vocabulary_size: int = 50_000
    n_samples: int | None = 4096
    dropout: float = 0.1
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    clip_norm: float | None = 1.0
    precision: str = "float32"
    log_steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("n_steps", "batch_size", "window_steps", "log_steps"):
            check_positive_integer(name, getattr(self, name))
        check_positive_integer("vocabulary_size", self.vocabulary_size)
        if self.n_samples is not None:
            check_positive_integer("n_samples", self.n_samples)
        check_one_of("sentence_state", self.sentence_state, get_args(SentenceState))
        check_one_of("precision", self.precision, PRECISIONS)
        self._check_number("dropout", 0 <= self.dropout < 1, "from 0 to less than 1")
        self._check_number("learning_rate", self.learning_rate > 0, "more than 0")
        self._check_number(
            "clip_norm", self.clip_norm is None or self.clip_norm > 0, "more than 0 or None"
        )
        self._check_number(
            "warmup_steps",
            _is_integer(self.warmup_steps) and 0 <= self.warmup_steps < self.n_steps,
            f"from 0 to less than n_steps = {self.n_steps}",
        )
        self._check_number(
            "log_steps",
            self.n_steps % self.log_steps == 0,
            f"a divisor of n_steps = {self.n_steps}",
        )
        is_seed = _is_integer(self.seed) and 0 <= self.seed < 2**31
        self._check_number("seed", is_seed, "from 0 to 2**31 - 1")

    def _check_number(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            raise ValueError(f"{name} must be {expected}; got {getattr(self, name)!r}.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads settings by name; those that are not there have their defaults.

        Args:
            values: Settings under the names of the attributes.

        Returns:
            The configuration.

        Raises:
            ValueError: There is no setting of a name, or a value is out of its range.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise ValueError(
                f"There are no training settings {', '.join(unknown)}; there are "
                f"{', '.join(names)}."
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The settings by name."""
        return dataclasses.asdict(self)

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """Makes the optimizer with its learning rate schedule.

        Returns:
            A new Keras optimizer.

        Raises:
            ValueError: Keras has no optimizer of that name.
        """
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=self.learning_rate,
            warmup_steps=self.warmup_steps,
            decay_steps=self.n_steps - self.warmup_steps,
        )
        if self.warmup_steps == 0:
            schedule = keras.optimizers.schedules.CosineDecay(
                self.learning_rate, decay_steps=self.n_steps
            )
        optimizer = keras.optimizers.get(self.optimizer)
        config = {
            **optimizer.get_config(),
            "learning_rate": schedule,
            "global_clipnorm": self.clip_norm,
        }
        return type(optimizer)(**config)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
