"""What only the TensorFlow backend of Keras can do, and what to do on the others."""

from __future__ import annotations

import keras

_TENSORFLOW = "tensorflow"


def is_tensorflow() -> bool:
    """Whether Keras runs on TensorFlow."""
    return str(keras.backend.backend()) == _TENSORFLOW


def needs_tensorflow(what: str, instead: str) -> None:
    """Says that something needs the TensorFlow backend, where Keras has another.

    Args:
        what: What was asked for, beginning with the argument's name.
        instead: What to use in its place, as an instruction.

    Raises:
        ValueError: Keras has another backend.
    """
    if not is_tensorflow():
        raise ValueError(
            f"{what} needs the TensorFlow backend of Keras; this is the "
            f"{keras.backend.backend()!r} backend. {instead} Or set "
            "KERAS_BACKEND=tensorflow in the environment before Keras is imported."
        )


def n_replicas() -> int:
    """How many devices a strategy of ``tf.distribute`` has, in whose scope this is called.

    Returns:
        1 without a strategy, and on other backends.
    """
    if not is_tensorflow():
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def needs_one_replica(what: str) -> None:
    """Says that something does not work on several devices.

    Args:
        what: What was asked for, beginning with the argument's name.

    Raises:
        ValueError: This is the scope of a strategy with several devices.
    """
    n = n_replicas()
    if n > 1:
        raise ValueError(
            f"{what} does not work under a tf.distribute strategy with {n} devices, which "
            "have different rows of each batch. Leave it out, or train on one device."
        )


def check_input_mode(input_mode: str) -> None:
    """Says what to use in place of strings, where the backend has none.

    Args:
        input_mode: ``"sentences"``, ``"tokens"`` or ``"character_ids"``.

    Raises:
        ValueError: It means strings, and the backend is not TensorFlow.
    """
    if input_mode != "character_ids":
        needs_tensorflow(
            f"input_mode={input_mode!r} takes strings and",
            "Use input_mode='character_ids', with the ids that keras_elmo.text_dataset or "
            "keras_elmo.batch_to_character_ids makes.",
        )
