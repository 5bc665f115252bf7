"""The bidirectional language model as a Keras model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_elmo.config import ElmoConfig
from keras_elmo.layers.carried_state import CarriedState
from keras_elmo.layers.elmo_bilm import ElmoBiLM
from keras_elmo.pretraining.recurrence import lstm
from keras_elmo.pretraining.sampled_softmax import SampledSoftmax
from keras_elmo.types import Tensor, check_positive_integer

DIRECTIONS = ("forward", "backward")


@keras.saving.register_keras_serializable(package="keras_elmo")
class Perplexity(keras.metrics.Mean):
    """The exponential of the mean negative log-likelihood in nats."""

    def result(self) -> Tensor:
        return ops.exp(super().result())


class BidirectionalLanguageModel(keras.Model):
    """Predicts each word from the words before it and from the words after it.

    The model of Peters et al. (2018): a forward and a backward language model that share
    the token encoder and the softmax. Train it on :class:`Windows` with any Keras
    optimizer::

        model.compile(optimizer="adam")
        model.fit(windows.dataset(sentences), shuffle=False)

    The loss is the mean negative log-likelihood of both directions; the metrics are
    ``perplexity`` and the perplexity of each direction. ``evaluate`` always uses the full
    softmax.

    Args:
        config: The biLM's configuration.
        vocabulary_size: The number of words to predict.
        batch_size: The number of rows of a window. The state is carried row by row.
        n_samples: The size of the sampled softmax; ``None`` for the full softmax.
        dropout: The dropout rate of the inputs of each LSTM layer and of the last layer's
            outputs.
        frequencies: The share of each word among the targets, (vocabulary_size,), from
            which the softmax starts. ``None`` for equal shares.
        seed: The seed of dropout and samples.
        **kwargs: Arguments of every Keras model (``name``, ``dtype``).

    Call arguments:
        window: A window that :class:`Windows` yields.
        training: Whether to apply dropout and sampling.

    Returns:
        The negative log-likelihood of each target in nats, (batch, time, 2), forward
        and backward; 0 if a step has no target.
    """

    def __init__(
        self,
        config: ElmoConfig,
        vocabulary_size: int,
        batch_size: int,
        n_samples: int | None = None,
        dropout: float = 0.0,
        frequencies: ArrayLike | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.bilm = ElmoBiLM(config, fine_tune="all", name="bilm", dtype=self.dtype_policy)
        self.dropout = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)
        self.softmax = SampledSoftmax(
            vocabulary_size, n_samples, seed, name="softmax", dtype=self.dtype_policy
        )
        sizes = [config.projection_dim, config.dim] * 2 * config.n_layers  # h, c
        # Evaluation between training steps must not change the state of training.
        self.training_state = CarriedState(sizes, name="training_state")
        self.evaluation_state = CarriedState(sizes, name="evaluation_state")
        self.start_state = CarriedState(sizes, name="start_state")
        self.perplexities = [
            Perplexity(name="perplexity"),
            *(Perplexity(name=f"{direction}_perplexity") for direction in DIRECTIONS),
        ]
        self.bilm.build((None, None, config.token_ids.length))
        self.softmax.build((None, None, config.projection_dim))
        batch_size = check_positive_integer("batch_size", batch_size)
        self.training_state.build((batch_size,))
        self.evaluation_state.build((batch_size,))
        self.start_state.build((1,))
        self.built = True
        if frequencies is not None:
            self.softmax.bias.assign(np.log(frequencies))

    def call(self, window: dict[str, Tensor], training: bool = False) -> Tensor:
        vectors = self.bilm.token_encoder(window["words"][None])[0]  # (words, projection)
        carried = self.training_state if training else self.evaluation_state
        starts = window["starts"][:, None]  # (batch, 1)
        states = [
            ops.where(starts, start, state)  # (batch, size)
            for start, state in zip(
                self.start_state.first_rows(1),
                carried.first_rows(ops.shape(starts)[0]),
                strict=True,
            )
        ]
        inputs = [ops.take(vectors, window[each], axis=0) for each in DIRECTIONS]
        last, states = self._run_lstms(inputs, states, training)
        carried.update(states)
        top = self.dropout(last, training=training)  # (batch, time, 2 * projection)
        losses = []
        for direction, x in zip(DIRECTIONS, ops.split(top, 2, axis=-1), strict=True):
            targets = window[f"{direction}_targets"]  # (batch, time)
            loss = self.softmax(x, ops.maximum(targets, 0), training=training)
            losses.append(ops.where(targets >= 0, loss, 0.0))  # (batch, time)
        return ops.stack(losses, axis=-1)  # (batch, time, 2)

    def _run_lstms(
        self, inputs: list[Tensor], states: list[Tensor], training: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """The last layer, (batch, time, 2 * projection_dim), and the final states.

        Padding needs no mask: it comes last in the order of processing.
        """
        assert self.bilm.lstms is not None  # this biLM has all layers
        cells = self.bilm.lstms.cells
        n_layers = self.config.n_layers
        new_states: list[Tensor] = []
        for layer in range(n_layers):
            outputs = []
            for backward, x in enumerate(inputs):  # (batch, time, projection_dim)
                cell = cells[backward * n_layers + layer]
                h, c = states[len(new_states) : len(new_states) + 2]
                read = self.dropout(x, training=training)
                y, *state = lstm(cell, read, h, c, reverse=bool(backward))
                is_added = self.config.use_skip_connections and layer > 0
                outputs.append(x + ops.cast(y, x.dtype) if is_added else y)
                new_states += state
            inputs = outputs
        return ops.concatenate(inputs, axis=-1), new_states

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        counts = ops.stack(
            [ops.sum(ops.cast(x[f"{d}_targets"] >= 0, "float32")) for d in DIRECTIONS]
        )  # (2,)
        sums = ops.sum(y_pred, axis=(0, 1))  # (2,)
        loss = ops.sum(sums) / ops.maximum(ops.sum(counts), 1)
        both, *each = self.perplexities
        both.update_state(loss, sample_weight=ops.sum(counts))
        for i, metric in enumerate(each):
            metric.update_state(
                sums[i] / ops.maximum(counts[i], 1), sample_weight=counts[i]
            )
        return loss

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self._loss_tracker, *self.perplexities]
