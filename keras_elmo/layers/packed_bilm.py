"""All layers of a biLM over packed sentences, as one TensorFlow function."""

from __future__ import annotations

import functools
from typing import Any

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
    """A ``tf.function`` of tensors, traced once.

    It has no variables: all models of the same shape share it, eagerly and in graphs.

    Its arguments are those of :meth:`~keras_elmo.layers.BidirectionalLM.run_packed`, and
    the kernels of all cells in one list: the forward direction's layer by layer, then the
    backward direction's.
    """
    import tensorflow as tf

    n_gates = 4 * units
    cell = Kernels(
        tf.TensorSpec((projection_dim, n_gates), equations.product_dtype),
        tf.TensorSpec((projection_dim, n_gates), equations.product_dtype),
        tf.TensorSpec((n_gates,), equations.compute_dtype),
        tf.TensorSpec((units, projection_dim), equations.product_dtype),
    )
    n_kernels = len(cell) - (projection_dim == units)

    def layers_of(vectors: Any, places: Any, mask: Any, kernels: list[Any]) -> Any:
        cells = [
            Kernels(*kernels[i : i + n_kernels]) for i in range(0, len(kernels), n_kernels)
        ]
        packing = pack(places, mask, 0, tf.shape(vectors)[0] - 1, keep_boundaries)
        directions = []
        for i in range(2):
            places = packing.places[i]  # (packed,)
            x = tf.gather(vectors, places)  # (packed, projection_dim)
            layers = [x]
            for k in range(n_layers):
                y = packed_lstm(
                    equations,
                    cells[i * n_layers + k],
                    vectors if k == 0 else x,
                    packing.offsets,
                    places if k == 0 else None,
                    differentiable,
                )  # (packed, projection_dim)
                x = x + y if use_skip_connections and k > 0 else y
                layers.append(x)
            stacked = tf.stack(layers, axis=1)  # (packed, n_layers + 1, projection_dim)
            # (batch, time, n_layers + 1, projection_dim)
            directions.append(tf.gather(stacked, packing.positions[i]))
        both = tf.concat(directions, axis=-1)
        return both * tf.cast(packing.mask, both.dtype)[..., None, None]

    signature = [
        tf.TensorSpec((None, projection_dim), equations.product_dtype),
        tf.TensorSpec((None, None), tf.int32),
        tf.TensorSpec((None, None), tf.bool),
        list(cell[:n_kernels]) * (2 * n_layers),
    ]
    return tf.function(layers_of, signature, autograph=False)
