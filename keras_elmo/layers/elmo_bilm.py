"""Computes the biLM's layers from character ids."""

from __future__ import annotations

from typing import Any, Self, get_args

import keras
from keras import ops

from keras_elmo import backends
from keras_elmo.config import ElmoConfig
from keras_elmo.layers.bidirectional_lm import BidirectionalLM
from keras_elmo.layers.carried_state import CarriedState
from keras_elmo.layers.distinct_words import distinct_words, encoded_in_chunks, lengths
from keras_elmo.layers.sentence_boundaries import SentenceBoundaries, around_tokens
from keras_elmo.layers.token_encoder import TokenEncoder
from keras_elmo.layers.token_mask import token_mask
from keras_elmo.types import FineTune, Shape, Stateful, Tensor, check_one_of, check_stateful


@keras.saving.register_keras_serializable(package="keras_elmo")
class ElmoBiLM(keras.Layer):
    """The token encoder and the LSTMs of a model, up to the last layer needed.

    Args:
        config: The model's configuration.
        depth: The number of LSTM layers; ``None`` for all, 0 for token vectors only.
        fine_tune: The weights that ``trainable=True`` trains: ``"aggregation"`` for none
            here, ``"lstm"`` for the LSTMs, ``"all"`` for the token encoder too.
        stateful: Whether each row starts in the final states of the same row of the
            previous batch. With ``"pieces"`` only the forward direction does, and reads the
            start of a sentence once and its end never. The batch size must be known when
            the layer is built.
        kernel_initializer: A Keras initializer for the LSTMs' kernels and projections.
        keep_sentence_boundaries: Whether the output includes the two boundaries, right
            before the first and right after the last token.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        character_ids: Integers (batch, time, length), the ids of tokens as
            ``config.batch_to_ids`` makes them, 0 for padding.
        training: Whether the result will be differentiated. It changes how it is
            computed, not what it is.

    Returns:
        The layers (batch, time, depth + 1, 2 * projection_dim). Layer 0 holds the token
        vector twice. Padding is zeros.
    """

    def __init__(
        self,
        config: ElmoConfig,
        depth: int | None = None,
        fine_tune: FineTune = "all",
        stateful: Stateful = False,
        kernel_initializer: Any = "glorot_uniform",
        keep_sentence_boundaries: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.keep_sentence_boundaries = keep_sentence_boundaries
        self.depth = config.n_layers if depth is None else depth
        self.fine_tune = check_one_of("fine_tune", fine_tune, get_args(FineTune))
        self.stateful = check_stateful(stateful)
        if keep_sentence_boundaries and stateful == "pieces":
            raise ValueError(
                "keep_sentence_boundaries=True: with stateful='pieces' only the first "
                "piece of a text has a start, and none an end. Leave one of the two out."
            )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.sentence_boundaries = SentenceBoundaries(
            config.token_ids.boundary_words, name="sentence_boundaries"
        )
        self.token_encoder = TokenEncoder(
            config.projection_dim,
            config.filters,
            config.char_dim,
            config.n_highway,
            config.activation,
            config.n_characters,
            config.n_words,
            config.word_dim,
            name="token_encoder",
            dtype=self.dtype_policy,
        )
        self.lstms: BidirectionalLM | None = None
        if self.depth > 0:
            self.lstms = BidirectionalLM(
                self.depth,
                config.dim,
                config.projection_dim,
                config.cell_clip,
                config.projection_clip,
                config.use_skip_connections,
                self.kernel_initializer,
                return_boundaries=keep_sentence_boundaries,
                return_state=True,
                name="lstms",
                dtype=self.dtype_policy,
            )
        self.carried_state: CarriedState | None = None
        if stateful and self.lstms is not None:
            sizes = [self.lstms.projection_dim, self.lstms.units] * self.depth  # h, c
            # Of both directions, or of one and whether its text has started.
            sizes = [*sizes, 1] if stateful == "pieces" else sizes * 2
            self.carried_state = CarriedState(
                sizes, name="carried_state", dtype=self.dtype_policy
            )
        # For the stages, which exist now; Keras ignores an assignment of an equal value.
        type(self).trainable.fset(self, self.trainable)  # type: ignore[attr-defined]

    @property
    def trainable(self) -> bool:
        return bool(super().trainable)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        # Keras sets the flag of all stages; those not fine-tuned stay frozen.
        keras.Layer.trainable.fset(self, value)
        if self.lstms is not None and self.fine_tune == "aggregation":
            self.lstms.trainable = False
        if self.fine_tune != "all":
            self.token_encoder.trainable = False

    def build(self, input_shape: Shape) -> None:
        self.create_weights()
        if self.carried_state is not None:
            self.carried_state.build(tuple(input_shape))

    def create_weights(self) -> None:
        """Creates the weights once; they do not depend on the input."""
        ids_shape = (None, None, self.config.token_ids.length)
        with keras.name_scope(self.name, caller=self):
            for stage, shape in (
                (self.token_encoder, ids_shape),
                (self.sentence_boundaries, ids_shape),
                (self.lstms, (None, None, self.config.projection_dim)),
            ):
                if stage is not None and not stage.built:
                    stage.build(shape)

    def call(self, character_ids: Tensor, training: bool | None = None) -> Tensor:
        mask = token_mask(character_ids)  # (batch, time)
        if backends.words_may_be_found(training, character_ids):
            words, places = distinct_words(character_ids)  # (words, length), (batch, time)
            vectors = self.word_vectors(words)  # (1 + words + 1, projection_dim)
            return self.layers_of_words(vectors, places, mask, training)
        bounded = self.sentence_boundaries(character_ids)  # (batch, time + 2, length)
        vectors = self._encode(bounded)  # (batch, time + 2, projection_dim)
        return self._through_lstms(vectors, mask)

    def word_vectors(self, character_ids: Tensor) -> Tensor:
        """Runs the first stages on distinct words.

        Args:
            character_ids: Of words, integers (words, length).

        Returns:
            Token vectors (1 + words + 1, projection_dim); the first and the last are those
            of the start and the end of a sentence.
        """
        if backends.is_in_jax_program(character_ids):
            boundaries = self._encode(self.sentence_boundaries(character_ids[None, :0]))
            words = encoded_in_chunks(
                character_ids,
                lambda words: self._encode(words[None])[0],
                self._n_word_ids + self._widest,
            )
            return ops.concatenate([boundaries[0, :1], words, boundaries[0, 1:]], axis=0)
        bounded = self.sentence_boundaries(character_ids[None])  # (1, words + 2, length)
        return self._encode(self._cut(bounded))[0]  # (words + 2, projection_dim)

    def layers_of_words(
        self, vectors: Tensor, places: Tensor, mask: Tensor, training: bool | None = None
    ) -> Tensor:
        """The other stages. Unless they carry states, no step works on padding.

        Args:
            vectors: The result of :meth:`word_vectors`.
            places: The index of each token among the words, int32 (batch, time).
            mask: Booleans (batch, time), true at tokens.
            training: Whether the result will be differentiated.

        Returns:
            The layers, as for the call.
        """
        places = places + 1  # after the start of a sentence
        if self.lstms is None or self.carried_state is not None:
            places = ops.pad(places, [[0, 0], [1, 0]])  # (batch, time + 1)
            end = ops.shape(vectors)[0] - 1
            ends = ops.full((ops.shape(places)[0], 1), end, "int32")  # (batch, 1)
            places = ops.concatenate([places, ends], axis=1)  # (batch, time + 2)
            return self._through_lstms(ops.take(vectors, places, axis=0), mask)
        differentiable = bool(training) and not self._frozen
        layers = self.lstms.run_packed(
            vectors, places, mask, differentiable, self.keep_sentence_boundaries
        )
        return self._finished(layers)

    def _encode(self, character_ids: Tensor) -> Tensor:
        vectors = self.token_encoder(character_ids)
        return vectors if self.token_encoder.trainable else ops.stop_gradient(vectors)

    def _cut(self, words: Tensor) -> Tensor:
        """Cuts words (1, words, length) after the first of the windows that are alike."""
        if not self.config.filters:
            return words
        # Those where every word only repeats a character.
        last = ops.maximum(ops.max(lengths(words)), self._n_word_ids)  # ()
        return words[..., : last + self._widest]

    @property
    def _n_word_ids(self) -> int:
        """The number of ids of a token before those of its characters."""
        return int(self.token_encoder.n_words > 0)

    @property
    def _widest(self) -> int:
        """The width of the widest convolution."""
        return max((width for width, _ in self.config.filters), default=1)

    def _through_lstms(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """The layers of token vectors (batch, time + 2, projection_dim)."""
        if self.lstms is None:
            layers = ops.concatenate([vectors, vectors], axis=-1)[:, :, None]
            if self.keep_sentence_boundaries:
                return self._moved(layers, mask)
            return layers[:, 1:-1] * ops.cast(mask, layers.dtype)[..., None, None]
        # As numbers: booleans that tf2onnx pads are not loaded by ONNX Runtime.
        bounded = ops.pad(ops.cast(mask, "int32"), [[0, 0], [1, 1]], constant_values=1)
        bounded = bounded != 0  # (batch, time + 2)
        if self.carried_state is None:
            return self._finished(self._moved(self.lstms(vectors, mask=bounded)[0], mask))
        states = self.carried_state.first_rows(ops.shape(vectors)[0])
        if self.stateful == "pieces":
            layers, states = self.lstms.run_piece(vectors, mask, states)
        else:
            layers, states = self.lstms(vectors, mask=bounded, initial_state=states)
        self.carried_state.update(states)
        return self._finished(self._moved(layers, mask))

    def _moved(self, layers: Tensor, mask: Tensor) -> Tensor:
        """The layers with the boundaries next to the tokens, if boundaries are kept."""
        if not self.keep_sentence_boundaries:
            return layers
        sources, mask = around_tokens(mask)  # (batch, time + 2)
        layers = ops.take_along_axis(layers, sources[..., None, None], axis=1)
        return layers * ops.cast(mask, layers.dtype)[..., None, None]

    @property
    def _frozen(self) -> bool:
        assert self.lstms is not None  # models without LSTMs have only one stage
        return not (self.lstms.trainable or self.token_encoder.trainable)

    def _finished(self, layers: Tensor) -> Tensor:
        # Without this, the LSTMs would be differentiated unnecessarily.
        return ops.stop_gradient(layers) if self._frozen else layers

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        batch, time, _ = input_shape
        if time is not None and self.keep_sentence_boundaries:
            time += 2
        return (batch, time, self.depth + 1, self.config.output_dim)

    def reset_state(self) -> None:
        """Forgets the carried state: the next batch starts from zeros."""
        if self.carried_state is not None:
            self.carried_state.reset()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "config": self.config.to_options(),
            "depth": self.depth,
            "fine_tune": self.fine_tune,
            "stateful": self.stateful,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "keep_sentence_boundaries": self.keep_sentence_boundaries,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**{**config, "config": ElmoConfig.from_options(config["config"])})
