"""Products of matrices by the other library of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo.layers import matmul as module
from keras_elmo.layers.matmul import for_many_products, matmul

pytestmark = [
    pytest.mark.any_backend,
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="for PyTorch"),
]


@pytest.mark.parametrize("rows", [0, 1, 5])
@pytest.mark.parametrize("inner", [0, 1, 4])
@pytest.mark.parametrize("columns", [0, 1, 3])
def test_products_and_gradients_are_pytorchs(
    rows: int, inner: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever library is faster here; also second gradients."""
    import torch

    monkeypatch.setattr(module, "_onednn_pays", lambda: True)
    rng = np.random.default_rng(0)
    sizes = (rows, inner), (inner, columns), (rows, columns)
    arrays = [torch.tensor(rng.normal(size=s), requires_grad=True) for s in sizes]

    def results(product: Callable[..., Any], dtype: Any) -> list[Any]:
        x, y, weights = (array.to(dtype) for array in arrays)
        result = product(x, y)
        loss = (result**2 * weights).sum()
        first = torch.autograd.grad(loss, arrays[:2], create_graph=True)
        second = torch.autograd.grad(sum((g**2).sum() for g in first), arrays[:2])
        return [each.detach().numpy() for each in (result, *first, *second)]

    expected = results(torch.mm, torch.float64)
    for product in (matmul, lambda x, y: matmul(x, for_many_products(y))):
        for one, other in zip(results(product, torch.float32), expected, strict=True):
            largest = np.abs(other).max(initial=1)
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * largest)


def test_other_types_and_exports_have_pytorchs_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    monkeypatch.setattr(module, "_onednn_pays", lambda: True)
    monkeypatch.setattr(module, "_by_onednn", None)
    x = torch.arange(6.0).reshape(2, 3)
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        assert torch.equal(matmul(x.to(dtype), x.T.to(dtype)), (x @ x.T).to(dtype))

    class Square(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return matmul(x, for_many_products(x.T))

    exported = torch.export.export(Square(), (x,)).module()
    assert torch.equal(exported(2 * x), 4 * x @ x.T)
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        matmul(x, x.T)


@pytest.mark.parametrize(("seconds", "pays"), [(0.6, True), (0.7, False)])
def test_the_faster_library(
    seconds: float, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where both are close, as on Intel's processors, PyTorch's choice stays."""
    times = iter([[2.0, seconds], [1.0, 1.1]])
    monkeypatch.setattr("timeit.repeat", lambda *_, **__: next(times))
    assert module._onednn_pays.__wrapped__() is pays
