"""Mixes the biLM's layers into one vector: the part of ELMo that every task trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_elmo.types import Shape, Tensor

_TINY = 1e-12


@keras.saving.register_keras_serializable(package="keras_elmo")
class ScalarMix(keras.Layer):
    """``gamma * sum_k softmax(w)_k * layer_k`` (Peters et al. 2018, equation 1).

    On the ``"layers"`` or ``"pooled_layers"`` of an
    :class:`~keras_elmo.ElmoEmbeddingLayer` it equals the layer's own mix, because mixing
    and mean pooling commute: compute features once, and still train the scalars.

    Args:
        layer_norm: Whether each layer is normalized before mixing, with one mean and
            one variance over all unmasked elements of the batch (AllenNLP's
            ``do_layer_norm``). It makes a sentence's vectors depend on its batch.
        initial_weights: The initial weights w, one per layer; by default zeros, for an even
            mix.
        initial_gamma: The initial scale gamma.
        regularizer: A Keras regularizer for w, such as ``keras.regularizers.L2(0.01)``,
            which pulls the mix towards an even one.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        layers: (batch, ..., n_layers, dim), for example (batch, time, n_layers, dim).
        mask: Booleans over the leading axes, (batch, time), or ``None`` for all true.

    Returns:
        The mix (batch, ..., dim). Masked positions are zeros.

    Raises:
        ValueError: ``initial_weights`` does not have one number per layer.
    """

    def __init__(
        self,
        layer_norm: bool = False,
        initial_weights: Sequence[float] | None = None,
        initial_gamma: float = 1.0,
        regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.layer_norm = layer_norm
        self.initial_weights = None if initial_weights is None else list(initial_weights)
        self.initial_gamma = initial_gamma
        self.regularizer = keras.regularizers.get(regularizer)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        n_layers = input_shape[-2]
        start = self.initial_weights
        start = [0.0] * n_layers if start is None else start
        if len(start) != n_layers:
            raise ValueError(
                f"initial_weights: expected one number per layer, {n_layers}; got "
                f"{len(start)}."
            )
        # Not Constant(list), which does not serialize.
        self.layer_weights = self.add_weight(
            (n_layers,),
            lambda shape, dtype: ops.convert_to_tensor(start, dtype),
            regularizer=self.regularizer,
            name="layer_weights",
            autocast=False,
        )
        gamma = keras.initializers.Constant(self.initial_gamma)
        self.gamma = self.add_weight((), gamma, name="gamma", autocast=False)

    def call(self, layers: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.layer_norm:
            layers = _normalize(layers, mask)  # (batch, ..., n_layers, dim)
        dtype = layers.dtype
        # In half precision, the scalars would hardly change, and sums would be rounded.
        layers = ops.cast(layers, keras.backend.result_type(dtype, "float32"))
        shares = ops.softmax(ops.cast(self.layer_weights, layers.dtype))  # (n_layers,)
        weights = ops.cast(self.gamma, layers.dtype) * shares  # (n_layers,)
        mixed = ops.sum(layers * weights[:, None], axis=-2)  # (batch, ..., dim)
        mixed = ops.cast(mixed, dtype)
        if mask is not None:
            mixed = mixed * ops.cast(mask, mixed.dtype)[..., None]
        return mixed

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        # On PyTorch, Keras cannot infer it without the number of layers.
        return (*input_shape[:-2], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer_norm": self.layer_norm,
            "initial_weights": self.initial_weights,
            "initial_gamma": self.initial_gamma,
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }


def _normalize(layers: Tensor, mask: Tensor | None) -> Tensor:
    """Normalizes each layer to mean 0 and variance 1 over the batch's unmasked elements."""
    if mask is None:
        mask = ops.ones(ops.shape(layers)[:-2], dtype="bool")
    dtype = layers.dtype
    # The sums and 1e-12 are outside the range of half precision.
    layers = ops.cast(layers, keras.backend.result_type(dtype, "float32"))
    unmasked = ops.cast(mask, layers.dtype)[..., None, None]  # (batch, ..., 1, 1)
    axes = [*range(len(layers.shape) - 2), -1]  # all but the axis of layers
    n_elements = ops.sum(unmasked) * layers.shape[-1]  # ()
    n_elements = ops.maximum(n_elements, 1)  # nothing but padding has no mean
    mean = ops.sum(layers * unmasked, axes, keepdims=True) / n_elements  # (1, .., n, 1)
    centered = (layers - mean) * unmasked  # (batch, ..., n_layers, dim)
    variance = ops.sum(ops.square(centered), axes, keepdims=True) / n_elements
    return ops.cast(centered / ops.sqrt(variance + _TINY), dtype)
