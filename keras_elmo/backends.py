"""Differences between the backends of Keras, and advice when one is missing something."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import keras

KERAS_2 = (
    "Models of tf_keras, which TF_USE_LEGACY_KERAS=1 makes tf.keras, cannot hold layers of "
    "Keras 3: build the model with `import keras` and keras.Input, keras.Model and so on."
)


def warn_of_keras_2() -> None:
    """Warns that ``tf.keras`` models will refuse the layer."""
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true")
    if legacy and "tf_keras" in sys.modules:
        warnings.warn(KERAS_2, stacklevel=3)


def is_tensorflow() -> bool:
    return str(keras.backend.backend()) == "tensorflow"


def generated_dataset(generator: Callable[[], Iterable[Any]], signature: Any) -> Any:
    """A ``tf.data.Dataset`` of what a generator yields, computed two elements ahead.

    Without tf.data's autotuning, which has nothing to tune here and can delay the end of a
    pass. Its thread sleeps twice as long each time, up to a minute. TensorFlow 2.21 wakes
    it before it can see that the pass is over, and then waits until it has slept again.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(generator, output_signature=signature)
    return dataset.prefetch(2).with_options(options)


def has_static_shapes() -> bool:
    """Whether Keras runs on JAX, where shapes cannot depend on values."""
    return str(keras.backend.backend()) == "jax"


def is_in_tensorflow_graph() -> bool:
    """Whether TensorFlow is tracing a function, for example to export a model."""
    if not is_tensorflow():
        return False
    import tensorflow as tf

    return not tf.executing_eagerly()


def is_in_jax_program(tensor: Any) -> bool:
    """Whether JAX is tracing a function in which this is computed."""
    return has_static_shapes() and isinstance(tensor, sys.modules["jax"].core.Tracer)


def words_may_be_found(training: bool | None, ids: Any) -> bool:
    """Whether the current call can find the distinct words of ids, and their padding.

    On JAX, in a program of known sizes on one device; by hand, each call would compile one.
    Elsewhere, if shapes may depend on values: not in functions that XLA or PyTorch
    compiles, and in exports to ONNX, which call layers with ``training=None``, unlike
    ``fit``, ``evaluate`` and ``predict``.
    """
    if is_tensorflow():
        import tensorflow as tf
        from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

        if tf.executing_eagerly():
            return True
        in_xla = GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())
        return training is not None and not in_xla
    if str(keras.backend.backend()) == "torch":
        torch = sys.modules["torch"]
        return not (torch.jit.is_tracing() or torch.compiler.is_compiling())
    is_known = all(isinstance(size, int) and size for size in ids.shape)
    is_known = is_known and is_in_jax_program(ids)
    return is_known and keras.distribution.distribution() is None


def runs_operation_by_operation() -> bool:
    """Whether TensorFlow runs a layer's operations as Python comes to them."""
    if not is_tensorflow():
        return False
    import tensorflow as tf

    # In such a scope variables have values for this call alone.
    with keras.StatelessScope(initialize_variables=False) as scope:
        return tf.executing_eagerly() and scope.original_scope is None


def tensorflow_function(
    function: Callable[[Any], Any], shape: tuple[int | None, ...], dtype: Any
) -> Callable[[Any], Any]:
    """A ``tf.function`` with one trace."""
    import tensorflow as tf

    return tf.function(function, [tf.TensorSpec(shape, dtype)], autograph=False)


def compiled(
    function: Callable[[Any], Any], layer: Any, shape: tuple[int | None, ...], dtype: str
) -> Callable[[Any], Any]:
    """Compiles a function that uses a layer, from and to NumPy; PyTorch runs it eagerly."""
    if is_tensorflow():
        run = tensorflow_function(function, shape, dtype)
    elif has_static_shapes():
        import jax

        @jax.jit
        def with_values(values: Any, inputs: Any) -> Any:
            # The layer's current values: as constants they would never change.
            with keras.StatelessScope(zip(layer.variables, values, strict=True)):
                return function(inputs)

        def run(inputs: Any) -> Any:
            return with_values([variable.value for variable in layer.variables], inputs)

    else:
        torch = sys.modules["torch"]

        def run(inputs: Any) -> Any:
            with torch.no_grad():
                return function(keras.ops.convert_to_tensor(inputs))

    return lambda inputs: keras.tree.map_structure(keras.ops.convert_to_numpy, run(inputs))


def is_out_of_memory(error: Exception) -> bool:
    """Whether a backend or Python ran out of memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError")
        or "RESOURCE_EXHAUSTED" in str(error)  # JAX has one class for all
        or "DefaultCPUAllocator" in str(error)  # PyTorch, outside its devices
    )


def needs_tensorflow(what: str, instead: str) -> None:
    """Refuses ``what`` on another backend, with the instruction ``instead``."""
    if not is_tensorflow():
        raise ValueError(
            f"{what} needs the TensorFlow backend of Keras; this is the "
            f"{keras.backend.backend()!r} backend. {instead} Or set "
            "KERAS_BACKEND=tensorflow in the environment before Keras is imported."
        )


def needs_one_replica(what: str) -> None:
    """Refuses ``what`` if a ``tf.distribute`` strategy with several devices is in scope."""
    if not is_tensorflow():
        return
    import tensorflow as tf

    n = int(tf.distribute.get_strategy().num_replicas_in_sync)
    if n > 1:
        raise ValueError(
            f"{what} does not work under a tf.distribute strategy with {n} devices, which "
            "have different rows of each batch. Leave it out, or train on one device."
        )


def check_input_mode(input_mode: str) -> None:
    """Refuses strings if the backend has none, and names what to use instead."""
    if input_mode != "character_ids":
        needs_tensorflow(
            f"input_mode={input_mode!r} takes strings and",
            "Use input_mode='character_ids', with the ids that keras_elmo.text_dataset or "
            "keras_elmo.batch_to_character_ids makes.",
        )
