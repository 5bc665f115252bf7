"""ELMo as one Keras layer: the stages of :mod:`keras_elmo.layers`, wired."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo import backends
from keras_elmo.config import ElmoConfig
from keras_elmo.hub.engines import check_hub_engine, hub_engine, native_engine
from keras_elmo.hub.module import HubModule
from keras_elmo.layers import CharacterIds, ElmoBiLM, MaskedMean, ScalarMix, TokenMask
from keras_elmo.layers.character_ids import PAD_TOKEN
from keras_elmo.layers.distinct_words import distinct_words
from keras_elmo.layers.inputs import checked_inputs
from keras_elmo.layers.output_modes import OUTPUTS
from keras_elmo.layers.vocabulary_cache import VocabularyCache, encode_words
from keras_elmo.types import (
    Arrays,
    Engine,
    FineTune,
    InputMode,
    OutputMode,
    PathLike,
    Shape,
    Stateful,
    Tensor,
    check_one_of,
    check_stateful,
)
from keras_elmo.weights.assign import (
    assign_arrays,
    assign_mix,
    collect_arrays,
    create_from_arrays,
    variables_by_name,
)
from keras_elmo.weights.sources import save_model


@keras.saving.register_keras_serializable(package="keras_elmo")
class ElmoEmbeddingLayer(keras.Layer):
    """Contextual word embeddings from a bidirectional language model: ELMo.

    Deep contextualized word representations, Peters et al. 2018. Strings go in; a
    vector for each sentence (``output_mode="default"``) or for each token comes out. A
    sentence's vectors depend on that sentence alone, unless ``stateful``.

    Masking: token-level outputs carry a Keras mask (batch, time), true at tokens, and
    are zeros elsewhere. Padding may stand before, between or after tokens. A sentence
    without tokens has zero vectors.

    Saving: the layer keeps the weights it needs for its ``output_mode``, and a saved
    model holds them: loading it does not read ``source`` again. ``get_config``
    therefore holds the model's shape in place of ``source``, and a copy made from it
    (``keras.models.clone_model``) starts from random weights, as for every Keras
    layer; follow it by ``copy.set_weights(layer.get_weights())``.

    Args:
        source: Where the weights come from:

            - the handle of a TF1 Hub module on TF-Hub (the default is Google's ELMo) or,
              as ``kaggle://...``, on Kaggle; or its directory or ``.tar.gz`` archive. The
              scalar mix starts from the module's.
            - the name of a model: ``"mini"``, which comes with the package, or one to
              download, such as ``"original"``; see
              :func:`~keras_elmo.list_models`.
            - a directory or ``.zip`` archive with ``options.json`` (or
              ``*_options.json``) and one ``*.hdf5``, or that ``.hdf5`` file with its
              options beside it.
            - the URL of a ``.zip``, ``.hdf5`` or ``.tar.gz`` file.
            - an :class:`ElmoConfig`, for random weights.
        output_mode: What comes out, with D twice the projection (1024 in the released
            models):

            - ``"default"``: (batch, D), the mean over tokens of ``"elmo"``.
            - ``"elmo"``: (batch, time, D), ``gamma * sum_k softmax(w)_k * layer_k``.
            - ``"word_emb"``: (batch, time, D / 2), context-free token vectors.
            - ``"lstm_outputs1"``, ``"lstm_outputs2"``: (batch, time, D), one layer.
            - ``"layers"``: (batch, time, n_layers + 1, D), layer 0 being the token
              vector twice.
            - ``"pooled_layers"``: (batch, n_layers + 1, D), the mean over tokens of
              ``"layers"``.
        input_mode: What goes in:

            - ``"sentences"``: strings (batch,) or (batch, 1), split on the space
              character.
            - ``"tokens"``: strings (batch, time), dense or ragged; a token may contain
              spaces.
            - ``"character_ids"``: integers (batch, time, max_characters_per_token), 0
              being padding; see :func:`~keras_elmo.batch_to_character_ids` and
              :func:`~keras_elmo.text_dataset`. Works on every backend of Keras; strings
              need TensorFlow.
        fine_tune: What ``trainable=True`` trains: ``"aggregation"``, the weights w and
            gamma of the mix, as the modules elmo/2 and elmo/3 do; ``"lstm"``, the LSTMs
            too, as elmo/1 does; ``"all"``, the token encoder too. Only what has a part in
            the output is there to train.
        pad_token: In ``"tokens"`` mode this token is padding, as is ``""``.
        max_tokens: Keep the first ``max_tokens`` tokens of each sentence (padding does
            not count); ``None`` for all. Where it cuts, the time axis ends at
            ``max_tokens``, or at the last kept token if padding has moved that further
            back. On the JAX backend, where shapes do not depend on values, the time axis
            keeps its length, and what is cut is padding.
        stateful: What each row starts from:

            - ``False``: zeros; it is a sentence of its own.
            - ``True``: the LSTM states that the same row of the batch before ended in, as
              in bilm-tf and AllenNLP. Each row is read from the begin to the end of a
              sentence, in both directions.
            - ``"pieces"``: the same row of the batches before, which are pieces of one long
              text. The forward direction reads on, as if the text had not been cut; the
              backward direction begins at the end of each piece, because it cannot know
              what comes after.

            The batch size must be known when the layer is built
            (``keras.Input(batch_shape=...)``, or the first eager call); later batches may
            be smaller. :meth:`reset_state` begins anew.
        engine: ``"native"``, the layer's own computation, or ``"hub"``, the own graph of
            a TF1 Hub module, frozen, under the layer's mix: for modules whose weights
            cannot be read as arrays. It takes strings, trains the mix only, and needs the
            TensorFlow backend.
        **kwargs: Arguments of every Keras layer: ``name``, ``dtype``, ``trainable``.

    Call arguments:
        inputs: As ``input_mode`` says: a tensor, a symbolic tensor, a NumPy array or
            (nested) lists.
        training: Whether the outputs will be differentiated, as Keras says it in ``fit``.
            It changes how they are computed, not what they are.

    Returns:
        A tensor in the compute dtype, shaped as ``output_mode`` says.

    Raises:
        SourceError: No weights can be had from ``source``.
        VerificationError: The layer would not compute what a TF1 Hub module computes,
            which is checked the first time; see :func:`~keras_elmo.verify`.
        ValueError: An argument is out of its range, or needs the TensorFlow backend; or
            the inputs have a wrong shape.
        TypeError: An argument or the inputs have a wrong type.

    Example:
        >>> import keras
        >>> from keras_elmo import ElmoConfig, ElmoEmbeddingLayer
        >>> tiny = ElmoConfig(
        ...     char_dim=4, filters=((1, 8), (2, 8)), n_highway=1, dim=16, projection_dim=8
        ... )
        >>> layer = ElmoEmbeddingLayer(tiny, output_mode="elmo")
        >>> layer(["The river bank", "Hello"]).shape
        TensorShape([2, 3, 16])
    """

    def __init__(
        self,
        source: PathLike | ElmoConfig = "https://tfhub.dev/google/elmo/3",
        output_mode: OutputMode = "default",
        input_mode: InputMode = "sentences",
        fine_tune: FineTune = "aggregation",
        pad_token: str = PAD_TOKEN,
        max_tokens: int | None = None,
        stateful: Stateful = False,
        engine: Engine = "native",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_mode = check_one_of("output_mode", output_mode, get_args(OutputMode))
        self.fine_tune = check_one_of("fine_tune", fine_tune, get_args(FineTune))
        self.engine = check_one_of("engine", engine, get_args(Engine))
        self.stateful = check_stateful(stateful)
        self.input_mode = check_one_of("input_mode", input_mode, get_args(InputMode))
        self.pad_token = pad_token
        self.max_tokens = max_tokens
        self.source = source
        self._output = OUTPUTS[output_mode]
        arrays = self._create_engine()
        self._create_shared_stages()
        # Passes trainable=False on to the stages.
        keras.Layer.trainable.fset(self, self.trainable)
        self._create_weights(arrays)

    def _create_engine(self) -> dict[str, NDArray[np.float32]]:
        """Creates what computes the layers; returns the arrays of the source."""
        self.bilm: ElmoBiLM | HubModule
        if self.engine == "hub":
            check_hub_engine(self.fine_tune, self.stateful, self.input_mode)
            self.bilm, arrays = hub_engine(self.source, self.dtype_policy)
        else:
            # Says what the backend cannot do before anything is read or downloaded.
            backends.check_input_mode(self.input_mode)
            self.bilm, arrays = native_engine(
                self.source,
                self.output_mode,
                self.fine_tune,
                self.stateful,
                self.dtype_policy,
            )
        self.config: ElmoConfig | None = getattr(self.bilm, "config", None)
        self.n_layers, self.output_dim = self.bilm.n_layers, self.bilm.output_dim
        self.max_characters_per_token = self.bilm.max_characters_per_token
        return arrays

    def _create_shared_stages(self) -> None:
        """Creates what both engines need for the input and the output."""
        # These two also stand in the model's graph by themselves, where they make the
        # mask, so their names have to be unique.
        self.character_ids = CharacterIds(
            self.input_mode,
            self.pad_token,
            self.max_tokens,
            self.max_characters_per_token,
            name=f"{self.name}_character_ids",
        )
        self.vocabulary_cache = VocabularyCache(
            self.output_dim // 2, name="vocabulary_cache", dtype=self.dtype_policy
        )
        self.token_mask = TokenMask(name=f"{self.name}_token_mask")
        self.scalar_mix: ScalarMix | None = None
        self.masked_mean: MaskedMean | None = None
        if self._output.mixed:
            self.scalar_mix = ScalarMix(name="scalar_mix", dtype=self.dtype_policy)
        if self._output.pooled:
            self.masked_mean = MaskedMean(name="masked_mean", dtype=self.dtype_policy)
        self.supports_jit = self.character_ids.supports_jit

    def __call__(self, inputs: Any, **kwargs: Any) -> Tensor:
        """Converts lists, arrays and ragged tensors before Keras sees them."""
        inputs = checked_inputs(inputs, self.input_mode, self.max_characters_per_token)
        return super().__call__(inputs, **kwargs)

    def build(self, input_shape: Shape) -> None:
        """Creates the carried state; all weights are there already."""
        ids_shape = (input_shape[0], None, self.max_characters_per_token)
        if isinstance(self.bilm, ElmoBiLM):
            self.bilm.build(ids_shape)
        # Without weights, but Keras takes a layer for incomplete that has unbuilt ones.
        self.character_ids.build(input_shape)
        self.token_mask.build(ids_shape)
        self.vocabulary_cache.build((None,))
        if self.masked_mean is not None:
            self.masked_mean.build((None, None, self.n_layers + 1, self.output_dim))

    def _create_weights(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Creates the weights and sets them to the source's.

        Not in ``build``, which Keras may run where assigned values are thrown away: inside
        another layer's symbolic call.
        """
        with keras.name_scope(self.name, caller=self):
            if self.scalar_mix is not None:
                self.scalar_mix.build((None, None, self.n_layers + 1, self.output_dim))
                assign_mix(self.scalar_mix, arrays)
            if isinstance(self.bilm, ElmoBiLM):
                create_from_arrays(self.bilm, arrays)

    @property
    def trainable(self) -> bool:
        """Whether the layer trains what ``fine_tune`` names."""
        return bool(super().trainable)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.Layer.trainable.fset(self, value)
        bilm = self.bilm
        if isinstance(bilm, ElmoBiLM) and bilm.token_encoder.trainable:
            self.vocabulary_cache.clear()  # training makes it untrue

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Follows the text through the stages."""
        if self.input_mode == "character_ids":
            ids = self.character_ids(inputs)  # (batch, time, characters)
            mask = self.token_mask(ids)  # (batch, time)
            layers = self.bilm(ids)
        else:
            tokens = self.character_ids.tokens(inputs)  # (batch, time)
            mask = tokens != ""  # (batch, time)
            layers = self.layers_of_tokens(tokens, mask, training)
        # (batch, time, n_layers + 1, D), or one layer (batch, time, D)
        layers = self._output.selected(layers)
        if self.masked_mean is not None:
            # Pooling first is exact, since both are linear, and mixes less.
            layers = self.masked_mean(layers, mask=mask)  # (batch, n_layers + 1, D)
        if self.scalar_mix is not None:
            return self.scalar_mix(layers)  # (batch, time, D) or (batch, D)
        return layers

    def layers_of_tokens(
        self, tokens: Tensor, mask: Tensor, training: bool = False
    ) -> Tensor:
        """The layers that the output is made of, in the TensorFlow graph.

        Args:
            tokens: Strings (batch, time).
            mask: Booleans (batch, time), true at tokens. An empty string among them is a
                word without characters; with ``engine="hub"``, which has no mask, padding.
            training: Whether the result will be differentiated.

        Returns:
            (batch, time, n_layers + 1, D), or fewer layers where the output needs fewer.
            Padding is zeros.
        """
        if isinstance(self.bilm, HubModule):
            return self.bilm(tokens)
        words, places = distinct_words(tokens)  # (words,), (batch, time)
        vectors = self._word_vectors(words)  # (1 + words + 1, D / 2)
        return self.bilm.layers_of_words(vectors, places, mask, training)

    def _word_vectors(self, words: Tensor) -> Tensor:
        """Token vectors of words and boundaries, those that are cached from there."""
        rows = None  # (words,)
        if not self.bilm.token_encoder.trainable:
            rows = self.vocabulary_cache.rows(words)
        if rows is None:
            return self.bilm.word_vectors(self.character_ids.word_ids(words))
        return self.vocabulary_cache.completed(
            rows,
            self.bilm.word_vectors(self.character_ids.word_ids(words[rows == 0])),
        )

    def cache_vocabulary(self, words: Iterable[str]) -> None:
        """Computes the token vectors of words once, for all calls to come.

        Other words go through the character CNN as before, and the results are the same.
        A cache replaces the one before. It is saved with the layer, and left out while
        the token encoder is trainable. Loaded weights come with their own cache or none;
        after ``set_weights`` call this again.

        Args:
            words: The words, as they stand between spaces. An empty list drops the cache.

        Raises:
            ValueError: The layer has no token encoder for strings (``engine="hub"``,
                ``input_mode="character_ids"``), or it is trainable.
            TypeError: ``words`` is one string, or holds something else than strings.
        """
        if isinstance(self.bilm, HubModule) or self.input_mode == "character_ids":
            raise ValueError(
                "cache_vocabulary: needs engine='native' and strings as input; got "
                f"engine={self.engine!r} and input_mode={self.input_mode!r}."
            )
        encoder = self.bilm.token_encoder
        if encoder.trainable:
            raise ValueError(
                "cache_vocabulary: the token encoder is trainable, so that its vectors do "
                "not stay what they are. Use another fine_tune than 'all', or set "
                "layer.trainable = False."
            )
        self.vocabulary_cache.fill(
            *encode_words(words, self.character_ids.ids, self.bilm.word_vectors)
        )

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor = None) -> Tensor | None:
        """Booleans (batch, time), true at tokens; ``None`` for pooled outputs."""
        if self._output.pooled:
            return None
        return self.token_mask(self.character_ids(inputs))

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The shape of the output, as ``output_mode`` says."""
        batch, time, _ = self.character_ids.compute_output_shape(input_shape)
        return self._output.shape(batch, time, self.n_layers, self.output_dim)

    def reset_state(self) -> None:
        """Forgets the carried state: the next batch starts from zeros."""
        if isinstance(self.bilm, ElmoBiLM):
            self.bilm.reset_state()

    def use_arrays(self, arrays: Arrays) -> None:
        """Sets the weights.

        Args:
            arrays: All arrays of a model of this shape, by the names of the HDF5 files
                (:mod:`keras_elmo.weights.names`); those of a scalar mix may be among them.
        """
        self.vocabulary_cache.clear()
        if isinstance(self.bilm, ElmoBiLM):
            assign_arrays(variables_by_name(self.bilm), arrays)
        if self.scalar_mix is not None:
            assign_mix(self.scalar_mix, arrays)

    def save_hdf5(self, directory: PathLike) -> None:
        """Writes the biLM as ``options.json`` and ``weights.hdf5``, as AllenNLP has it.

        The scalar mix has no place in this format.

        Args:
            directory: Where to; made if it does not exist.

        Raises:
            ValueError: The output mode has no need of all LSTM layers, and the layer
                therefore does not hold them; or the engine is ``"hub"``.
            OSError: The files cannot be written.
        """
        if isinstance(self.bilm, HubModule):
            raise ValueError("save_hdf5: with engine='hub' the layer holds no arrays.")
        if self.bilm.depth < self.bilm.config.n_layers:
            raise ValueError(
                f"save_hdf5: with output_mode={self.output_mode!r} the layer does not hold "
                "the whole model; use output_mode='elmo'."
            )
        config = self.bilm.config
        save_model(directory, config, collect_arrays(variables_by_name(self.bilm), config))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer, with the model's shape as source."""
        if self.config is not None:
            source = self.config.to_options()
        else:
            source = {"hub_output_dim": self.output_dim}
        return {
            **super().get_config(),
            "source": source,
            "output_mode": self.output_mode,
            "input_mode": self.input_mode,
            "fine_tune": self.fine_tune,
            "pad_token": self.pad_token,
            "max_tokens": self.max_tokens,
            "stateful": self.stateful,
            "engine": self.engine,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes a layer from :meth:`get_config`; its weights are random until loaded."""
        shape = config["source"]
        source: Any
        if config.get("engine") == "hub":
            source = HubModule(
                shape["hub_output_dim"], name="bilm", dtype=config.get("dtype")
            )
        else:
            source = ElmoConfig.from_options(shape)
        return cls(**{**config, "source": source})
