"""Training on one device, on several, or on several machines: what --strategy means."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import keras

STRATEGIES = ("none", "mirrored", "multi-worker", "data-parallel")
DEVICES = 2  # where the processor is divided


class StrategyError(ValueError):
    """The strategy cannot be had here; the message begins with the argument."""


@dataclasses.dataclass(frozen=True)
class Strategy:
    """Where a model is trained.

    Attributes:
        scope: Makes the context in which the model is made.
        n_devices: Among how many devices each batch is divided.
        divides_evenly: Whether a batch has to have as many rows for each device.
        is_chief: Whether this process is the one that writes files.
    """

    scope: Callable[[], Any] = contextlib.nullcontext
    n_devices: int = 1
    divides_evenly: bool = False
    is_chief: bool = True

    def divisible(self, texts: Any, labels: Any) -> tuple[Any, Any]:
        """Leaves out the last few texts, where each device has to have as many."""
        n = len(texts)
        if self.divides_evenly:
            n -= n % self.n_devices
        return texts[:n], labels[:n]


def start(name: str, devices: int | None = None) -> Strategy:
    """Prepares the devices, before anything is computed.

    Args:
        name: One of ``STRATEGIES``.
        devices: How many; ``None`` for all GPUs or, without, for two parts of the
            processor.

    Returns:
        The strategy.

    Raises:
        StrategyError: The backend, the devices or the environment do not allow it.
    """
    if devices is not None and name not in ("mirrored", "data-parallel"):
        raise StrategyError(f"argument --devices: has no effect with --strategy {name}")
    if name == "none":
        return Strategy()
    backend = keras.backend.backend()
    needed = "jax" if name == "data-parallel" else "tensorflow"
    if backend != needed:
        raise StrategyError(
            f"argument --strategy: {name} needs KERAS_BACKEND={needed}; this is {backend}"
        )
    if name == "data-parallel":
        return _data_parallel(devices)
    return _multi_worker() if name == "multi-worker" else _mirrored(devices)


def _mirrored(devices: int | None) -> Strategy:
    """All weights on each device of this machine."""
    import tensorflow as tf

    kind, n_devices = "GPU", len(tf.config.list_physical_devices("GPU"))
    if not n_devices:
        kind, n_devices = "CPU", devices or DEVICES
        parts = [tf.config.LogicalDeviceConfiguration()] * n_devices
        processor = tf.config.list_physical_devices("CPU")[0]
        try:
            tf.config.set_logical_device_configuration(processor, parts)
        except RuntimeError as error:
            raise StrategyError(f"argument --strategy: {error}") from error
    names = [f"/{kind.lower()}:{i}" for i in range(_at_most(devices, n_devices))]
    strategy = tf.distribute.MirroredStrategy(names)
    return Strategy(strategy.scope, len(names))


def _multi_worker() -> Strategy:
    """All weights in each of the processes that TF_CONFIG names."""
    import tensorflow as tf

    try:
        task = json.loads(os.environ["TF_CONFIG"])["task"]
        is_chief = task["type"] == "chief" or task["index"] == 0
    except (KeyError, TypeError, ValueError) as error:
        raise StrategyError(
            "argument --strategy: multi-worker needs the environment variable TF_CONFIG, "
            'such as {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": '
            '{"type": "worker", "index": 0}}'
        ) from error
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    return Strategy(strategy.scope, strategy.num_replicas_in_sync, is_chief=is_chief)


def _data_parallel(devices: int | None) -> Strategy:
    """All weights on each device that JAX has."""
    import jax

    try:
        jax.config.update("jax_num_cpu_devices", devices or DEVICES)
    except RuntimeError as error:
        raise StrategyError(f"argument --strategy: {error}") from error
    names = keras.distribution.list_devices()  # GPUs, where there are
    names = names[: _at_most(devices, len(names))]
    distribution = keras.distribution.DataParallel(devices=names)
    keras.distribution.set_distribution(distribution)
    return Strategy(n_devices=len(names), divides_evenly=True)


def _at_most(devices: int | None, there: int) -> int:
    if devices is not None and devices > there:
        raise StrategyError(f"argument --devices: there are {there}")
    return devices or there
