"""AllenNLP's or simple_elmo's side, run by the Python of an environment that has it.

The benchmark runs it as ``python peer.py FOLDER``, with options.json and weights.hdf5 in
the folder. The first line of output is its name and version. Then each line of input is
``{"batches": [[text]], "train": false}``, and each line of output has the seconds, and the
vectors ``[[[number]]]`` unless it trained.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import time
import types
from collections.abc import Callable
from typing import Any

Run = Callable[[list[str], bool], Any]
"""From texts and whether to train, to vectors (batch, D)."""


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is not a reply
    peers = {"allennlp": allennlp, "simple_elmo": simple_elmo}
    name = next(name for name in peers if importlib.util.find_spec(name))
    run = peers[name](sys.argv[1])
    print(
        json.dumps(f"{name} {importlib.metadata.version(name)}"), file=replies, flush=True
    )
    for line in sys.stdin:
        job = json.loads(line)
        start = time.perf_counter()
        vectors = [run(texts, job["train"]) for texts in job["batches"]]
        reply: dict[str, Any] = {"seconds": time.perf_counter() - start}
        if not job["train"]:
            reply["vectors"] = [batch.tolist() for batch in vectors]
        print(json.dumps(reply), file=replies, flush=True)


def allennlp(folder: str) -> Run:
    sys.meta_path.append(StandIns("allennlp"))
    import torch

    files_of = importlib.import_module("cached_path")
    if isinstance(files_of, _StandIn):  # the one that Elmo does use, for addresses
        files_of.__dict__["cached_path"] = lambda path, **_: path
    package = importlib.import_module("allennlp.modules.elmo")
    files = (f"{folder}/options.json", f"{folder}/weights.hdf5")
    elmo = package.Elmo(*files, 1, requires_grad=True, dropout=0.0)
    optimizer = torch.optim.Adam(elmo.parameters(), 0.0)  # the work without a change

    def run(texts: list[str], train: bool) -> Any:
        elmo._elmo_lstm._elmo_lstm.reset_states()  # otherwise batches depend on others
        with torch.set_grad_enabled(train):
            found = elmo(package.batch_to_ids([text.split() for text in texts]))
            mask = found["mask"][..., None].float()  # (batch, time, 1)
            elmo_vectors = found["elmo_representations"][0]  # (batch, time, D)
            vectors = (elmo_vectors * mask).sum(1) / mask.sum(1)  # (batch, D)
            if train:
                optimizer.zero_grad()
                (vectors**2).mean().backward()
                optimizer.step()
        return vectors.detach().numpy()

    return run


def simple_elmo(folder: str) -> Run:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # Keras 3 does not have its LSTM cell
    import numpy as np
    import tensorflow as tf

    model = importlib.import_module("simple_elmo").ElmoModel()
    model.load(folder, max_batch_size=128)
    # As its method does without a session, which would be made at each call.
    weight_layers = importlib.import_module("simple_elmo.elmo").weight_layers
    model.elmo_sentence_input = weight_layers(
        "input", model.sentence_embeddings_op, use_layers="average"
    )
    session = tf.compat.v1.Session()
    session.run(tf.compat.v1.global_variables_initializer())

    def run(texts: list[str], train: bool) -> Any:
        if train:
            raise NotImplementedError("simple_elmo does not train.")
        tokens = [text.split() for text in texts]
        found = model.get_elmo_vectors(tokens, warmup=False, session=session)
        lengths = np.array([[len(row)] for row in tokens])  # (batch, 1)
        steps = np.arange(found.shape[1]) < lengths  # (batch, time)
        return (found * steps[..., None]).sum(1) / lengths  # (batch, D)

    return run


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports empty modules for what a package requires and the environment lacks.

    AllenNLP's requirements cannot be installed any more. Its Elmo does not use them.
    """

    def __init__(self, package: str) -> None:
        needed = importlib.metadata.requires(package) or []
        names = [re.match(r"[\w-]+", line)[0].replace("-", "_") for line in needed]  # type: ignore[index]
        self.names = {*names, "sklearn", "google", "botocore", "boto3", "rich"}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.split(".")[0] in self.names:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def _anything(_: Any, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return Anything


class _StandIn(types.ModuleType):
    __getattr__ = _anything


class _OfAnything(type):
    __getattr__ = _anything


class Anything(metaclass=_OfAnything):
    """A class, a base class, a function, a decorator."""

    __getattr__ = _anything

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args[0] if args and callable(args[0]) else self

    def __class_getitem__(cls, item: Any) -> Any:
        return cls


if __name__ == "__main__":
    main()
