"""Forward passes and training steps of a model, on one backend, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

THREADS = {"tensorflow": "TF_NUM_INTRAOP_THREADS", "jax": "PJRT_NPROC"}
THREADS |= {"torch": "OMP_NUM_THREADS"}


def thread_limits(threads: int | None) -> dict[str, str]:
    """Variables that limit the threads per operation in a new process."""
    return dict.fromkeys(THREADS.values(), str(threads)) if threads else {}


def measurements(
    backend: str,
    job: dict[str, Any],
    limit: float | None = None,
    threads: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Runs a job in a new process; yields each measurement when it is done.

    A job has the model's ``options``, its ``formulation`` ("keras-elmo" or "plain"), the
    dtype ``policy``, ``batches`` of texts, and the number of ``repeats``, which end after
    that many ``seconds``.

    Raises:
        RuntimeError: The process failed, or did not end within ``limit`` seconds.
    """
    environment = {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, __file__],
        env=os.environ | environment | thread_limits(threads),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        timer = threading.Timer(
            threading.TIMEOUT_MAX if limit is None else limit, process.kill
        )
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(BrokenPipeError):  # the error below reports it
                process.stdin.write(json.dumps(job))
                process.stdin.close()
            yield from map(json.loads, process.stdout)
            if process.wait() != 0:
                late = limit is not None and not timer.is_alive()
                reason = f"not done after {limit:.0f} s" if late else "the process failed"
                raise RuntimeError(f"{backend}: {reason}")
        finally:
            timer.cancel()
            process.kill()


def main() -> None:
    job = json.load(sys.stdin)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is not a reply
    for reply in measured(job):
        print(json.dumps(reply), file=replies, flush=True)


def measured(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The seconds of forward passes and of training steps for each batch."""
    import keras
    import numpy as np

    from keras_elmo import ElmoConfig

    keras.config.set_dtype_policy(job["policy"])
    keras.utils.set_random_seed(0)
    config = ElmoConfig.from_options(job["options"])
    model, takes_strings = make_model(config, job["formulation"])
    model.compile("adam", "mse")
    device = str(keras.ops.ones(1).device).rpartition("/")[2]
    for texts in job["batches"]:
        inputs = np.array(texts, dtype=object)  # (batch,)
        if not takes_strings:  # (batch, time, length)
            inputs = config.batch_to_ids([text.split() for text in texts])
        targets = np.zeros((len(texts), config.output_dim), "float32")
        runs = {
            "forward": partial(model.predict_on_batch, inputs),
            "step": partial(model.train_on_batch, inputs, targets),
        }
        for mode, run in runs.items():
            reply = {"rows": len(texts), "mode": mode, "device": device}
            try:
                yield reply | {"seconds": timed(run, job["repeats"], job["seconds"])}
            except Exception as error:  # such as too little memory for that many rows
                yield reply | {"error": f"{type(error).__name__}: {error}"[:200]}


def timed(run: Any, repeats: int, enough: float) -> list[float]:
    run()  # compiles
    seconds: list[float] = []
    while len(seconds) < repeats and sum(seconds) < enough:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def make_model(config: Any, formulation: str) -> tuple[Any, bool]:
    """A model whose weights are all trained, and whether it takes strings."""
    import keras

    from keras_elmo import ElmoEmbeddingLayer, ScalarMix
    from keras_elmo.layers import MaskedMean, ProjectedLSTMCell, TokenEncoder

    ids = keras.Input((None, config.max_characters_per_token), dtype="int32")
    if formulation != "plain":
        takes_strings = keras.backend.backend() == "tensorflow"
        inputs = keras.Input((), dtype="string") if takes_strings else ids
        layer = ElmoEmbeddingLayer(
            config,
            input_mode="sentences" if takes_strings else "character_ids",
            fine_tune="all",
        )
        return keras.Model(inputs, layer(inputs)), takes_strings
    size = config.projection_dim
    encoder = TokenEncoder(
        size, config.filters, config.char_dim, config.n_highway, config.activation
    )
    mask = keras.ops.any(ids != 0, axis=-1)  # (batch, time)
    forward = backward = encoder(ids)  # (batch, time, projection_dim)
    layers = [keras.ops.concatenate([forward, backward], axis=-1)]
    clips = config.cell_clip, config.projection_clip
    for k in range(config.n_layers):
        rnns = [
            keras.layers.RNN(
                ProjectedLSTMCell(config.dim, size, *clips),
                return_sequences=True,
                go_backwards=back,
            )
            for back in (False, True)
        ]
        pair = rnns[0](forward, mask=mask), keras.ops.flip(rnns[1](backward, mask=mask), 1)
        if k > 0 and config.use_skip_connections:
            pair = pair[0] + forward, pair[1] + backward
        forward, backward = pair  # (batch, time, projection_dim)
        layers.append(keras.ops.concatenate(pair, axis=-1))
    mixed = ScalarMix()(keras.ops.stack(layers, axis=2), mask=mask)  # (batch, time, D)
    return keras.Model(ids, MaskedMean()(mixed, mask=mask)), False


if __name__ == "__main__":
    main()
