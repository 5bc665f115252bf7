"""The small model of the pages, and what its stages make of their two sentences."""

from __future__ import annotations

import functools
from typing import NamedTuple

import keras
import numpy as np

from keras_elmo import ElmoConfig, ScalarMix
from keras_elmo import layers as stages

TEXT = ["Hi there", "Hi"]
CONFIG = ElmoConfig(
    char_dim=4, filters=((1, 8), (2, 8)), n_highway=1, dim=16, projection_dim=8
)
MIX_WEIGHTS, GAMMA = (0.7, -1.3, 2.1), 1.7


class Model(NamedTuple):
    """The stages that have weights."""

    encoder: stages.TokenEncoder
    bilm: stages.BidirectionalLM
    mix: ScalarMix


class Outputs(NamedTuple):
    """What each stage returns for ``TEXT``, as arrays."""

    ids: np.ndarray  # (2, 2, 50)
    mask: np.ndarray  # (2, 2)
    bounded: np.ndarray  # (2, 4, 50)
    bounded_mask: np.ndarray  # (2, 4)
    token_vectors: np.ndarray  # (2, 4, 8)
    layers: np.ndarray  # (2, 2, 3, 16)
    mixed: np.ndarray  # (2, 2, 16)
    pooled: np.ndarray  # (2, 16)


@functools.cache
def model() -> Model:
    """The stages, with weights by NumPy, which gives the same on every machine."""
    c = CONFIG
    encoder = stages.TokenEncoder(c.projection_dim, c.filters, c.char_dim, c.n_highway)
    bilm = stages.BidirectionalLM(
        c.n_layers,
        c.dim,
        c.projection_dim,
        c.cell_clip,
        c.projection_clip,
        c.use_skip_connections,
    )
    mix = ScalarMix()
    encoder.build((None, None, c.max_characters_per_token))
    bilm.build((None, None, c.projection_dim))
    mix.build((None, None, c.n_layers + 1, 2 * c.projection_dim))
    random = np.random.default_rng(0)
    for layer in (encoder, bilm):
        for weight in layer.weights:
            fan_in = 10 if len(weight.shape) == 1 else np.prod(weight.shape[:-1])
            if layer is bilm and len(weight.shape) > 1:
                fan_in = 2 * c.projection_dim  # an input and a state
            # An embedding is looked up: what goes in is a single 1.
            scale = 0.6 if weight.name == "char_embedding" else 1.5 * fan_in**-0.5
            weight.assign(random.normal(scale=scale, size=weight.shape))
    mix.set_weights([np.array(MIX_WEIGHTS), np.array(GAMMA)])
    return Model(encoder, bilm, mix)


@functools.cache
def outputs() -> Outputs:
    encoder, bilm, mix = model()
    ids = stages.CharacterIds()(TEXT)
    mask = stages.TokenMask()(ids)
    bounded = stages.SentenceBoundaries()(ids)
    bounded_mask = stages.TokenMask()(bounded)
    token_vectors = encoder(bounded)
    layers = bilm(token_vectors, mask=bounded_mask)
    mixed = mix(layers, mask=mask)
    pooled = stages.MaskedMean()(mixed, mask=mask)
    tensors = (ids, mask, bounded, bounded_mask, token_vectors, layers, mixed, pooled)
    return Outputs(*(keras.ops.convert_to_numpy(tensor) for tensor in tensors))
