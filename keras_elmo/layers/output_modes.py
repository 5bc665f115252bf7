"""The output modes of the layer: their stages and shapes."""

from __future__ import annotations

from dataclasses import dataclass

from keras_elmo.types import OutputMode, Tensor


@dataclass(frozen=True)
class Output:
    """One ``output_mode``.

    Attributes:
        mixed: Whether it uses the scalar mix.
        pooled: Whether it is a mean over tokens, without a time axis and a mask.
        layer: The number of the layer that is the output, so that higher layers are not
            needed; 0 for the token vectors, which are half as long. ``None`` for all
            layers.
    """

    mixed: bool = False
    pooled: bool = False
    layer: int | None = None

    def depth(self, n_layers: int) -> int:
        """The number of LSTM layers that it needs of a model with ``n_layers``."""
        return n_layers if self.layer is None else self.layer

    def selected(self, layers: Tensor) -> Tensor:
        """The output's layer, or all, from layers (batch, time, depth + 1, D)."""
        if self.layer is None:
            return layers
        one = layers[:, :, self.layer]  # (batch, time, D)
        return one if self.layer else one[..., : one.shape[-1] // 2]  # half of it

    def shape(
        self, batch: int | None, time: int | None, n_layers: int, dim: int
    ) -> tuple[int | None, ...]:
        steps = () if self.pooled else (time,)
        if self.layer == 0:
            return (batch, *steps, dim // 2)
        if self.layer is not None or self.mixed:
            return (batch, *steps, dim)
        return (batch, *steps, n_layers + 1, dim)


OUTPUTS: dict[OutputMode, Output] = {
    "default": Output(mixed=True, pooled=True),
    "elmo": Output(mixed=True),
    "word_emb": Output(layer=0),
    "lstm_outputs1": Output(layer=1),
    "lstm_outputs2": Output(layer=2),
    "layers": Output(),
    "pooled_layers": Output(pooled=True),
}
