"""Code that runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Arguments: a file of sentences, and models; writes the predictions of each beside it.
LOAD_AND_PREDICT = """
import sys
import keras, numpy as np, tensorflow as tf
import keras_elmo
sentences = np.load(sys.argv[1], allow_pickle=True)
for path in sys.argv[2:]:
    model = keras.saving.load_model(path)
    np.save(path + ".npy", model.predict(tf.constant(list(sentences)), verbose=0))
"""

# Arguments: SavedModels; prints what each computes of the sentences, without this package.
SERVE = """
import sys
import tensorflow as tf
sentences = ["the cat sat on the mat", "a", "", "naïve café"]
for path in sys.argv[1:]:
    loaded = tf.saved_model.load(path)
    print(*loaded.serve(tf.constant(sentences)).numpy().ravel().tolist())
assert "keras_elmo" not in sys.modules
"""


def run_python(code: str, *arguments: str, **variables: str) -> str:
    """Runs code in a process of its own, and returns what it prints."""
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment | variables, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
