"""All targets by name."""

from __future__ import annotations

from tests.fuzzing import training, vectors, weights
from tests.fuzzing.target import Target

_ALL = (*weights.TARGETS, *vectors.TARGETS, *training.TARGETS)
_KINDS: dict[str, type[Target]] = {kind.name: kind for kind in _ALL}
NAMES = tuple(_KINDS)


def make_target(name: str) -> Target:
    """A target by its name."""
    return _KINDS[name]()
