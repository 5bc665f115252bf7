"""The arguments of ``keras-elmo list``, ``info`` and ``verify``."""

from __future__ import annotations

from typing import Any

from keras_elmo.cli.shared_arguments import DOWNLOADS, SOURCE, Add, add_json, add_quiet


def _list(**arguments: Any) -> None:
    from keras_elmo.cli.info import show_models

    show_models(**arguments)


def _info(**arguments: Any) -> None:
    from keras_elmo.cli.info import show_source

    show_source(**arguments)


def _verify(**arguments: Any) -> None:
    from keras_elmo.cli.verify import show_verification

    show_verification(**arguments)


def add_models(add: Add) -> None:
    """Adds ``list``, ``info`` and ``verify``."""
    models = add("list", _list, "list the models that can be asked for by name")
    add_json(models)

    info = add("info", _info, "describe a model", DOWNLOADS)
    info.add_argument("source", metavar="SOURCE", help=SOURCE)
    add_json(info)

    verify = add(
        "verify", _verify, "compare a TF1 Hub module's outputs with the layer's", DOWNLOADS
    )
    verify.add_argument("source", metavar="SOURCE", help=SOURCE)
    either = verify.add_mutually_exclusive_group()
    add_json(either)
    add_quiet(either)
