"""From the layers of tokens to the outputs by their names, in an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from keras_elmo.layers.output_modes import OUTPUTS
from keras_elmo.onnx.graph import FLOAT, Graph
from keras_elmo.types import OutputMode

_TINY = 1e-12  # as in keras_elmo.layers.scalar_mix


class Mix(NamedTuple):
    """A scalar mix: gamma times the softmax of its weights, and its layer norm."""

    weights: Sequence[float]  # (n_layers + 1,)
    layer_norm: bool


def output(
    g: Graph, mode: OutputMode, layers: Sequence[str], mask: str, mix: Mix | None
) -> str:
    """One output of layers (batch, time, D), which are zeros where the mask is false."""
    stages = OUTPUTS[mode]
    if stages.layer == 0:
        return str(g.Split(layers[0], n_outputs=2, axis=2)[0])  # (batch, time, D / 2)
    if stages.layer is not None:
        return layers[stages.layer]
    unmasked = g.Cast(mask, to=FLOAT)  # (batch, time)
    if stages.mixed and mix is not None and mix.layer_norm:
        layers = [_normalized(g, x, unmasked) for x in layers]
    if stages.pooled:
        # The mean and the mix commute.
        n_tokens = g.Max(g.ReduceSum(unmasked, [1]), 1.0)  # (batch, 1)
        layers = [g.Div(g.ReduceSum(x, [1], keepdims=0), n_tokens) for x in layers]
    if stages.mixed:
        assert mix is not None
        parts = [g.Mul(x, w) for x, w in zip(layers, mix.weights, strict=True)]
        return str(g.Sum(*parts))  # (batch, time, D) or (batch, D)
    axis = 1 if stages.pooled else 2
    return str(g.Concat(*(g.Unsqueeze(x, [axis]) for x in layers), axis=axis))


def _normalized(g: Graph, layer: str, unmasked: str) -> str:
    """A layer with mean 0 and variance 1 over the elements of the batch's tokens."""
    unmasked = g.Unsqueeze(unmasked, [2])  # (batch, time, 1)
    ones = g.Expand(unmasked, g.Shape(layer))  # (batch, time, D)
    n = g.Max(g.ReduceSum(ones, keepdims=0), 1.0)  # ()
    mean = g.Div(g.ReduceSum(layer, keepdims=0), n)  # ()
    centered = g.Mul(g.Sub(layer, mean), unmasked)  # (batch, time, D)
    variance = g.Div(g.ReduceSum(g.Mul(centered, centered), keepdims=0), n)
    return str(g.Div(centered, g.Sqrt(g.Add(variance, _TINY))))
