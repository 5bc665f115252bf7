"""Tiny models made by seeded code: configurations, arrays, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmarks.hub_module import random_arrays
from hypothesis import strategies as st

from keras_elmo.config import ElmoConfig
from keras_elmo.weights.sources import save_model

TINY = ElmoConfig(
    char_dim=4, filters=((1, 4), (2, 6), (3, 8)), n_highway=2, dim=12, projection_dim=8
)

# For tests of what Keras makes of a layer: TensorFlow takes long over each graph.
LEAST = ElmoConfig(
    char_dim=4, filters=((1, 4),), n_highway=0, n_layers=1, dim=12, projection_dim=8
)

Arrays = dict[str, np.ndarray]


def saved_model(directory: Path, config: ElmoConfig = TINY, seed: int = 0) -> Path:
    """A directory with options.json and weights.hdf5, as a user has it."""
    save_model(directory, config, random_arrays(config, seed))
    return directory


@st.composite
def configs(draw: st.DrawFn) -> ElmoConfig:
    """Small configurations of every kind that was ever released, and more."""
    clip = st.one_of(st.none(), st.floats(0.1, 3))
    filters = st.tuples(st.integers(1, 4), st.integers(1, 5))
    return ElmoConfig(
        char_dim=draw(st.integers(1, 4)),
        filters=tuple(draw(st.lists(filters, min_size=1, max_size=3))),
        n_highway=draw(st.integers(0, 2)),
        activation=draw(st.sampled_from(["relu", "tanh"])),
        max_characters_per_token=draw(st.integers(4, 12)),
        n_layers=draw(st.integers(1, 3)),
        dim=draw(st.integers(1, 6)),
        projection_dim=draw(st.integers(1, 6)),
        cell_clip=draw(clip),
        projection_clip=draw(clip),
        use_skip_connections=draw(st.booleans()),
    )
