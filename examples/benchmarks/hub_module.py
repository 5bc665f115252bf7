"""TF1 Hub modules of ELMo, built with TensorFlow 1's own operations from seeded weights.

Like the released ones, they have two signatures that share variables, TensorFlow 1 loops,
and a ``saved_model.pb`` without tags next to a ``tfhub_module.pb``. The graph follows the
module's description, not the layers, so that it can serve as a reference.
"""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.types import Arrays, Tensor

v1 = tf.compat.v1

Mix = tuple[NDArray[np.float32], np.float32]
"""The weights (3,) and the scale () of a mix."""

LSTM_NAMES = {"W_0": "kernel", "B": "bias", "W_P_0": "projection/kernel"}


@dataclass(frozen=True)
class Style:
    """The choices of a module's exporter."""

    # aggregation/weights and aggregation/scaling, or names ending in ELMo_W and ELMo_gamma.
    google_names: bool = True
    zero_row: bool = True  # for id 0, at the start of char_embed
    state: bool = False  # variables keep the LSTMs' state from call to call
    # The graph holds the variables' initial values, as in bilm-tf's exports of arrays.
    constants: bool = False
    gamma_in_default: bool = True  # default is then the mean of elmo


MIX: Mix = (np.array([0.3, -0.2, 0.5], np.float32), np.float32(1.3))


def random_arrays(
    config: ElmoConfig, seed: int = 0, scale: float = 0.5
) -> dict[str, NDArray[np.float32]]:
    """Draws weights, under the HDF5 names, from a normal distribution.

    With a standard deviation of 0.5 for tiny models, and 0.03 for the original size, gates,
    clips and activations all have an effect.
    """
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, scale, shape).astype(np.float32)
        for name, shape in config.array_shapes().items()
    }


def write_module(
    directory: Path,
    config: ElmoConfig,
    arrays: Arrays,
    style: Style = Style(),
    mix: Mix = MIX,
) -> Path:
    """Builds a module of two layers and writes it, in the Hub format, to a new directory.

    ``arrays`` are the weights under their HDF5 names.
    """
    with tensorflow_1(), tf.Graph().as_default(), v1.Session() as session:
        module = _Module(config, arrays, style, mix)
        strings = v1.placeholder(tf.string, [None], "strings")
        tokens = v1.placeholder(tf.string, [None, None], "tokens")
        sequence_len = v1.placeholder(tf.int32, [None], "sequence_len")
        signatures = {
            "default": signature({"strings": strings}, module.embed_sentences(strings)),
            "tokens": signature(
                {"tokens": tokens, "sequence_len": sequence_len},
                module.embed_tokens(tokens, sequence_len),
            ),
        }
        session.run(v1.global_variables_initializer(), module.feed)
        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(session, [], signature_def_map=signatures)
        builder.save()
    # A ModuleDef message: format 1 is 3, "TF1 SavedModel".
    (directory / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return directory


@contextmanager
def tensorflow_1() -> Iterator[None]:
    """TensorFlow 1 loops, without TensorFlow 2's warnings about them."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    v1.disable_control_flow_v2()
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        v1.enable_control_flow_v2()
        logger.setLevel(level)


def signature(inputs: dict[str, Tensor], outputs: dict[str, Tensor]) -> object:
    info = v1.saved_model.utils.build_tensor_info
    return v1.saved_model.signature_def_utils.build_signature_def(
        {name: info(tensor) for name, tensor in inputs.items()},
        {name: info(tensor) for name, tensor in outputs.items()},
        "embed",
    )


class _Module:
    def __init__(self, config: ElmoConfig, arrays: Arrays, style: Style, mix: Mix) -> None:
        self.config, self.style = config, style
        self.feed: dict[Tensor, Any] = {}
        self.variables = {
            name: self._variable(_module_name(name), array)
            for name, array in arrays.items()
            if name != "char_embed"
        }
        table = arrays["char_embed"]
        if style.zero_row:
            table = np.concatenate([np.zeros_like(table[:1]), table])
        self.char_embed = self._variable("bilm/char_embed", table)
        weights, gamma = mix
        if style.google_names:
            self.weights = self._variable("aggregation/weights", weights)
            self.gamma = self._variable("aggregation/scaling", gamma)
        else:
            self.weights = self._variable("input_ELMo_W", weights)
            self.gamma = self._variable("input_ELMo_gamma", np.reshape(gamma, [1]))
        self.states: dict[tuple[int, int, int], Tensor] = {}
        if style.state:
            sizes = [config.projection_dim, config.dim]
            keys = itertools.product(range(2), range(config.n_layers), range(2))
            for n, key in enumerate(keys):  # direction, layer, h or c
                name = "bilm/Variable" + (f"_{n}" if n else "")
                zeros = np.zeros((64, sizes[key[2]]), np.float32)
                self.states[key] = self._variable(name, zeros, False)

    def _variable(self, name: str, value: Any, trainable: bool = True) -> Tensor:
        if self.style.constants:
            start = tf.constant(value)
        else:
            start = v1.placeholder(tf.float32, np.shape(value))
            self.feed[start] = value
        return v1.Variable(start, trainable=trainable, name=name, use_resource=True)

    def embed_sentences(self, strings: Tensor) -> dict[str, Tensor]:
        pieces = v1.string_split(strings, " ")  # drops empty pieces
        tokens = v1.sparse_to_dense(
            pieces.indices, pieces.dense_shape, pieces.values, default_value=""
        )
        is_token = tf.cast(tf.not_equal(tokens, ""), tf.int32)
        return self.embed_tokens(tokens, tf.reduce_sum(is_token, axis=1))

    def embed_tokens(self, tokens: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        time = tf.shape(tokens)[1]
        vectors = self._token_vectors(tokens, lengths)
        updates: list[Any] = []
        twice = tf.concat([vectors, vectors], axis=-1)
        layers, inputs = [twice], [vectors, tf.reverse_sequence(vectors, lengths + 2, 1)]
        for layer in range(self.config.n_layers):
            for direction in range(2):
                x = inputs[direction]
                outputs = self._lstm(x, lengths + 2, layer, direction, updates)
                if layer > 0 and self.config.use_skip_connections:
                    outputs += x
                inputs[direction] = outputs
            backward = tf.reverse_sequence(inputs[1], lengths + 2, 1)
            layers.append(tf.concat([inputs[0], backward], axis=-1))
        mask = tf.sequence_mask(lengths, time, tf.float32)[..., None]
        with tf.control_dependencies(updates):
            layers = [layer[:, 1 : time + 1] * mask for layer in layers]
        shares = tf.unstack(tf.nn.softmax(self.weights))
        mixed = tf.add_n([s * layer for s, layer in zip(shares, layers, strict=True)])
        elmo = self.gamma * mixed
        pooled = elmo if self.style.gamma_in_default else mixed
        count = tf.cast(tf.maximum(lengths, 1), tf.float32)[:, None]
        return {
            "word_emb": layers[0][..., : self.config.projection_dim],
            "lstm_outputs1": layers[1],
            "lstm_outputs2": layers[2],
            "elmo": elmo,
            "default": tf.reduce_sum(pooled, axis=1) / count,
        }

    def _token_vectors(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Vectors (batch, time + 2, projection_dim) of tokens between the boundaries."""
        ids = self._character_ids(tokens, lengths)
        table = self.char_embed
        if not self.style.zero_row:
            table = tf.concat([tf.zeros_like(table[:1]), table], axis=0)
        embedded = tf.nn.embedding_lookup(table, tf.reshape(ids, [-1, 50]))[:, None]
        pieces = []
        for i, (width, _) in enumerate(self.config.filters):
            kernel, bias = (self.variables[f"CNN/{x}_cnn_{i}"] for x in "Wb")
            convolved = tf.nn.conv2d(embedded, kernel, 1, "VALID") + bias
            highest = v1.nn.max_pool(convolved, [1, 1, 51 - width, 1], [1] * 4, "VALID")
            pieces.append(tf.nn.relu(highest)[:, 0, 0])
        x = tf.concat(pieces, axis=-1)
        for i in range(self.config.n_highway):
            names = ("W_carry", "b_carry", "W_transform", "b_transform")
            w_c, b_c, w_t, b_t = (self.variables[f"CNN_high_{i}/{name}"] for name in names)
            gate = tf.sigmoid(tf.matmul(x, w_c) + b_c)
            x = gate * tf.nn.relu(tf.matmul(x, w_t) + b_t) + (1 - gate) * x
        if self.config.has_token_projection:
            kernel, bias = (
                self.variables[f"CNN_proj/{name}"] for name in ("W_proj", "b_proj")
            )
            x = tf.matmul(x, kernel) + bias
        return tf.reshape(x, [*tf.unstack(tf.shape(ids)[:2]), self.config.projection_dim])

    def _character_ids(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        n_bytes = tf.minimum(tf.strings.length(tokens), 48)[..., None]
        content = tf.cast(tf.io.decode_raw(tokens, tf.uint8, fixed_length=49), tf.int32)
        place = tf.range(49)
        ids = tf.where(place < n_bytes, content, 260)
        ids = tf.where(tf.equal(place, n_bytes), 259, ids)
        ids = tf.pad(ids, [[0, 0], [1, 1], [1, 0]], constant_values=258) + 1
        step = tf.range(tf.shape(ids)[1])[None, :, None]
        ends = lengths[:, None, None] + 1

        def boundary(mark: int) -> Tensor:
            return tf.constant([259, mark + 1, 260] + [261] * 47)

        ids = tf.where(tf.equal(step, 0), boundary(256), ids)
        ids = tf.where(tf.equal(step, ends), boundary(257), ids)
        return tf.where(step > ends, 0, ids)

    def _lstm(
        self, x: Tensor, lengths: Tensor, layer: int, direction: int, updates: list[Any]
    ) -> Tensor:
        prefix = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/"
        kernel, bias = self.variables[prefix + "W_0"], self.variables[prefix + "B"]
        projection = self.variables.get(prefix + "W_P_0")
        batch, time = tf.unstack(tf.shape(x)[:2])
        steps = tf.transpose(x, [1, 0, 2])
        sizes = [self.config.projection_dim, self.config.dim]
        if self.states:
            variables = [self.states[direction, layer, which] for which in (0, 1)]
            start = [variable[:batch] for variable in variables]
        else:
            start = [tf.zeros([batch, size]) for size in sizes]
        for state, size in zip(start, sizes, strict=True):
            state.set_shape([None, size])

        def step(t: Tensor, h: Tensor, c: Tensor, outputs: Tensor) -> tuple[Tensor, ...]:
            gates = tf.matmul(tf.concat([steps[t], h], 1), kernel) + bias
            i, j, f, o = tf.split(gates, 4, axis=1)
            new_c = tf.sigmoid(f + 1) * c + tf.sigmoid(i) * tf.tanh(j)
            new_c = tf.clip_by_value(new_c, -3, 3)
            new_h = tf.sigmoid(o) * tf.tanh(new_c)
            if projection is not None:
                new_h = tf.clip_by_value(tf.matmul(new_h, projection), -3, 3)
            goes_on = (t < lengths)[:, None]
            h, c = tf.where(goes_on, new_h, h), tf.where(goes_on, new_c, c)
            return t + 1, h, c, outputs.write(t, h)

        outputs = tf.TensorArray(tf.float32, time, element_shape=[None, sizes[0]])
        _, h, c, outputs = v1.while_loop(
            lambda t, *_: t < time, step, [tf.constant(0), *start, outputs]
        )
        if self.states:
            for variable, state in zip(variables, (h, c), strict=True):
                updates.append(variable.assign(tf.concat([state, variable[batch:]], 0)).op)
        return tf.transpose(outputs.stack(), [1, 0, 2])


def _module_name(name: str) -> str:
    """The name of an HDF5 array in a module."""
    if "/LSTMCell/" in name:
        cell, part = name.split("/LSTMCell/")
        return f"bilm/{cell}/rnn/lstm_cell/{LSTM_NAMES[part]}"
    return f"bilm/{name}"
