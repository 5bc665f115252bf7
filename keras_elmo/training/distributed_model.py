"""A Keras model that trains on several devices, or machines, as on one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_elmo import backends
from keras_elmo.errors import WorkerLostError
from keras_elmo.types import Tensor


@keras.saving.register_keras_serializable(package="keras_elmo")
class DistributedModel(keras.Model):
    """``keras.Model`` for texts under a strategy of ``tf.distribute``.

    Made from inputs and outputs under ``strategy.scope()``, it has the ``compile``,
    ``fit``, ``evaluate`` and ``predict`` of every Keras model, and the losses and weights
    that it would have on one device. Each batch is divided among the devices. It adds to
    Keras 3:

    - Strings: ``fit`` takes the mean of a first batch over the devices, which strings do
      not have. Nothing is read of the data beforehand, so that its order is as on one
      device.
    - ``tf.distribute.MultiWorkerMirroredStrategy``, under which ``fit`` averages numbers
      over an axis that they do not have (keras-team/keras #20585).
    - Batches that do not divide evenly, as an epoch's last one: each text, or each token
      that is not masked, weighs the same. Keras weighs each device the same.
    - One error that says what to do when a worker is lost.

    Without a strategy, and on other backends, it is ``keras.Model``. Model, layers,
    optimizer and ``compile`` belong under the same scope.

    Args:
        *args: As ``keras.Model`` takes them: inputs and outputs.
        **kwargs: As ``keras.Model`` takes them.

    Raises:
        ValueError: A layer was made outside of the scope that the model is made in; or,
            by ``fit``, the optimizer accumulates gradients, which Keras does not do under
            a strategy.
        WorkerLostError: By ``fit``, ``evaluate`` and ``predict``: another worker has
            ended or does not answer.

    Example:
        >>> import keras
        >>> import tensorflow as tf
        >>> from keras_elmo import ElmoEmbeddingLayer
        >>> from keras_elmo.training import DistributedModel
        >>> strategy = tf.distribute.MirroredStrategy()
        >>> with strategy.scope():
        ...     text = keras.Input((), dtype="string")
        ...     score = keras.layers.Dense(1, "sigmoid")(ElmoEmbeddingLayer("mini")(text))
        ...     model = DistributedModel(text, score)
        ...     model.compile("adam", "binary_crossentropy")
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if backends.n_replicas() > 1:
            self._check_scope()

    def _check_scope(self) -> None:
        import tensorflow as tf

        for variable in self.variables:
            if not isinstance(variable.value, tf.distribute.DistributedValues):
                raise ValueError(
                    f"The variable {variable.path!r} was made outside of the scope of "
                    f"{_name(tf.distribute.get_strategy())}: make all layers of the model "
                    "under strategy.scope()."
                )

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Trains as Keras does."""
        self._check_optimizer()
        with self._naming_lost_workers():
            return super().fit(*args, **kwargs)

    def _check_optimizer(self) -> None:
        steps = getattr(self.optimizer, "gradient_accumulation_steps", None)
        if steps and self._n_replicas > 1:
            raise ValueError(
                f"gradient_accumulation_steps={steps}: Keras does not accumulate gradients "
                "under a tf.distribute strategy (keras-team/keras #20582). Leave it out, "
                "or train on one device."
            )

    @property
    def _n_replicas(self) -> int:
        """Among how many devices ``fit`` divides a batch."""
        if not backends.is_tensorflow():
            return 1
        return int(self.distribute_strategy.num_replicas_in_sync)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluates as Keras does."""
        with self._naming_lost_workers():
            return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predicts as Keras does."""
        with self._naming_lost_workers():
            return super().predict(*args, **kwargs)

    def train_step(self, *args: Any) -> Any:
        """One step of training, as Keras does it."""
        return self._averageable(super().train_step(*args))

    def test_step(self, *args: Any) -> Any:
        """One step of evaluation, as Keras does it."""
        return self._averageable(super().test_step(*args))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """The loss of Keras, with gradients by each device's part of the batch."""
        if training and y_pred is not None and backends.n_replicas() > 1:
            y_pred = keras.tree.map_structure(_with_the_weight_of_its_part, y_pred)
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        # Run eagerly, Keras has no number where a device has no rows.
        return keras.ops.sum(loss) if tuple(loss.shape) == (0,) else loss

    def _averageable(self, logs: dict[str, Tensor]) -> dict[str, Tensor]:
        # Over several workers Keras takes the mean over axis 0 of each.
        if self._in_a_cluster:
            return {name: value[None] for name, value in logs.items()}  # (1,)
        return logs

    @property
    def _in_a_cluster(self) -> bool:
        if self._n_replicas == 1:
            return False
        import tensorflow as tf

        workers = tf.distribute.MultiWorkerMirroredStrategy
        return isinstance(self.distribute_strategy, workers)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Builds metrics and loss for the shapes of the data, without reading any."""
        if iterator is not None and self._n_replicas > 1:
            specs = iterator._get_iterator().element_spec
            data_batch = keras.tree.map_structure(_of_one_device, specs)
            iterator = None
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    @contextlib.contextmanager
    def _naming_lost_workers(self) -> Iterator[None]:
        if not self._in_a_cluster:
            yield
            return
        import tensorflow as tf

        errors = tf.errors
        lost = (
            errors.UnavailableError,
            errors.AbortedError,
            errors.CancelledError,
            errors.DeadlineExceededError,
        )
        try:
            yield
        except lost as error:
            raise WorkerLostError(
                "Another worker of the cluster has ended or does not answer, and training "
                "cannot go on without it. Start all workers again, where "
                "keras_elmo.TrainingBackup goes on from the last epoch. TensorFlow says: "
                f"{_reason(error)}"
            ) from error


def _name(strategy: Any) -> str:
    return type(strategy).__name__


def _of_one_device(spec: Any) -> Any:
    """The shape and dtype of the part that one device gets of a batch."""
    import tensorflow as tf

    return tf.nest.flatten(spec, expand_composites=True)[0]


def _with_the_weight_of_its_part(prediction: Tensor) -> Tensor:
    """Lets a device's gradients count by its part of the batch.

    Keras takes the mean over what a device has, and then over the devices. The value of
    the loss stays that mean, since the metrics weigh it by rows.

    Args:
        prediction: A model's output (rows, ...), with a Keras mask or none.

    Returns:
        The same values, whose gradients are multiplied by how much more the device has
        than the average of all.
    """
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    mask = getattr(prediction, "_keras_mask", None)
    if replica is None:  # the model is being built
        return prediction
    if mask is None:
        count = tf.cast(tf.shape(prediction)[0], tf.float32)  # ()
    else:
        count = tf.reduce_sum(tf.cast(mask, tf.float32))  # ()
    total = replica.all_reduce(tf.distribute.ReduceOp.SUM, count)  # ()
    weight = tf.math.divide_no_nan(count * replica.num_replicas_in_sync, total)  # ()

    def weighted(values: Tensor) -> tuple[Tensor, Any]:
        return tf.identity(
            values
        ), lambda upstream: upstream * tf.cast(weight, upstream.dtype)

    result = tf.custom_gradient(weighted)(prediction)  # (rows, ...)
    if mask is not None:
        result._keras_mask = mask
    return result


def _reason(error: Exception) -> str:
    """What TensorFlow says at the end of an error in a graph, in one line."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    first = next((i for i, line in enumerate(lines) if "aborted by" in line), 0)
    # The line below names the worker, or says more.
    return " ".join(" ".join(lines[first : first + 2]).split())
