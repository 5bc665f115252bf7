"""Damaged and hostile files for every reader, made by a seeded program.

``python -m tests.fuzzing --help`` shows how to run it at length; ``docs/robustness.md`` has
the figures.
"""

from __future__ import annotations

from tests.fuzzing.target import Target


def targets() -> dict[str, Target]:
    """All targets by name; what they read is imported only now."""
    from tests.fuzzing import graphs, training, vectors, weights

    kinds = (*weights.TARGETS, *graphs.TARGETS, *vectors.TARGETS, *training.TARGETS)
    return {kind.name: kind() for kind in kinds}
