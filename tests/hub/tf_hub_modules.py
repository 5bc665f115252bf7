"""TF1 Hub modules in the styles of their exporters, and one that is no ELMo."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from benchmarks import hub_module
from benchmarks.hub_module import MIX, Mix, Style, signature, tensorflow_1

from keras_elmo.config import ElmoConfig
from tests.tiny_models import TINY, Arrays, random_arrays

v1 = tf.compat.v1

GOOGLE = Style()
BILM_TF = Style(google_names=False, state=True, constants=True, gamma_in_default=False)
STYLES = {
    "google": GOOGLE,
    "google-261-rows": Style(zero_row=False),
    "bilm-tf": BILM_TF,
    "bilm-tf-261-rows": Style(google_names=False, zero_row=False, state=True),
}


def write_module(
    directory: Path,
    config: ElmoConfig = TINY,
    arrays: Arrays | None = None,
    style: Style = GOOGLE,
    mix: Mix = MIX,
) -> Path:
    """Builds a module, by default a tiny one with the weights of ``random_arrays``."""
    arrays = random_arrays(config) if arrays is None else arrays
    return hub_module.write_module(directory, config, arrays, style, mix)


def write_other_module(directory: Path) -> Path:
    """Writes a module that embeds text, and is no ELMo."""
    with tensorflow_1(), tf.Graph().as_default(), v1.Session() as session:
        table = v1.Variable(tf.ones([10, 4]), name="embeddings", use_resource=True)
        strings = v1.placeholder(tf.string, [None], "strings")
        rows = tf.gather(table, tf.strings.to_hash_bucket_fast(strings, 10))
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(directory))
        signatures = {"default": signature({"text": strings}, {"default": rows})}
        builder.add_meta_graph_and_variables(session, [], signature_def_map=signatures)
        builder.save()
    (directory / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return directory
