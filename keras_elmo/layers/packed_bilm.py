"""All layers of a biLM over packed sentences, as one compiled function."""

from __future__ import annotations

import functools
from typing import Any

from keras import ops

from keras_elmo import backends
from keras_elmo.layers.lstm_equations import Kernels, LSTMEquations
from keras_elmo.layers.packed_lstm import packed_lstm
from keras_elmo.layers.packing import pack


@functools.cache
def packed_bilm(
    equations: LSTMEquations,
    n_layers: int,
    units: int,
    projection_dim: int,
    use_skip_connections: bool,
    differentiable: bool,
    keep_boundaries: bool,
) -> Any:
    """A function of tensors only; on TensorFlow and JAX traced once and compiled.

    It has no variables: all models of the same shape share it, eagerly and in graphs.

    Its arguments are those of :meth:`~keras_elmo.layers.BidirectionalLM.run_packed`, and
    the kernels of all cells in one list: the forward direction's layer by layer, then the
    backward direction's.
    """
    n_kernels = 4 - (projection_dim == units)

    def layers_of(vectors: Any, places: Any, mask: Any, kernels: list[Any]) -> Any:
        cells = [
            Kernels(*kernels[i : i + n_kernels]) for i in range(0, len(kernels), n_kernels)
        ]
        end = ops.shape(vectors)[0] - 1
        packing = pack(places, mask, 0, end, keep_boundaries)
        directions = []
        for i in range(2):
            places = packing.places[i]  # (packed,)
            x = ops.take(vectors, places, axis=0)  # (packed, projection_dim)
            layers = [x]
            for k in range(n_layers):
                y = packed_lstm(
                    equations,
                    cells[i * n_layers + k],
                    vectors if k == 0 else x,
                    packing,
                    places if k == 0 else None,
                    differentiable,
                )  # (packed, projection_dim)
                x = x + y if use_skip_connections and k > 0 else y
                layers.append(x)
            stacked = ops.stack(layers, axis=1)  # (packed, n_layers + 1, projection_dim)
            # (batch, time, n_layers + 1, projection_dim)
            directions.append(ops.take(stacked, packing.positions[i], axis=0))
        both = ops.concatenate(directions, axis=-1)
        return both * ops.cast(packing.mask, both.dtype)[..., None, None]

    if backends.has_static_shapes():
        import jax

        return jax.jit(layers_of)
    if not backends.is_tensorflow():
        return layers_of
    import tensorflow as tf

    n_gates = 4 * units
    cell = [
        tf.TensorSpec((projection_dim, n_gates), equations.product_dtype),
        tf.TensorSpec((projection_dim, n_gates), equations.product_dtype),
        tf.TensorSpec((n_gates,), equations.compute_dtype),
        tf.TensorSpec((units, projection_dim), equations.product_dtype),
    ]
    signature = [
        tf.TensorSpec((None, projection_dim), equations.product_dtype),
        tf.TensorSpec((None, None), tf.int32),
        tf.TensorSpec((None, None), tf.bool),
        cell[:n_kernels] * (2 * n_layers),
    ]
    return tf.function(layers_of, signature, autograph=False)
