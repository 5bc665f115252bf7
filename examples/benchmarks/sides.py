"""The implementations that the benchmark compares, behind one interface.

Each takes sentences and returns the mean over tokens of ELMo's mix, the ``"default"``
output. Other libraries run in processes of their own: PyTorch brings its own threads.
"""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks.texts import Texts
from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.hub.module import load_module
from keras_elmo.types import EngineName

OURS = "keras-elmo"
HUB_ENGINE = 'engine="hub"'
HUB_SIGNATURE = "hub.load(...)"

Floats = NDArray[np.float32]
Embed = Callable[[Texts], Floats]
"""From sentences (batch,) to vectors (batch, D)."""


class Side:
    """An implementation in this process."""

    def __init__(self, name: str, embed: Embed) -> None:
        self.name = name
        self.embed = embed

    def timed(self, batches: Sequence[Texts]) -> tuple[float, list[Floats]]:
        """Seconds for batches one after the other, and the vectors of each (batch, D)."""
        start = time.perf_counter()
        outputs = [self.embed(batch) for batch in batches]
        return time.perf_counter() - start, outputs

    def close(self) -> None:
        """Ends what runs for this side."""


class OtherSide(Side):
    """A library in a process of its own, which measures the time itself.

    Raises:
        RuntimeError: It cannot be loaded; the message is its own.
    """

    def __init__(self, name: str, arguments: Sequence[Any]) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, name, arguments), daemon=True
        )
        self.process.start()
        theirs.close()
        self._answer()

    def timed(self, batches: Sequence[Texts]) -> tuple[float, list[Floats]]:
        self.connection.send(list(batches))
        return self._answer()  # type: ignore[return-value]

    def _answer(self) -> object:
        try:
            answer = self.connection.recv()
        except EOFError:
            answer = RuntimeError("its process ended")
        if isinstance(answer, RuntimeError):
            self.close()
            raise answer
        return answer

    def close(self) -> None:
        """Ends the process."""
        self.connection.close()
        self.process.join()


def serve(connection: Connection, name: str, arguments: Sequence[Any]) -> None:
    """Embeds what comes through a connection, until it is closed."""
    try:
        side = Side(name, OTHERS[name](*arguments))
        connection.send(None)
        while True:
            connection.send(side.timed(connection.recv()))
    except EOFError:
        pass
    except Exception as error:  # whatever fails in another library must not end the run
        connection.send(RuntimeError(traceback.format_exception_only(error)[-1].strip()))


def make_sides(module: Path) -> list[Side]:
    """This layer, and a TF1 Hub module's own graph in two ways; ours first."""

    def predict(engine: EngineName) -> Embed:
        text = keras.Input((), dtype="string")
        vectors = ElmoEmbeddingLayer(module, engine=engine)(text)
        return keras.Model(text, vectors).predict_on_batch

    signature = load_module(module).signatures["default"]  # as hub.load does it
    return [
        Side(OURS, predict("native")),
        Side(HUB_ENGINE, predict("hub")),
        Side(
            HUB_SIGNATURE,
            lambda texts: signature(strings=tf.constant(texts))["default"].numpy(),
        ),
    ]


def make_other_sides(
    layer: ElmoEmbeddingLayer, directory: Path, threads: int | None
) -> tuple[list[Side], dict[str, str]]:
    """The other libraries that are installed, with the layer's weights.

    Args:
        layer: A layer with a mix.
        directory: Where the weights may go, as HDF5.
        threads: How many threads they may use; ``None`` for all.

    Returns:
        The sides, and why the others are left out, by name.
    """
    assert layer.scalar_mix is not None
    weights, gamma = map(keras.ops.convert_to_numpy, layer.scalar_mix.weights)
    sides: list[Side] = []
    left_out: dict[str, str] = {}
    for name in OTHERS:
        if importlib.util.find_spec(name) is None:
            left_out[name] = "not installed"
            continue
        layer.save_hdf5(directory)
        try:
            mix = weights.tolist(), float(gamma)
            side = OtherSide(name, (directory, mix, threads))
            side.timed([np.array(["a short sentence"], dtype=object)])
        except RuntimeError as error:
            left_out[name] = str(error)
        else:
            sides.append(side)
    return sides, left_out


def make_allennlp(
    directory: Path, mix: tuple[list[float], float], threads: int | None
) -> Embed:
    """AllenNLP's ``Elmo``, without dropout, each batch from the zero state."""
    torch = importlib.import_module("torch")
    theirs = importlib.import_module("allennlp.modules.elmo")
    if threads is not None:
        torch.set_num_threads(threads)
    weights, gamma = mix
    files = [str(directory / name) for name in ("options.json", "weights.hdf5")]
    elmo = theirs.Elmo(*files, 1, dropout=0.0, scalar_mix_parameters=weights).eval()

    def embed(texts: Texts) -> Floats:
        elmo._elmo_lstm._elmo_lstm.reset_states()
        with torch.no_grad():
            outputs = elmo(theirs.batch_to_ids([text.split(" ") for text in texts]))
        vectors = outputs["elmo_representations"][0]  # (batch, time, D)
        mask = outputs["mask"].unsqueeze(-1)  # (batch, time, 1)
        mean = (vectors * mask).sum(1) / mask.sum(1)  # (batch, D)
        return np.asarray(gamma * mean.numpy(), np.float32)

    return embed


OTHERS: dict[str, Callable[..., Embed]] = {"allennlp": make_allennlp}
