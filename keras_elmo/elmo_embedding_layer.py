"""ELMo as one Keras layer: the stages of :mod:`keras_elmo.layers`, wired."""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import ops

from keras_elmo import checks
from keras_elmo.config import ElmoConfig
from keras_elmo.layers import (
    BidirectionalLM,
    CharacterIds,
    MaskedMean,
    ScalarMix,
    SentenceBoundaries,
    TokenEncoder,
    TokenMask,
)
from keras_elmo.layers.carried_state import CarriedState
from keras_elmo.layers.character_ids import PAD_TOKEN
from keras_elmo.layers.inputs import checked_inputs
from keras_elmo.types import (
    Engine,
    FineTune,
    InputMode,
    OutputMode,
    PathLike,
    Shape,
    Tensor,
)
from keras_elmo.weights.assign import assign_arrays, collect_arrays, variables_by_name
from keras_elmo.weights.sources import load_source, save_model

_MIXED_MODES = ("default", "elmo")
_POOLED_MODES = ("default", "pooled_layers")
# How many LSTM layers an output needs; the others need all.
_DEPTHS = {"word_emb": 0, "lstm_outputs1": 1, "lstm_outputs2": 2}
_OUTPUT_MODES = (
    "default",
    "elmo",
    "word_emb",
    "lstm_outputs1",
    "lstm_outputs2",
    "layers",
    "pooled_layers",
)
_FINE_TUNE = ("aggregation", "lstm", "all")


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
        source: Where the weights come from: a directory or ``.zip`` archive with
            ``options.json`` (or ``*_options.json``) and one ``*.hdf5``, that ``.hdf5``
            file with its options beside it, the URL of a ``.zip`` or ``.hdf5`` file,
            or an :class:`ElmoConfig` for random weights. This version does not read
            TF-Hub modules, so the default cannot be loaded yet.
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
              being padding; see :func:`~keras_elmo.batch_to_character_ids`.
        fine_tune: What ``trainable=True`` trains: ``"aggregation"``, the weights w and
            gamma of the mix; ``"lstm"``, the LSTMs too; ``"all"``, the token encoder
            too. Only what has a part in the output is there to train.
        pad_token: In ``"tokens"`` mode this token is padding, as is ``""``.
        max_tokens: Keep the first ``max_tokens`` tokens of each sentence (padding does
            not count); ``None`` for all. Where it cuts, the time axis ends at
            ``max_tokens``, or at the last kept token if padding has moved that further
            back.
        stateful: Whether each row starts in the LSTM state that the same row of the
            batch before ended in, as in bilm-tf and AllenNLP. The batch size must be
            known when the layer is built (``keras.Input(batch_shape=...)``, or the
            first eager call); later batches may be smaller.
        engine: ``"native"``, the layer's own computation, is the only one so far.
        **kwargs: Arguments of every Keras layer: ``name``, ``dtype``, ``trainable``.

    Call arguments:
        inputs: As ``input_mode`` says: a tensor, a symbolic tensor, a NumPy array or
            (nested) lists.

    Returns:
        A tensor in the compute dtype, shaped as ``output_mode`` says.

    Raises:
        SourceError: No weights can be had from ``source``.
        ValueError: An argument is out of its range, or the inputs have a wrong shape.
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
        stateful: bool = False,
        engine: Engine = "native",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_mode = checks.one_of("output_mode", output_mode, _OUTPUT_MODES)
        self.fine_tune = checks.one_of("fine_tune", fine_tune, _FINE_TUNE)
        self.engine = checks.one_of("engine", engine, ("native",))
        if not isinstance(stateful, bool):
            raise ValueError(f"stateful must be True or False; got {stateful!r}.")
        self.stateful = stateful
        self.input_mode = input_mode
        self.pad_token = pad_token
        self.max_tokens = max_tokens
        self.source = source
        if isinstance(source, ElmoConfig):
            self.config, self._arrays = source, None
        else:
            self.config, self._arrays = load_source(source)
        depth = _DEPTHS.get(output_mode, self.config.n_layers)
        if depth > self.config.n_layers:
            raise ValueError(
                f"output_mode={output_mode!r} needs {depth} LSTM layers; this model has "
                f"{self.config.n_layers}."
            )
        self._create_stages(depth)
        self._set_trainable(self.trainable)

    def _create_stages(self, depth: int) -> None:
        """Creates what the output needs, and nothing else."""
        config, dtype = self.config, self.dtype_policy
        # These two also stand in the model's graph by themselves, where they make the
        # mask, so their names have to be unique.
        self.character_ids = CharacterIds(
            self.input_mode,
            self.pad_token,
            self.max_tokens,
            config.max_characters_per_token,
            name=f"{self.name}_character_ids",
        )
        self.token_mask = TokenMask(name=f"{self.name}_token_mask")
        self.token_encoder = TokenEncoder(
            config.projection_dim,
            config.filters,
            config.char_dim,
            config.n_highway,
            config.activation,
            name="token_encoder",
            dtype=dtype,
        )
        self.bilm: BidirectionalLM | None = None
        self.scalar_mix: ScalarMix | None = None
        self.masked_mean: MaskedMean | None = None
        self.carried_state: CarriedState | None = None
        if depth > 0:
            self.sentence_boundaries = SentenceBoundaries(name="sentence_boundaries")
            self.bilm = BidirectionalLM(
                depth,
                config.dim,
                config.projection_dim,
                config.cell_clip,
                config.projection_clip,
                config.use_skip_connections,
                return_state=True,
                name="bilm",
                dtype=dtype,
            )
        if self.output_mode in _MIXED_MODES:
            self.scalar_mix = ScalarMix(name="scalar_mix", dtype=dtype)
        if self.output_mode in _POOLED_MODES:
            self.masked_mean = MaskedMean(name="masked_mean", dtype=dtype)
        self.supports_jit = self.character_ids.supports_jit

    @property
    def trainable(self) -> bool:
        """Whether the layer trains what ``fine_tune`` names."""
        return bool(super().trainable)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._set_trainable(value)

    def _set_trainable(self, value: bool) -> None:
        # Keras passes the flag on to all stages; those not fine-tuned stay frozen.
        keras.Layer.trainable.fset(self, value)
        if self.fine_tune == "aggregation" and self.bilm is not None:
            self.bilm.trainable = False
        if self.fine_tune != "all":
            self.token_encoder.trainable = False

    def __call__(self, inputs: Any, **kwargs: Any) -> Tensor:
        """Converts lists, arrays and ragged tensors before Keras sees them."""
        characters = self.config.max_characters_per_token
        return super().__call__(
            checked_inputs(inputs, self.input_mode, characters), **kwargs
        )

    def build(self, input_shape: Shape) -> None:
        """Creates the weights and sets them to the source's."""
        characters = self.config.max_characters_per_token
        self.token_encoder.build((None, None, characters))
        layers_shape = (None, None, self.config.n_layers + 1, self.config.output_dim)
        if self.bilm is not None:
            self.bilm.build((None, None, self.config.projection_dim))
            if self.stateful:
                self.carried_state = self._new_carried_state(self.bilm, input_shape[0])
        if self.scalar_mix is not None:
            self.scalar_mix.build(layers_shape)
        if self._arrays is not None:
            assign_arrays(variables_by_name(self.token_encoder, self.bilm), self._arrays)
            self._arrays = None  # the variables have them now

    def _new_carried_state(self, bilm: BidirectionalLM, batch: int | None) -> CarriedState:
        if batch is None:
            raise ValueError(
                "stateful=True needs to know the batch size: declare it, for example by "
                "keras.Input(batch_shape=(32,), dtype='string')."
            )
        sizes = [bilm.projection_dim, bilm.units] * 2 * bilm.n_layers  # h and c
        state = CarriedState(batch, sizes, name="carried_state", dtype=self.dtype_policy)
        state.build()
        return state

    def call(self, inputs: Tensor) -> Tensor:
        """Follows the text through the stages."""
        ids = self.character_ids(inputs)  # (batch, time, characters)
        mask = self.token_mask(ids)  # (batch, time)
        if self.bilm is None:
            vectors = self.token_encoder(ids)  # (batch, time, D / 2)
            return vectors * ops.cast(mask, vectors.dtype)[..., None]
        layers = self._bilm_layers(self.bilm, ids, mask)  # (batch, time, n_layers + 1, D)
        if self.output_mode.startswith("lstm_outputs"):
            return layers[:, :, -1]  # (batch, time, D)
        if self.masked_mean is not None:
            # Pooling first is exact, since both are linear, and mixes less.
            layers = self.masked_mean(layers, mask=mask)  # (batch, n_layers + 1, D)
        if self.scalar_mix is not None:
            return self.scalar_mix(layers)  # (batch, time, D) or (batch, D)
        return layers

    def _bilm_layers(self, bilm: BidirectionalLM, ids: Tensor, mask: Tensor) -> Tensor:
        """The biLM's layers (batch, time, n_layers + 1, D), zeros at padding."""
        bounded = self.sentence_boundaries(ids)  # (batch, time + 2, characters)
        bounded_mask = ops.pad(mask, [[0, 0], [1, 1]], constant_values=True)
        tokens = self.token_encoder(bounded)  # (batch, time + 2, D / 2)
        if not self.token_encoder.trainable:
            tokens = ops.stop_gradient(tokens)
        initial_state = None
        if self.carried_state is not None:
            initial_state = self.carried_state.first_rows(ops.shape(ids)[0])
        layers, states = bilm(tokens, mask=bounded_mask, initial_state=initial_state)
        if self.carried_state is not None:
            self.carried_state.update(states)
        # Without this the LSTMs would be differentiated for nothing.
        frozen = not (bilm.trainable or self.token_encoder.trainable)
        return ops.stop_gradient(layers) if frozen else layers

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor = None) -> Tensor | None:
        """Booleans (batch, time), true at tokens; ``None`` for pooled outputs."""
        if self.output_mode in _POOLED_MODES:
            return None
        return self.token_mask(self.character_ids(inputs))

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The shape of the output, as ``output_mode`` says."""
        batch, time, _ = self.character_ids.compute_output_shape(input_shape)
        dim = self.config.output_dim
        steps = () if self.output_mode in _POOLED_MODES else (time,)
        if self.output_mode == "word_emb":
            return (batch, *steps, dim // 2)
        if self.output_mode in ("layers", "pooled_layers"):
            return (batch, *steps, self.config.n_layers + 1, dim)
        return (batch, *steps, dim)

    def reset_state(self) -> None:
        """Forgets the carried state: the next batch starts from zeros."""
        if self.carried_state is not None:
            self.carried_state.reset()

    def save_hdf5(self, directory: PathLike) -> None:
        """Writes the biLM as ``options.json`` and ``weights.hdf5``, as AllenNLP has it.

        The scalar mix has no place in this format.

        Args:
            directory: Where to; made if it does not exist.

        Raises:
            ValueError: The layer is not built, or its output mode has no need of all
                LSTM layers and therefore does not hold them.
            OSError: The files cannot be written.
        """
        if not self.built:
            raise ValueError("save_hdf5: the layer has no weights yet; call it first.")
        if self.bilm is None or self.bilm.n_layers < self.config.n_layers:
            raise ValueError(
                f"save_hdf5: with output_mode={self.output_mode!r} the layer does not hold "
                "the whole model; use output_mode='elmo'."
            )
        variables = variables_by_name(self.token_encoder, self.bilm)
        save_model(directory, self.config, collect_arrays(variables, self.config))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer, with the model's shape as source."""
        return {
            **super().get_config(),
            "source": self.config.to_options(),
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
        return cls(**{**config, "source": ElmoConfig.from_options(config["source"])})
