"""Products with constant matrices, in float32 or in 8-bit integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.onnx.graph import FLOAT, Graph

# 7 bits: without VNNI, processors add pairs of products in 16 bits, which those of 8-bit
# weights exceed.
_LARGEST_WEIGHT = 63
_LARGEST_INPUT, _ZERO_POINT = 127, np.array(128, np.uint8)
_TINY = 1e-12


class Matrix:
    """A constant matrix (n, m) that nodes multiply rows (rows, n) with.

    With ``int8``, each of its columns has a scale, and each row gets one when the graph
    runs, so that no row's result depends on the others.
    """

    def __init__(self, array: NDArray[np.float32], int8: bool) -> None:
        self._scales: NDArray[np.float32] | None = None  # (m,)
        self._matrix: NDArray[Any] = np.ascontiguousarray(array)
        if int8:
            largest = np.maximum(np.abs(array).max(axis=0), _TINY)  # (m,)
            self._scales = (largest / _LARGEST_WEIGHT).astype(np.float32)
            self._matrix = np.round(array / self._scales).astype(np.int8)

    def __call__(self, g: Graph, x: str, plus: Any) -> str:
        """The product (rows, m), plus what broadcasts to it, if there is anything.

        The matrix becomes a constant of the graph, once for each product.
        """
        if self._scales is None:
            return str(g.Gemm(x, self._matrix, plus))
        largest = g.ReduceMax(g.Abs(x), axes=[1], keepdims=0)  # (rows,)
        scales = g.Div(g.Max(largest, _TINY), float(_LARGEST_INPUT))  # (rows,)
        zeros = g.Expand(_ZERO_POINT, g.Shape(scales))  # (rows,)
        rows = g.QuantizeLinear(x, scales, zeros, axis=0)  # (rows, n)
        product = g.MatMulInteger(rows, self._matrix, _ZERO_POINT)
        product = g.Mul(g.Cast(product, to=FLOAT), self._scales)  # (rows, m)
        product = g.Mul(product, g.Unsqueeze(scales, [1]))
        return str(product if plus is None else g.Add(product, plus))
