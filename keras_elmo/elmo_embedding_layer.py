"""ELMo as one Keras layer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Self, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo import backends
from keras_elmo.config import MIX_GAMMA, MIX_WEIGHTS, ElmoConfig
from keras_elmo.encoding import Program, encode
from keras_elmo.hub.engine import HubEngine
from keras_elmo.hub.module import HubModule
from keras_elmo.hub.verification import load_verified
from keras_elmo.layers import CharacterIds, MaskedMean, ScalarMix
from keras_elmo.layers.arrays import assign_mix
from keras_elmo.layers.character_ids import PAD_TOKEN
from keras_elmo.layers.engine import Engine
from keras_elmo.layers.inputs import compute_policy
from keras_elmo.layers.native_engine import NativeEngine
from keras_elmo.layers.output_modes import OUTPUTS
from keras_elmo.layers.sentence_boundaries import around_tokens
from keras_elmo.layers.sequence_length import with_length
from keras_elmo.layers.token_mask import token_mask
from keras_elmo.types import (
    Arrays,
    EngineName,
    FineTune,
    InputMode,
    OutputMode,
    PathLike,
    Shape,
    Split,
    Stateful,
    Tensor,
    check_integer,
    check_one_of,
    check_stateful,
    check_true_or_false,
)
from keras_elmo.weights.names import differences, listed
from keras_elmo.weights.sources import save_model


@keras.saving.register_keras_serializable(package="keras_elmo")
class ElmoEmbeddingLayer(keras.Layer):
    """Contextual word embeddings from a bidirectional language model: ELMo.

    The layer takes strings and returns a vector for each sentence
    (``output_mode="default"``) or for each token, as in "Deep contextualized word
    representations" (Peters et al. 2018). The vectors of a sentence depend on this sentence
    alone, unless ``stateful``.

    Masking: token-level outputs carry a Keras mask (batch, time), true at tokens, and
    are zeros elsewhere. Padding may come before, between or after tokens. A sentence
    without tokens has zero vectors.

    Saving: a saved model holds the weights that the ``output_mode`` needs, and loading it
    does not read ``source`` again. ``get_config`` holds the model's shape instead of
    ``source``: a copy made from it (``keras.models.clone_model``) starts from random
    weights, like every Keras layer, until ``copy.set_weights(layer.get_weights())``.

    Args:
        source: The weights:

            - the handle of a TF1 Hub module on TF-Hub (the default is Google's ELMo) or,
              as ``kaggle://...``, on Kaggle; or its directory or ``.tar.gz`` archive. The
              scalar mix starts from the module's.
            - the name of a model: ``"mini"``, which comes with the package, or one to
              download, such as ``"original"``; see :func:`~keras_elmo.list_models`. Or the
              number of a model at NLPL, such as ``"nlpl:136"``.
            - a directory or ``.zip`` archive with ``options.json`` (or
              ``*_options.json``) and one ``*.hdf5``, or that ``.hdf5`` file with its
              options next to it or named by ``options``.
            - a directory or ``.zip`` archive of ELMoForManyLangs.
            - the directory of a checkpoint of bilm-tf, or its ``.index`` file.
            - the URL of a ``.zip``, ``.hdf5`` or ``.tar.gz`` file.
            - an :class:`ElmoConfig`, for random weights.
        output_mode: The output, where D is twice the projection (1024 in the released
            models):

            - ``"default"``: (batch, D), the mean over tokens of ``"elmo"``.
            - ``"elmo"``: (batch, time, D), ``gamma * sum_k softmax(w)_k * layer_k``.
            - ``"word_emb"``: (batch, time, D / 2), context-free token vectors.
            - ``"lstm_outputs1"``, ``"lstm_outputs2"``: (batch, time, D), one layer.
            - ``"layers"``: (batch, time, n_layers + 1, D), layer 0 being the token
              vector twice.
            - ``"pooled_layers"``: (batch, n_layers + 1, D), the mean over tokens of
              ``"layers"``.
        input_mode: The input:

            - ``"sentences"``: strings (batch,) or (batch, 1), which ``split`` splits.
            - ``"tokens"``: strings (batch, time), dense or ragged; a token may contain
              spaces.
            - ``"character_ids"``: integers (batch, time, ids of a token), 0 being padding;
              see :func:`~keras_elmo.batch_to_character_ids`,
              :meth:`ElmoConfig.batch_to_ids` for models that have words or characters of
              their own, and :func:`~keras_elmo.text_dataset`. Works on every backend of
              Keras; strings need TensorFlow.
        fine_tune: The weights that ``trainable=True`` trains: ``"aggregation"``, the
            weights w and gamma of the mix, as in the modules elmo/2 and elmo/3;
            ``"lstm"``, the LSTMs too, as in elmo/1; ``"all"``, the token encoder too. Only
            weights that the output depends on are trainable.
        pad_token: In ``"tokens"`` mode this token is padding, as is ``""``.
        max_tokens: Keep the first ``max_tokens`` tokens of each sentence, not counting
            padding; ``None`` for all. :class:`~keras_elmo.layers.CharacterIds` describes
            the effect on the time axis.
        stateful: The LSTM states that each row starts from:

            - ``False``: zeros. Rows do not depend on each other.
            - ``True``: the final states of the same row of the previous batch, as in
              bilm-tf and AllenNLP. Each row is a sentence with a start and an end, in both
              directions.
            - ``"pieces"``: the same, for rows that are pieces of one long text. The forward
              direction continues as if the text had not been cut; the backward direction
              starts at the end of each piece, because it cannot know what follows.

            The batch size must be known when the layer is built
            (``keras.Input(batch_shape=...)``, or the first eager call); later batches may
            be smaller.
        engine: ``"native"``, the layer's own computation, or ``"hub"``, a TF1 Hub module's
            own graph, frozen, with the layer's mix on top: for modules whose weights cannot
            be read as arrays. ``"hub"`` takes strings, trains only the mix, and needs the
            TensorFlow backend.
        split: How sentences are split into tokens. The split is part of the graph: it is
            saved, exported and served with the model.

            - ``"space"``: at the space character only, as the TF1 Hub modules do.
            - ``"words"``: raw text, into words and punctuation marks, as
              :func:`~keras_elmo.tokenize` does.
            - ``"character"``: each character that is not white space is a token: for
              proteins, or text without spaces between words.
        output_sequence_length: The length of the time axis: sentences are cut or padded to
            it, as in ``keras.layers.TextVectorization``. Symbolic shapes have it too, which
            ``Flatten`` and labels of one length need. It counts steps, padding between
            tokens and kept boundaries included. A pooled output is the mean of the tokens
            that are kept. ``None`` for the length of the longest sentence.
        keep_sentence_boundaries: Whether token-level outputs and their masks include the
            start of sentence, right before the first token, and the end of sentence, right
            after the last one, as in AllenNLP: two more steps. In a sentence without
            tokens, both come first.
        options: The path or URL of the ``options.json`` of a ``source`` that is an
            ``.hdf5`` file, as in AllenNLP's ``Elmo(options_file, weight_file)``; ``None``
            for the options next to it.
        **kwargs: Arguments of every Keras layer: ``name``, ``dtype``, ``trainable``. The
            dtype is that of the computation; a dtype of the inputs, as in
            ``hub.KerasLayer(..., dtype=tf.string)``, counts as left out.

    Call arguments:
        inputs: As ``input_mode`` describes: a tensor, a symbolic tensor, a NumPy array or
            (nested) lists.
        training: Whether the outputs will be differentiated; Keras sets it in ``fit``. The
            results are the same.
        return_mask: Whether to return the mask too. A pooled output has none.

    Returns:
        A tensor in the compute dtype, shaped as ``output_mode`` describes; with
        ``return_mask``, a tuple of it and the mask (batch, time). In a functional model a
        token-level layer has both as its ``output``.

    Raises:
        SourceError: The weights could not be loaded from ``source``.
        VerificationError: The layer's outputs differ from those of the TF1 Hub module's own
            graph, which are compared the first time; see :func:`~keras_elmo.verify`.
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
        engine: EngineName = "native",
        split: Split = "space",
        output_sequence_length: int | None = None,
        keep_sentence_boundaries: bool = False,
        options: PathLike | None = None,
        **kwargs: Any,
    ) -> None:
        backends.warn_of_keras_2()
        kwargs["dtype"] = compute_policy(kwargs.get("dtype"), input_mode)
        super().__init__(**kwargs)
        self.output_mode = check_one_of("output_mode", output_mode, get_args(OutputMode))
        self.fine_tune = check_one_of("fine_tune", fine_tune, get_args(FineTune))
        self.engine = check_one_of("engine", engine, get_args(EngineName))
        self.stateful = check_stateful(stateful)
        self.input_mode = check_one_of("input_mode", input_mode, get_args(InputMode))
        self.source = source
        self._output = OUTPUTS[output_mode]
        self.keep_sentence_boundaries = check_true_or_false(
            "keep_sentence_boundaries", keep_sentence_boundaries
        )
        if keep_sentence_boundaries and self._output.pooled:
            raise ValueError(
                "keep_sentence_boundaries=True is for outputs with a time axis; "
                f"output_mode={output_mode!r} is a mean over tokens. Leave it out, or use "
                "output_mode='elmo'."
            )
        self.output_sequence_length = output_sequence_length
        if output_sequence_length is not None:
            self.output_sequence_length = check_integer(
                "output_sequence_length",
                output_sequence_length,
                at_least=3 if keep_sentence_boundaries else 1,
            )
            if max_tokens is not None:
                raise ValueError(
                    "output_sequence_length cuts sentences, as max_tokens does; got both. "
                    "Leave max_tokens out."
                )
        self._engine, arrays = self._load_engine(source, options)
        self.config: ElmoConfig | None = getattr(self._engine, "config", None)
        self.n_layers, self.output_dim = self._engine.n_layers, self._engine.output_dim
        self.max_characters_per_token = self._engine.max_characters_per_token
        self.character_ids = CharacterIds(
            input_mode,
            pad_token,
            max_tokens,
            self.max_characters_per_token,
            split,
            None if self.config is None else self.config.lexicon,
            name="character_ids",
        )
        self.split = split
        self.pad_token, self.max_tokens = pad_token, self.character_ids.max_tokens
        self.supports_jit = self.character_ids.supports_jit
        self.scalar_mix: ScalarMix | None = None
        self.masked_mean: MaskedMean | None = None
        if self._output.mixed:
            self.scalar_mix = ScalarMix(name="scalar_mix", dtype=self.dtype_policy)
        if self._output.pooled:
            self.masked_mean = MaskedMean(name="masked_mean", dtype=self.dtype_policy)
        # Again, now that there are stages: Keras ignores an assignment of an equal value.
        type(self).trainable.fset(self, self.trainable)
        self._create_weights(arrays)

    def _load_engine(
        self, source: Any, options: PathLike | None
    ) -> tuple[Engine, dict[str, NDArray[np.float32]]]:
        """The engine without weights, and the arrays of the source."""
        if options is not None and (self.engine == "hub" or isinstance(source, ElmoConfig)):
            raise ValueError(
                f"options={options!r} is for a source that is an .hdf5 file; got "
                f"source={source!r:.200} with engine={self.engine!r}. Leave options out."
            )
        if self.engine == "hub":
            HubEngine.check(
                self.fine_tune,
                self.stateful,
                self.input_mode,
                self.keep_sentence_boundaries,
            )
            return HubEngine.load(source, self.dtype_policy)
        # Before anything is read or downloaded.
        backends.check_input_mode(self.input_mode)
        if isinstance(source, ElmoConfig):
            config, arrays = source, {}
        else:
            config, loaded, _ = load_verified(source, options)
            arrays = dict(loaded)  # creating weights removes some
        engine = NativeEngine(
            config,
            self.output_mode,
            self.input_mode,
            self.fine_tune,
            self.stateful,
            self.keep_sentence_boundaries,
            name="native",
            dtype=self.dtype_policy,
        )
        return engine, arrays

    def _create_weights(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        # Not in build, which Keras may run inside another layer's symbolic call, where
        # assigned values are lost.
        with keras.name_scope(self.name, caller=self):
            if self.scalar_mix is not None:
                self.scalar_mix.build((None, None, self.n_layers + 1, self.output_dim))
                assign_mix(self.scalar_mix, arrays)
            self._engine.create_weights(arrays)

    @property
    def bilm(self) -> Any:
        """The biLM: :class:`~keras_elmo.layers.ElmoBiLM`; or the hub engine's module."""
        return self._engine.bilm

    @property
    def vocabulary_cache(self) -> Any:
        """The ``VocabularyCache`` of the native engine."""
        return self._engine.vocabulary_cache

    def __call__(self, inputs: Any, return_mask: bool = False, **kwargs: Any) -> Any:
        # Before Keras, which does not accept lists and ragged tensors.
        inputs = self.character_ids.checked(inputs)
        if self._output.pooled:
            return super().__call__(inputs, **kwargs)
        if backends.is_tensorflow() and not isinstance(inputs, keras.KerasTensor):
            output = super().__call__(inputs, **kwargs)
            return (output, output._keras_mask) if return_mask else output
        # In a functional model the mask must be the output of an operation: here a second
        # output, because another operation would appear in the summary. (Masks attached to
        # tensors are not enough: MultiHeadAttention removes them from its inputs.)
        output, mask = super().__call__(inputs, return_mask=True, **kwargs)
        if isinstance(output, keras.KerasTensor):
            output._keras_mask = mask
        return (output, mask) if return_mask else output

    def build(self, input_shape: Shape) -> None:
        self._engine.create_state(input_shape[0])

    def call(
        self, inputs: Tensor, training: bool | None = None, return_mask: bool = False
    ) -> Any:
        if backends.runs_operation_by_operation():
            output, mask = self._compiled_outputs(inputs, bool(training))
        else:
            output, mask = self._outputs(inputs, training)
        if backends.is_tensorflow() and not self._output.pooled:
            output._keras_mask = mask  # or Keras would split the sentences once more
        return (output, mask) if return_mask else output

    def _outputs(self, inputs: Tensor, training: bool | None) -> tuple[Tensor, Tensor]:
        tokens = self.with_length(self.character_ids.tokens(inputs))
        return self._outputs_of_tokens(tokens, training)

    def _compiled_outputs(self, inputs: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        """The outputs of a bare call, by a program for inputs of any length."""
        rows = inputs.shape[0] if self.stateful else None
        shape = (rows, None, *inputs.shape[2:])[: len(inputs.shape)]
        # What else a program depends on.
        words = getattr(self.vocabulary_cache, "table", None) is not None
        trainable = tuple(variable.trainable for variable in self.variables)
        return self._programs(shape, inputs.dtype, training, words, trainable)(inputs)

    @cached_property
    def _programs(self) -> Callable[..., Callable[[Tensor], tuple[Tensor, Tensor]]]:
        @functools.cache
        def program(
            shape: tuple[int | None, ...], dtype: Any, training: bool, *_: Any
        ) -> Any:
            run = functools.partial(self._outputs, training=training)
            return backends.tensorflow_function(run, shape, dtype)

        return program

    def _outputs_of_tokens(
        self, tokens: Tensor, training: bool | None = False
    ) -> tuple[Tensor, Tensor]:
        """The output of strings or ids (batch, time, ...), and its mask (batch, time)."""
        mask = token_mask(tokens)  # (batch, time)
        # (batch, time, n_layers + 1, D), or one layer (batch, time, D)
        output = self._output.selected(self.layers_of_tokens(tokens, mask, training))
        if self.masked_mean is not None:
            # Pooling first gives the same, since both are linear, with less to mix.
            output = self.masked_mean(output, mask=mask)  # (batch, n_layers + 1, D)
        if self.scalar_mix is not None:
            output = self.scalar_mix(output)  # (batch, time, D) or (batch, D)
        return output, self._output_mask(mask)

    @property
    def n_steps(self) -> int | None:
        """The length of the time axis without boundaries; ``None`` for any length."""
        if self.output_sequence_length is None:
            return None
        return self.output_sequence_length - 2 * self.keep_sentence_boundaries

    def with_length(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, time, ...) cut or padded to ``n_steps``."""
        return tokens if self.n_steps is None else with_length(tokens, self.n_steps)

    def _output_mask(self, mask: Tensor) -> Tensor:
        return around_tokens(mask)[1] if self.keep_sentence_boundaries else mask

    def layers_of_tokens(
        self, tokens: Tensor, mask: Tensor, training: bool | None = None
    ) -> Tensor:
        """Computes the layers that the output is made of.

        Args:
            tokens: Strings (batch, time), or character ids (batch, time, length).
            mask: Booleans (batch, time), true at tokens. An empty string among them is a
                word without characters; with ``engine="hub"``, which has no mask, padding.
            training: Whether the result will be differentiated.

        Returns:
            (batch, time, n_layers + 1, D), or fewer layers if the output needs fewer; with
            ``keep_sentence_boundaries``, time + 2 steps. Padding is zeros.
        """
        return self._engine(tokens, mask, training=training)

    def compute_mask(self, inputs: Any, previous_mask: Tensor = None) -> Tensor | None:
        if self._output.pooled or isinstance(inputs, keras.KerasTensor):
            return None  # a symbolic mask is an output of the call
        tokens = self.character_ids.tokens(self.character_ids.checked(inputs))
        return self._output_mask(token_mask(self.with_length(tokens)))

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, return_mask: bool = False
    ) -> Any:
        shape = self.compute_output_shape(inputs.shape)
        output = keras.KerasTensor(shape, self.compute_dtype)
        return (output, keras.KerasTensor(shape[:2], "bool")) if return_mask else output

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        batch, time, _ = self.character_ids.compute_output_shape(input_shape)
        time = time if self.n_steps is None else self.n_steps
        if time is not None and self.keep_sentence_boundaries:
            time += 2
        return self._output.shape(batch, time, self.n_layers, self.output_dim)

    def encode(self, texts: Any, batch_size: int = 32, verbose: Any = "auto") -> Any:
        """Computes the vectors of any number of texts, on every backend of Keras.

        Texts of similar length are computed together; the results are in the order of the
        texts. They equal those of calling the layer, to 1e-6.

        Args:
            texts: Strings, which the layer splits, or lists of tokens: in a list, array,
                pandas or Polars column, tensor or generator, which is read in parts. A
                layer for character ids takes the same texts.
            batch_size: The most texts in a batch. Batches are smaller for long texts and if
                memory runs out.
            verbose: The progress bar, as in ``keras.Model.predict``: ``0`` for none,
                ``1`` or ``"auto"`` for a bar, ``2`` for a line at the end.

        Returns:
            For pooled outputs a float32 NumPy array, (n, D) or (n, n_layers + 1, D); a text
            without tokens has zeros. For other outputs a list of n arrays (tokens, ...),
            without padding.

        Raises:
            TypeError: ``texts`` is a single string, or holds anything but strings and lists
                of strings.
            ValueError: The layer is ``stateful``, a text is missing, or an argument is out
                of its range.
            MemoryError: There is not enough memory for a single text.

        Example:
            >>> from keras_elmo import ElmoEmbeddingLayer
            >>> layer = ElmoEmbeddingLayer("mini")
            >>> layer.encode(["A river bank .", "Hello !"], verbose=0).shape
            (2, 512)
        """
        return encode(self, texts, batch_size, verbose, self.split, self.max_tokens)

    @cached_property
    def _program(self) -> Program:
        return Program(self)

    def cache_vocabulary(self, words: Iterable[str]) -> None:
        """Computes the token vectors of words once, for all later calls.

        Outputs stay the same. The cache replaces an earlier one. It is saved with the
        layer, and not used while the token encoder is trainable. Loaded weights come with
        their own cache or none; after ``set_weights`` call this again.

        Args:
            words: The words, as they appear between spaces. An empty list clears the cache.

        Raises:
            ValueError: The layer has no token encoder for strings (``engine="hub"``,
                ``input_mode="character_ids"``), or it is trainable.
            TypeError: ``words`` is one string, or holds anything but strings.
        """
        self._engine.cache_vocabulary(words)
        self.__dict__.pop("_program", None)  # it may have been compiled without a cache

    def reset_state(self) -> None:
        """Forgets the carried state: the next batch starts from zeros."""
        self._engine.reset_state()

    def use_arrays(self, arrays: Arrays) -> None:
        """Sets the weights.

        Args:
            arrays: All arrays of a model of this shape, with the names of the HDF5 files
                (:meth:`ElmoConfig.array_shapes`), and optionally those of a scalar mix.

        Raises:
            ValueError: An array is missing or has another shape, in which case no weight
                changes; or the engine is ``"hub"``.
        """
        if self.config is not None:
            expected = self.config.array_shapes(self.bilm.depth)
            if self.scalar_mix is not None:
                mix = {MIX_WEIGHTS: (self.n_layers + 1,), MIX_GAMMA: ()}
                expected |= {name: mix[name] for name in mix.keys() & arrays.keys()}
            names = expected.keys() & arrays.keys()
            if problems := differences({n: np.shape(arrays[n]) for n in names}, expected):
                raise ValueError(
                    f"arrays: they do not fit this layer:\n{listed(problems)}\nPass the "
                    "arrays of a model of the same shape as layer.config."
                )
        self._engine.assign_arrays(arrays)
        if self.scalar_mix is not None:
            assign_mix(self.scalar_mix, arrays)

    def save_hdf5(self, directory: PathLike) -> None:
        """Writes the biLM as ``options.json`` and ``weights.hdf5``, in AllenNLP's format.

        The format does not include the scalar mix.

        Args:
            directory: The directory to write, which is created if it does not exist.

        Raises:
            ValueError: The layer does not hold all LSTM layers, because its output mode
                does not need them; or the engine is ``"hub"``.
            OSError: The files cannot be written.
        """
        arrays = self._engine.collect_arrays()
        assert self.config is not None
        save_model(directory, self.config, arrays)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "source": self._engine.source_config(),
            "output_mode": self.output_mode,
            "input_mode": self.input_mode,
            "fine_tune": self.fine_tune,
            "pad_token": self.pad_token,
            "max_tokens": self.max_tokens,
            "stateful": self.stateful,
            "engine": self.engine,
            "split": self.split,
            "output_sequence_length": self.output_sequence_length,
            "keep_sentence_boundaries": self.keep_sentence_boundaries,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        shape = config["source"]
        source: Any
        if config.get("engine") == "hub":
            source = HubModule(
                shape["hub_output_dim"], name="module", dtype=config.get("dtype")
            )
        else:
            source = ElmoConfig.from_options(shape)
        return cls(**{**config, "source": source})
