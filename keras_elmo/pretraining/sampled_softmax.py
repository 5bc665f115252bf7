"""The output layer of a language model with a large vocabulary."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_elmo.layers.own_gradient import with_gradient
from keras_elmo.types import Shape, Tensor, check_positive_integer


@keras.saving.register_keras_serializable(package="keras_elmo")
class SampledSoftmax(keras.Layer):
    """A softmax over a vocabulary; in training, over a sample of it.

    In training, the normalizing sum over the vocabulary is estimated from the target and
    a sample of other words, the same for all targets of a call (Jean et al. 2015).
    The words, sorted by frequency, have log-uniform probabilities: the word of rank r
    has log(1 + 1 / (r + 1)) / log(vocabulary_size + 1).

    The sample is drawn without replacement: it consists of the words with the highest
    log-probability plus Gumbel noise. The best word outside the sample sets a threshold t;
    given t, a word of probability p is in the sample with probability 1 - exp(-p exp(-t)).
    Each term of the sum is divided by this probability, which makes the estimate of the sum
    unbiased (Duffield et al. 2007; Vieira 2017), however few words are drawn.

    Args:
        vocabulary_size: The number of words.
        n_samples: The number of words to draw, less than ``vocabulary_size``; ``None`` for
            the full softmax in training too.
        seed: The seed of the draws.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        inputs: (batch, time, features).
        targets: Integers (batch, time), from 0 to ``vocabulary_size - 1``.
        training: Whether to sample.

    Returns:
        The negative log-likelihood of each target in nats, float32 (batch, time).

    Raises:
        ValueError: A size is less than 1, or ``n_samples`` is too large.
    """

    def __init__(
        self,
        vocabulary_size: int,
        n_samples: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = check_positive_integer("vocabulary_size", vocabulary_size)
        if n_samples is not None:
            n_samples = check_positive_integer("n_samples", n_samples)
            if n_samples >= vocabulary_size:
                raise ValueError(
                    f"n_samples must be less than vocabulary_size = {vocabulary_size}, or "
                    f"None for the full softmax; got {n_samples!r}."
                )
        self.n_samples = n_samples
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Shape, *_: Any) -> None:
        features = input_shape[-1]
        # Cast after a few rows are taken, not as a whole.
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.vocabulary_size, features),
            initializer=keras.initializers.RandomNormal(stddev=features**-0.5),
            autocast=False,
        )
        # The logarithms of frequencies are too large for half precision.
        self.bias = self.add_weight(
            name="bias", shape=(self.vocabulary_size,), initializer="zeros", autocast=False
        )

    def call(self, inputs: Tensor, targets: Tensor, training: bool = False) -> Tensor:
        if training and self.n_samples is not None:
            return self._sampled(inputs, targets)
        return self._full(inputs, targets)

    def _full(self, inputs: Tensor, targets: Tensor) -> Tensor:
        kernel = ops.cast(self.kernel, self.compute_dtype)  # (vocabulary, features)

        def step(pair: tuple[Tensor, Tensor]) -> Tensor:
            x, target = pair  # (batch, features), (batch,)
            products = ops.matmul(x, ops.transpose(kernel))  # (batch, vocabulary)
            logits = ops.cast(products, "float32") + self.bias
            true = ops.take_along_axis(logits, target[:, None], axis=-1)[:, 0]  # (batch,)
            return ops.logsumexp(logits, axis=-1) - true

        # Step by step: the logits of all steps would fill the memory.
        by_step = (ops.swapaxes(inputs, 0, 1), ops.swapaxes(targets, 0, 1))
        return ops.swapaxes(ops.map(step, by_step), 0, 1)  # (batch, time)

    def _sampled(self, inputs: Tensor, targets: Tensor) -> Tensor:
        sample, log_inclusion = self.draw()  # (samples,) each
        target = ops.cast(targets, "int32")  # (batch, time)
        products = inputs * self._rows(target)  # (batch, time, features)
        products = ops.cast(products, "float32")
        true = ops.sum(products, axis=-1) + ops.take(self.bias, target)  # (batch, time)
        offset = ops.take(self.bias, sample) - log_inclusion  # (samples,)
        function = with_gradient(_log_sum, _gradient)
        others = function(
            (ops.swapaxes(target, 0, 1), sample),
            ops.swapaxes(inputs, 0, 1),
            self._rows(sample),
            offset,
        )  # (time, batch)
        return ops.logaddexp(true, ops.swapaxes(others, 0, 1)) - true  # (batch, time)

    def _rows(self, words: Tensor) -> Tensor:
        """The words' rows (..., features) of the kernel."""
        return ops.cast(ops.take(self.kernel, words, axis=0), self.compute_dtype)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Draws a sample.

        Returns:
            The ids, int32 (n_samples,), and the logarithms of their probabilities of being
            in the sample, float32 (n_samples,).
        """
        assert self.n_samples is not None
        rank = ops.arange(self.vocabulary_size, dtype="float32")
        weight = ops.log1p(1 / (rank + 1))  # (vocabulary,)
        log_p = ops.log(weight / ops.sum(weight))
        uniform = keras.random.uniform(
            (self.vocabulary_size,), minval=1e-20, dtype="float32", seed=self.seed_generator
        )
        noise = -ops.log(-ops.log(uniform))  # Gumbel
        best, ids = ops.top_k(log_p + noise, self.n_samples + 1)  # (samples + 1,)
        sample = ops.cast(ids[:-1], "int32")
        odds = ops.exp(ops.take(log_p, sample) - best[-1])  # (samples,)
        return sample, ops.log(-ops.expm1(-odds))

    def compute_output_spec(
        self, inputs: Tensor, targets: Tensor, training: bool = False
    ) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape[:-1], dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "n_samples": self.n_samples,
            "seed": self.seed,
        }


def _log_sum(
    integers: tuple[Tensor, Tensor], inputs: Tensor, rows: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor]:
    """The logarithm of the sum over the sample, without the targets, and each term's share.

    Step by step, so that the logits stay in the processor's cache: memory is slower than
    the arithmetic.
    """
    targets, sample = integers  # (time, batch), (samples,)
    kernel = ops.transpose(rows)  # (features, samples)

    def step(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, target = pair  # (batch, features), (batch,)
        logits = ops.cast(ops.matmul(x, kernel), "float32") + offset  # (batch, samples)
        # The target already has its own term.
        logits = ops.where(target[:, None] == sample, -1e9, logits)
        highest = ops.max(logits, axis=-1, keepdims=True)  # (batch, 1)
        terms = ops.exp(logits - highest)  # (batch, samples)
        total = ops.sum(terms, axis=-1, keepdims=True)  # (batch, 1)
        return (highest + ops.log(total))[:, 0], ops.cast(terms / total, x.dtype)

    log_sums, shares = ops.map(step, (inputs, targets))
    return log_sums, shares  # (time, batch), (time, batch, samples)


def _gradient(
    integers: Any, tensors: tuple[Tensor, ...], shares: Tensor, d: Tensor
) -> list[Tensor]:
    inputs, rows, _ = tensors
    d_inputs = ops.cast(ops.matmul(shares, rows), d.dtype) * d[..., None]
    # The shares, the largest of all, are read as they are: instead of them, the inputs and
    # a one for the offset are multiplied with the sum's gradient.
    scaled = ops.cast(ops.cast(inputs, d.dtype) * d[..., None], rows.dtype)
    shares = ops.reshape(shares, (-1, rows.shape[0]))  # (time * batch, samples)
    scaled = ops.reshape(scaled, (-1, rows.shape[1]))  # (time * batch, features)
    d_rows = ops.matmul(ops.transpose(shares), scaled)  # (samples, features)
    d = ops.cast(ops.reshape(d, (1, -1)), rows.dtype)  # (1, time * batch)
    d_offset = ops.cast(ops.matmul(d, shares)[0], "float32")  # (samples,)
    return [ops.cast(d_inputs, inputs.dtype), d_rows, d_offset]
