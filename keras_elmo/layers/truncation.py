"""Keeping the first tokens of each sentence."""

from __future__ import annotations

import keras
from keras import ops

from keras_elmo.types import Tensor


def first_tokens(mask: Tensor, max_tokens: int | None) -> tuple[Tensor, int | Tensor]:
    """Which tokens are kept, and where the time axis may end.

    Tokens are counted, not positions: padding before or between them costs none. The
    time axis is cut to ``max_tokens``, or to the last kept token where padding has
    moved that further back. With nothing to cut, nothing changes. On the JAX backend the
    time axis keeps its length: shapes cannot depend on values there.

    Args:
        mask: Boolean (batch, time), true at tokens.
        max_tokens: How many tokens of each sentence to keep; ``None`` for all.

    Returns:
        A boolean (batch, time), true at kept tokens, and the length to cut the time
        axis to.
    """
    time = ops.shape(mask)[1]
    if max_tokens is None:
        return mask, time
    counts = ops.cumsum(ops.cast(mask, "int32"), axis=1)  # (batch, time)
    kept = ops.logical_and(mask, counts <= max_tokens)  # (batch, time)
    if _has_static_shapes():
        return kept, time
    positions = ops.arange(1, time + 1, dtype="int32")  # (time,)
    ends = ops.where(kept, positions, 0)  # (batch, time)
    # The initial value is for batches without rows or columns.
    last = ops.max(ends, initial=0)  # ()
    return kept, ops.maximum(last, ops.minimum(time, max_tokens))


def truncated_time(time: int | None, max_tokens: int | None) -> int | None:
    """The length of the time axis after the cut, where it is known beforehand."""
    if max_tokens is None or _has_static_shapes():
        return time
    return time if time is not None and time <= max_tokens else None


def _has_static_shapes() -> bool:
    return str(keras.backend.backend()) == "jax"
