"""Vectors of one model in the space of another."""

from __future__ import annotations

from typing import Any, Self

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_elmo.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_elmo")
class Alignment(keras.Layer):
    """Maps vectors into another model's space: ``vectors @ matrix.T``.

    With one ELMo for each language and matrices that lead into a common space, a model that
    is trained on the vectors of one language works on those of the others (Schuster et al.
    2019, "Cross-lingual alignment of contextual word embeddings"). AllenNLP's
    ``ElmoTokenEmbedderMultiLang`` computes the same after its scalar mix.
    :func:`~keras_elmo.vectors.learn_alignment` learns matrices;
    :func:`~keras_elmo.weights.torch_file.read_tensor` reads published ones.

    The matrices are weights that do not train. They are saved with the model; the config
    holds their shape only, and a copy made from it starts from identity matrices.

    Args:
        matrix: One matrix (outputs, inputs), or one for each layer, (n_layers, outputs,
            inputs) or a list of matrices. The two sizes are usually the same.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``).

    Call arguments:
        inputs: (..., inputs), such as the output modes ``"elmo"``, ``"lstm_outputs1"`` or
            ``"default"``; with a matrix for each layer (..., n_layers, inputs), such as
            ``"layers"`` or ``"pooled_layers"``.

    Returns:
        The vectors (..., outputs) or (..., n_layers, outputs), with the mask of the inputs.
        Masked positions stay zeros.

    Raises:
        ValueError: The matrices are not numbers, do not have two or three axes, or do not
            fit the inputs.

    Example:
        >>> import numpy as np
        >>> from keras_elmo import ElmoEmbeddingLayer
        >>> from keras_elmo.layers import Alignment
        >>> swap_halves = np.roll(np.eye(512), 256, axis=0)
        >>> layer = ElmoEmbeddingLayer("mini", output_mode="lstm_outputs1")
        >>> aligned = Alignment(swap_halves)(layer(["The river bank", "Hello"]))
        >>> aligned.shape
        TensorShape([2, 3, 512])
    """

    def __init__(self, matrix: ArrayLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        try:
            self._start = np.asarray(matrix, np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "matrix: expected numbers (outputs, inputs), or one such matrix for each "
                f"layer; got {' '.join(repr(matrix).split()):.100}. "
                "keras_elmo.weights.torch_file.read_tensor reads files."
            ) from error
        if self._start.ndim not in (2, 3):
            raise ValueError(
                "matrix: expected (outputs, inputs), or (n_layers, outputs, inputs); got "
                f"the shape {self._start.shape}."
            )
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        shape = self._start.shape
        ends = (*shape[:-2], shape[-1])  # ([n_layers,] inputs)
        found = tuple(input_shape[-len(ends) :])
        if len(found) < len(ends) or any(
            size not in (None, end) for size, end in zip(found, ends, strict=True)
        ):
            raise ValueError(
                f"Alignment: a matrix of shape {shape} needs inputs whose shape ends in "
                f"{ends}; got {tuple(input_shape)}. Matrices for each layer go with "
                "output_mode='layers' or 'pooled_layers'."
            )
        self.matrix = self.add_weight(
            shape,
            # Not Constant(array), which does not serialize.
            lambda shape, dtype: ops.convert_to_tensor(self._start, dtype),
            trainable=False,
            name="matrix",
        )

    def call(self, inputs: Tensor) -> Tensor:
        if len(self.matrix.shape) == 2:
            return ops.matmul(inputs, ops.transpose(self.matrix))  # (..., outputs)
        # (..., n_layers, outputs)
        return ops.einsum("...ld,led->...le", inputs, self.matrix)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self._start.shape[-2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shape": list(self._start.shape)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        shape = config.pop("shape")
        return cls(np.broadcast_to(np.eye(*shape[-2:]), shape), **config)
