"""Checkpoints as bilm-tf writes them while it trains."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_elmo.config import ElmoConfig
from tests.tiny_models import TINY, Arrays, random_arrays

v1 = tf.compat.v1

N_WORDS = 7
VOCABULARY = "<S>\n</S>\n<UNK>\nthe\nof\ncat\nmat\n"

_LSTM = re.compile(r"(RNN_\d)/RNN/MultiRNNCell/Cell(\d+)/LSTMCell/(\w+)")
_PARTS = {"W_0": "kernel", "B": "bias", "W_P_0": "projection/kernel"}


def bilm_variables(arrays: Arrays, n_layers: int) -> Arrays:
    """The names in bilm-tf's graph; a single LSTM is not in a MultiRNNCell."""
    result = {}
    for name, array in arrays.items():
        if part := _LSTM.fullmatch(name):
            cell = f"multi_rnn_cell/cell_{part[2]}/" * (n_layers > 1)
            name = f"{part[1]}/rnn/{cell}lstm_cell/{_PARTS[part[3]]}"
        result[f"lm/{name}"] = array
        result[f"lm/{name}/Adagrad"] = np.ones_like(array)
    return {**result, "global_step": np.float32(3), "train_perplexity": np.float32(9)}


def random_softmax(features: int) -> Arrays:
    rng = np.random.default_rng(1)
    shapes = {"softmax/W": (N_WORDS, features), "softmax/b": (N_WORDS,)}
    return {name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}


def write_variables(prefix: Path, variables: Arrays, step: int | None = None) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        made = {name: v1.Variable(x, use_resource=False) for name, x in variables.items()}
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(made)
        saver.save(session, str(prefix), step, write_meta_graph=False)


def write_checkpoint(
    folder: Path, config: ElmoConfig = TINY, step: int = 1250, seed: int = 0
) -> Path:
    """The directory of a training, with its options and its softmax."""
    folder.mkdir(exist_ok=True)
    options = {
        **config.to_options(),
        **{"bidirectional": True, "n_tokens_vocab": N_WORDS, "unroll_steps": 20},
        **{"batch_size": 128, "dropout": 0.1, "all_clip_norm_val": 10.0},
    }
    options["char_cnn"]["n_characters"] = 261
    (folder / "options.json").write_text(json.dumps(options))
    arrays = {**random_arrays(config, seed), **random_softmax(config.projection_dim)}
    variables = bilm_variables(arrays, config.n_layers)
    write_variables(folder / "model.ckpt", variables, step)
    return folder
