"""The settings for training a language model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, get_args

import keras

from keras_elmo.pretraining.warmup_stable_decay import WarmupStableDecay
from keras_elmo.pretraining.windows import SentenceState
from keras_elmo.types import check_integer, check_one_of

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

_SMALLEST = {
    **dict.fromkeys(("n_steps", "batch_size", "window_steps", "log_steps"), 1),
    **dict.fromkeys(("n_samples", "decay_steps"), 1),
    "vocabulary_size": 4,  # three are special
    **dict.fromkeys(("warmup_steps", "seed"), 0),
}


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a training run, which is repeatable with the same settings.

    The learning rate rises from 0 over ``warmup_steps``, then falls along a half cosine to
    0 at the end, or stays and falls in the last ``decay_steps`` alone.

    Attributes:
        n_steps: The number of windows to train on.
        batch_size: The number of rows of a window.
        window_steps: The number of steps of a window, and so of backpropagation.
        sentence_state: Whether the LSTM state is ``"carried"`` from sentence to sentence,
            as in bilm-tf, or ``"reset"``, as in the embedding layer.
        vocabulary_size: The number of words to predict, with the three special words, if
            the vocabulary is built from the texts.
        n_samples: The size of the sampled softmax. ``None``, or more words than the
            vocabulary has, for the full softmax.
        dropout: The dropout rate of each LSTM layer's inputs and of the last layer's
            outputs.
        optimizer: The name of a Keras optimizer.
        learning_rate: The highest learning rate.
        warmup_steps: The number of steps after which it is reached.
        decay_steps: The number of steps at the end in which it falls to 0 along a line, or
            ``None`` for the half cosine.
        clip_norm: The bound of the gradient's norm, or ``None``.
        precision: The dtype policy: ``"float32"``, ``"mixed_bfloat16"`` or
            ``"mixed_float16"``.
        log_steps: The number of steps between log lines and between checkpoints.
        seed: The seed of the initial weights, the order of the sentences, dropout and
            samples.

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
    decay_steps: int | None = None
    clip_norm: float | None = 1.0
    precision: str = "float32"
    log_steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, smallest in _SMALLEST.items():
            value = getattr(self, name)
            if name not in ("n_samples", "decay_steps") or value is not None:
                # JSON has no NumPy integers.
                object.__setattr__(self, name, check_integer(name, value, smallest))
        check_one_of("sentence_state", self.sentence_state, get_args(SentenceState))
        check_one_of("precision", self.precision, PRECISIONS)
        n, clip = self.n_steps, self.clip_norm
        most = n - self.warmup_steps
        for name, is_right, expected in (
            ("dropout", 0 <= self.dropout < 1, "from 0 to less than 1"),
            ("learning_rate", self.learning_rate > 0, "more than 0"),
            ("clip_norm", clip is None or clip > 0, "more than 0 or None"),
            ("warmup_steps", self.warmup_steps < n, f"less than n_steps = {n}"),
            ("decay_steps", (self.decay_steps or 0) <= most, f"at most {most}, or None"),
            ("log_steps", n % self.log_steps == 0, f"a divisor of n_steps = {n}"),
            ("seed", self.seed < 2**31, "from 0 to 2**31 - 1"),
        ):
            if not is_right:
                raise ValueError(f"{name} must be {expected}; got {getattr(self, name)!r}.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads settings by attribute name; the others keep their defaults.

        Raises:
            ValueError: A name is not a setting, or a value is out of its range.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if unknown := ", ".join(sorted(set(values) - set(names))):
            raise ValueError(
                f"Unknown training settings {unknown}. Choose from {', '.join(names)}."
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The settings by name."""
        return dataclasses.asdict(self)

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """Creates an optimizer with its learning rate schedule.

        Raises:
            ValueError: Keras has no such optimizer.
        """
        schedule = self._schedule()
        optimizer = keras.optimizers.get(self.optimizer)
        changes = {"learning_rate": schedule, "global_clipnorm": self.clip_norm}
        return type(optimizer)(**{**optimizer.get_config(), **changes})

    def _schedule(self) -> keras.optimizers.schedules.LearningRateSchedule:
        rate, n_warm = self.learning_rate, self.warmup_steps
        if self.decay_steps is not None:
            return WarmupStableDecay(rate, n_warm, self.n_steps, self.decay_steps)
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if n_warm else rate,
            decay_steps=self.n_steps - n_warm,
            warmup_target=rate if n_warm else None,
            warmup_steps=n_warm,
        )
