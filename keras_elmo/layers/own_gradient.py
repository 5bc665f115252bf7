"""Functions with a gradient of their own, on each backend of Keras."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from keras_elmo import backends
from keras_elmo.types import Tensor

_ONCE = "ELMo can be differentiated once, not a second time."


def with_gradient(
    forward: Callable[..., tuple[Tensor, Any]], backward: Callable[..., Sequence[Tensor]]
) -> Callable[..., Tensor]:
    """A function of integers, in any structure, and of tensors to differentiate by.

    Args:
        forward: From them, ``(integers, *tensors)``, to the result and to what the gradient
            will need.
        backward: From ``(integers, tensors, kept, d_result)`` to each tensor's gradient,
            which has none itself.
    """
    if backends.has_static_shapes():
        import jax

        # JAX differentiates later than it calls: nothing may be closed over.
        function = jax.custom_vjp(lambda *given: forward(*given)[0])

        def kept(integers: Any, *tensors: Tensor) -> Any:
            result, kept = forward(integers, *tensors)
            return result, (integers, tensors, kept)

        function.defvjp(kept, lambda kept, d: (None, *map(_once, backward(*kept, d))))
        return function

    def function_of(integers: Any, *tensors: Tensor) -> Tensor:
        def run(*tensors: Tensor) -> Any:
            result, kept = forward(integers, *tensors)

            def gradient(*given: Any, upstream: Tensor = None) -> tuple[Tensor, ...]:
                d_result = given[-1] if upstream is None else upstream
                return tuple(map(_once, backward(integers, tensors, kept, d_result)))

            return result, gradient

        return ops.custom_gradient(run)(*tensors)

    return function_of


def _once(gradient: Tensor) -> Tensor:
    if backends.is_tensorflow():
        import tensorflow as tf

        return tf.raw_ops.PreventGradient(input=gradient, message=_ONCE)
    if backends.has_static_shapes():
        import jax

        def refuse(*_: Any) -> Any:
            raise LookupError(_ONCE)

        identity = jax.custom_jvp(lambda x: x)
        identity.defjvp(refuse)
        return identity(gradient)
    if sys.modules["torch"].is_grad_enabled():
        raise LookupError(_ONCE)
    return gradient
