"""Importing the package costs nothing, and Keras still finds its classes."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import keras
import pytest

import keras_elmo
from keras_elmo.imports import CLASSES
from tests.processes import run_python

LARGE = {"h5py", "keras", "numpy", "pooch", "ray", "requests", "tensorflow"}

LOAD = "print(keras.models.load_model({path!r}).layers[-1].get_config()['output_mode'])"


@pytest.fixture(scope="module")
def path(source: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    text = keras.Input((), dtype="string")
    layer = keras_elmo.ElmoEmbeddingLayer(source, "pooled_layers")
    path = tmp_path_factory.mktemp("models") / "model.keras"
    keras.Model(text, layer(text)).save(path)
    return str(path)


def test_nothing_large_is_imported() -> None:
    printed = run_python(f"import sys, keras_elmo; print({LARGE} & {{*sys.modules}})")
    assert printed.strip() == "set()"


@pytest.mark.slow  # a process each
@pytest.mark.parametrize(
    "imports",
    [
        "import keras_elmo; import keras",
        "import keras; import keras_elmo",
        # Keras is imported in the middle of one of our modules.
        "from keras_elmo.layers.scalar_mix import ScalarMix; import keras",
        # Libraries that can do without Keras look for it first.
        "import importlib.util, tensorflow as tf, keras_elmo\n"
        "importlib.util.find_spec('keras')\nkeras = tf.keras",
    ],
)
def test_keras_loads_a_model_after_a_bare_import(imports: str, path: str) -> None:
    printed = run_python(f"{imports}\n{LOAD.format(path=path)}")
    assert printed.strip() == "pooled_layers"


def test_keras_knows_every_registered_class() -> None:
    for module in pkgutil.walk_packages(keras_elmo.__path__, "keras_elmo."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    registered = {
        name.removeprefix("keras_elmo>"): found
        for name, found in keras.saving.get_custom_objects().items()
        if name.startswith("keras_elmo>")
    }
    assert sorted(registered) == sorted(CLASSES)
    for name, module in CLASSES.items():
        found = getattr(importlib.import_module(f"keras_elmo.{module}"), name)
        assert registered[name] is found


def test_names() -> None:
    names: dict[str, object] = {}
    exec("from keras_elmo import *", names)
    assert set(keras_elmo.__all__) <= names.keys()
    assert set(keras_elmo.__all__) <= set(dir(keras_elmo))
    printed = run_python("import keras_elmo; print(keras_elmo.vectors.open_embeddings)")
    assert "function open_embeddings" in printed
    with pytest.raises(AttributeError, match="'keras_elmo' has no attribute 'nothing'"):
        _ = keras_elmo.nothing


def test_without_keras(tmp_path: Path) -> None:
    """The finder passes on that there is none."""
    code = (
        "import sys, keras_elmo\n"
        f"sys.path[:] = [{str(tmp_path)!r}]\n"
        "try:\n    import keras\nexcept ModuleNotFoundError as error:\n    print(error)"
    )
    assert run_python(code).strip() == "No module named 'keras'"
