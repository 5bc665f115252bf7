"""Products of two matrices."""

from __future__ import annotations

import functools
import sys
import timeit
from typing import Any

import keras
from keras import ops

from keras_elmo.types import Tensor


def matmul(x: Tensor, y: Tensor) -> Tensor:
    """The product of two matrices, by the faster one of PyTorch's libraries.

    PyTorch multiplies float32 with Intel's MKL, which on AMD's processors reaches half the
    rate of oneDNN, which PyTorch has too.
    """
    if _may_use_onednn(x, y):
        return _product().apply(x, y)
    return ops.matmul(x, y)


def for_many_products(y: Tensor) -> Tensor:
    """A matrix, laid out in memory as :func:`matmul` reads its second argument fastest."""
    return y.T.contiguous().T if _may_use_onednn(y) else y


def _may_use_onednn(*matrices: Any) -> bool:
    if keras.backend.backend() != "torch":
        return False
    torch = sys.modules["torch"]
    return (
        not (torch.jit.is_tracing() or torch.compiler.is_compiling())
        and all(x.dtype == torch.float32 and x.device.type == "cpu" for x in matrices)
        and all(len(x.shape) == 2 and x.numel() for x in matrices)
        and _onednn_pays()
    )


@functools.cache
def _product() -> Any:
    class Product(sys.modules["torch"].autograd.Function):  # type: ignore[misc]
        """With a gradient, which PyTorch's own function lacks."""

        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            ctx.save_for_backward(x, y)
            return _by_onednn(x, y)

        @staticmethod
        def backward(ctx: Any, d: Any) -> Any:
            x, y = ctx.saved_tensors
            needs_x, needs_y = ctx.needs_input_grad
            return matmul(d, y.T) if needs_x else None, matmul(x.T, d) if needs_y else None

    return Product


def _by_onednn(x: Any, y: Any) -> Any:
    # What torch.compile makes of a linear layer.
    return sys.modules["torch"].ops.mkldnn._linear_pointwise(x, y.T, None, "none", [], "")


@functools.cache
def _onednn_pays() -> bool:
    """Whether oneDNN takes at most two thirds of the time, measured once in 10 ms."""
    torch = sys.modules["torch"]
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # built without oneDNN
        return False
    x, y = torch.ones(32, 512), torch.ones(512, 2048)
    one, other = (
        min(timeit.repeat(functools.partial(product, x, y), number=1, repeat=6))
        for product in (_by_onednn, torch.mm)
    )
    return one < other * 2 / 3
