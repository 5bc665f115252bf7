"""A layer that runs the graph of a TF1 Hub module."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import keras

from keras_elmo import backends
from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.hub.checkpoint_index import read_index
from keras_elmo.hub.graph_safety import graph_problem
from keras_elmo.hub.tf_hub import is_state
from keras_elmo.text.characters import MAX_CHARACTERS_PER_TOKEN
from keras_elmo.types import Shape, Tensor

_LSTM_OUTPUTS = ("lstm_outputs1", "lstm_outputs2")
_N_LAYERS = 1 + len(_LSTM_OUTPUTS)
_FILES = ("saved_model.pb", "tfhub_module.pb", "variables")


@keras.saving.register_keras_serializable(package="keras_elmo")
class HubModule(keras.Layer):
    """Runs the ``tokens`` signature of a TF1 Hub module of ELMo, frozen.

    A ``.keras`` file includes the module's files. Needs the TensorFlow backend.

    Args:
        output_dim: The size D of the module's ``elmo`` vectors.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``).

    Call arguments:
        tokens: Strings (batch, time). ``""`` is padding, at any position.

    Returns:
        The layers (batch, time, 3, D) in the compute dtype. Layer 0 holds the token vector
        twice. Padding is zeros.

    Raises:
        ValueError: The backend is not TensorFlow, or no module was loaded.
    """

    def __init__(self, output_dim: int, **kwargs: Any) -> None:
        backends.needs_tensorflow(
            "HubModule runs a TensorFlow graph and", "Use ElmoBiLM on character ids."
        )
        super().__init__(trainable=False, **kwargs)
        self.output_dim = output_dim
        self.n_layers = len(_LSTM_OUTPUTS)
        self.max_characters_per_token = MAX_CHARACTERS_PER_TOKEN
        self.directory: Path | None = None
        self.supports_jit = False
        self.built = True

    @classmethod
    def from_directory(cls, directory: Path, **kwargs: Any) -> HubModule:
        """Loads a module.

        Args:
            directory: The module's directory. Saving the layer reads it again.
            **kwargs: Arguments of every Keras layer (``name``, ``dtype``).

        Raises:
            SourceError: The files cannot be read, or are not an ELMo module.
        """
        module = load_module(directory)
        outputs = module.signatures["tokens"].structured_outputs
        layer = cls(int(outputs[_LSTM_OUTPUTS[0]].shape[-1]), **kwargs)
        layer._use(module, directory)
        return layer

    def _use(self, module: Any, directory: Path) -> None:
        import tensorflow as tf

        self.directory = directory
        self.module = module
        self.tokens = without_states(module.signatures["tokens"])
        # A separate function, because a gradient tape must not see the module's graph:
        # TensorFlow cannot differentiate TensorFlow 1 loops.
        self.run = tf.function(
            self._run,
            input_signature=[
                tf.TensorSpec((None, None), tf.string),
                tf.TensorSpec((None,), tf.int32),
            ],
            autograph=False,
        )

    def _run(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """The layers (batch, time, 3, D) of tokens (batch, time) without gaps."""
        import tensorflow as tf

        outputs = self.tokens(lengths, tokens)
        words = outputs["word_emb"]  # (batch, time, D / 2)
        twice = tf.concat([words, words], axis=-1)  # (batch, time, D)
        stacked = tf.stack([twice, *(outputs[name] for name in _LSTM_OUTPUTS)], axis=2)
        return tf.stop_gradient(stacked)  # (batch, time, 3, D)

    def call(self, tokens: Tensor) -> Tensor:
        import tensorflow as tf

        self._checked_directory()
        # The module reads tokens without gaps: move the padding to the end, later back.
        mask = tf.not_equal(tokens, "")  # (batch, time)
        order = tf.argsort(tf.cast(~mask, tf.int32), axis=1, stable=True)  # (batch, time)
        gathered = tf.gather(tokens, order, batch_dims=1)  # (batch, time)
        lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)  # (batch,)
        # Modules may fail on zero tokens or zero sentences.
        n_rows = tf.shape(tokens)[0]
        extra = tf.maximum(1 - n_rows, 0)
        gathered = tf.concat([gathered, tf.fill([extra, tf.shape(tokens)[1]], "")], axis=0)
        lengths = tf.concat([lengths, tf.fill([extra], 1)], axis=0)
        layers = self.run(gathered, tf.maximum(lengths, 1))[:n_rows]
        # Some modules cut the time axis to the longest sentence.
        missing = tf.shape(tokens)[1] - tf.shape(layers)[1]
        layers = tf.pad(layers, [[0, 0], [0, missing], [0, 0], [0, 0]])
        places = tf.argsort(order, axis=1)  # (batch, time)
        layers = tf.gather(layers, places, batch_dims=1)  # (batch, time, 3, D)
        layers = tf.where(mask[..., None, None], layers, 0.0)
        layers.set_shape((*tokens.shape, _N_LAYERS, self.output_dim))
        return tf.cast(layers, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return (*input_shape, _N_LAYERS, self.output_dim)

    def _checked_directory(self) -> Path:
        if self.directory is None:
            raise ValueError(
                "The layer has no module: with engine='hub', a copy from get_config gets "
                "its module only from a .keras file. Create a layer from the source."
            )
        return self.directory

    def save_assets(self, dir_path: str) -> None:
        for name in _FILES:
            source, target = self._checked_directory() / name, Path(dir_path, name)
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.is_file():
                shutil.copyfile(source, target)

    def load_assets(self, dir_path: str) -> None:
        # Keras deletes its folder after loading, but the layer may be saved again.
        directory = Path(tempfile.mkdtemp(prefix="keras-elmo-"))
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        shutil.copytree(dir_path, directory, dirs_exist_ok=True)
        self._use(load_module(directory), directory)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"]
        return {**config, "output_dim": self.output_dim}


def without_states(function: Any) -> Any:
    """A signature's function, for positional arguments in the order of their names.

    Modules from bilm-tf code keep LSTM states in variables from call to call. Here each
    call reads zeros instead, so that vectors do not depend on earlier sentences.
    """
    import tensorflow as tf

    reads = [
        op.outputs[0]
        for op in function.graph.get_operations()
        if op.type in ("Identity", "ReadVariableOp") and is_state(op.inputs[0].op.name)
    ]
    n_inputs = len(function.inputs) - len(function.captured_inputs)
    stateless = function.prune(
        [*function.inputs[:n_inputs], *reads], function.structured_outputs
    )
    zeros = [tf.zeros(read.shape, read.dtype) for read in reads]
    return lambda *inputs: stateless(*inputs, *zeros)


def load_module(directory: Path) -> Any:
    """Loads a TF1 Hub module as TensorFlow's object.

    Raises SourceError if its graph can do more than compute, or if it has no ``tokens``
    signature of ELMo.
    """
    import tensorflow as tf

    try:
        variables = directory / "variables" / "variables"
        if variables.with_name(
            "variables.index"
        ).is_file():  # missing if all weights are constants
            read_index(variables)
        if problem := graph_problem(directory):
            raise SourceError(
                f"Refusing to load the TF1 Hub module in {str(directory)!r}: it {problem}. "
                "No published ELMo does. Get the module from another place."
            )
        module = tf.saved_model.load(str(directory), tags=[])
    except SourceError:
        raise
    except Exception as error:  # TensorFlow's errors derive from it directly
        raise DamagedSourceError(
            f"Cannot load the TF1 Hub module in {str(directory)!r} "
            f"({type(error).__name__}: {error!s:.300}). Its files are missing or damaged, "
            "or it is not a TF1 Hub module. Check the directory, or download it again."
        ) from error
    wanted = {"word_emb", *_LSTM_OUTPUTS}
    signatures = {k: sorted(v.structured_outputs) for k, v in module.signatures.items()}
    if not wanted <= set(signatures.get("tokens", ())):
        raise SourceError(
            f"The module in {str(directory)!r} is not an ELMo model: expected a signature "
            f"'tokens' with the outputs {sorted(wanted)}; found {signatures}."
        )
    return module
