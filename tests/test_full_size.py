"""A TF1 Hub module of the original size: 93.6 million parameters, made by seeded code."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from keras_elmo import ElmoConfig
from tests.test_saving import run_python
from tests.tf_hub_modules import write_module
from tests.tiny_models import random_arrays

# Both processes print what loading cost them, and keep what they compute.
COMMON = """
import json, os, resource, sys, time
import numpy as np, tensorflow as tf
path, out = sys.argv[1:]
sentences = ["the cat is on the mat", "naïve café", "He sat on the bank of the river ."]
tokens = [["New York", "is", "big"], ["ok", "", ""]]
def report(start):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"seconds": time.perf_counter() - start, "gigabytes": peak}))
"""

HUB = """
import tensorflow_hub as hub
start = time.perf_counter()
module = hub.load(path)
report(start)
outputs = {}
for name, value in module.signatures["default"](strings=tf.constant(sentences)).items():
    outputs["sentences/" + name] = value.numpy()
arguments = {"tokens": tf.constant(tokens), "sequence_len": tf.constant([3, 1])}
for name, value in module.signatures["tokens"](**arguments).items():
    outputs["tokens/" + name] = value.numpy()
np.savez(out, **outputs)
"""

OURS = """
os.environ["KERAS_ELMO_VERIFY"] = "0"
import keras
from keras_elmo import ElmoEmbeddingLayer
start = time.perf_counter()
layer = ElmoEmbeddingLayer(path)
layer.build((None,))
report(start)
outputs = {}
for mode in ("word_emb", "lstm_outputs1", "lstm_outputs2", "elmo", "default"):
    for input_mode, inputs in (("sentences", sentences), ("tokens", tokens)):
        output = ElmoEmbeddingLayer(path, mode, input_mode)(inputs)
        outputs[input_mode + "/" + mode] = output.numpy()
np.savez(out, **outputs)
"""


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict, dict]]:
    """What each side's loading cost, and its outputs."""
    folder = tmp_path_factory.mktemp("full_size")
    config = ElmoConfig()
    write_module(folder / "module", config, random_arrays(config, scale=0.03))
    results = {}
    for name, code in (("hub", HUB), ("ours", OURS)):
        out = str(folder / f"{name}.npz")
        cost = json.loads(run_python(COMMON + code, str(folder / "module"), out))
        with np.load(out) as outputs:
            results[name] = (cost, dict(outputs))
    return results


def test_outputs(
    full_size: dict[str, tuple[dict, dict]], report_error: Callable[[str, float], None]
) -> None:
    theirs, ours = full_size["hub"][1], full_size["ours"][1]
    assert theirs.keys() == ours.keys()
    for name, expected in theirs.items():
        assert np.abs(expected).max() > 0.01
        error = np.abs(ours[name] - expected).max()
        report_error(f"full-size TF1 Hub module, {name.split('/')[1]}", error)
        assert error < 1e-5, name


def test_loading_costs_a_quarter_of_the_time_and_half_of_the_memory(
    full_size: dict[str, tuple[dict, dict]], report_figure: Callable[[str, str], None]
) -> None:
    theirs, ours = full_size["hub"][0], full_size["ours"][0]
    for what, largest in (("seconds", 0.25), ("gigabytes", 0.5)):
        ratio = ours[what] / theirs[what]
        report_figure(
            f"loading a full-size module, {what}",
            f"hub.load {theirs[what]:.2f}, ours {ours[what]:.2f}, ratio {ratio:.2f}",
        )
        assert ratio < largest
