"""TensorFlow, JAX and PyTorch train alike, and read each other's files."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo import batch_to_character_ids
from keras_elmo.layers.arrays import assign_arrays
from tests.hub.tf_hub_modules import write_module
from tests.processes import run_python
from tests.tiny_models import TINY, random_arrays

pytestmark = pytest.mark.slow

Report = Callable[[str, float], None]
Numbers = dict[str, np.ndarray]

TEXTS = ["the cat sat on the mat", "a", "naïve café 北京 🙂", "one two three four five six"]
LABELS = np.array([1.0, 0.0, 1.0, 0.0])


def run_on(backend: str, folder: Path) -> Numbers:
    """Runs the program on a backend, and returns what it wrote."""
    program = "import runpy; runpy.run_module('tests.across_backends', run_name='__main__')"
    run_python(program, str(folder), backend, KERAS_BACKEND=backend)
    with np.load(folder / f"{backend}.npz") as numbers:
        return dict(numbers)


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    return batch_to_character_ids([text.split() for text in TEXTS])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, ids: np.ndarray) -> Path:
    """Models and data that TensorFlow wrote."""
    from tests.across_backends import classifier, trained_losses

    folder = tmp_path_factory.mktemp("across")
    np.savez(folder / "data.npz", ids=ids, labels=LABELS, texts=np.array(TEXTS))
    keras.utils.set_random_seed(0)
    model = classifier(TINY)
    assign_arrays(model.get_layer("elmo").bilm, random_arrays(TINY))
    model.save(folder / "start.keras")
    losses = trained_losses(model, ids, LABELS)
    assert losses[-1] < 0.9 * losses[0]
    model.save(folder / "trained.keras")
    strings = classifier(TINY, "sentences")
    strings.set_weights(model.get_weights())
    strings.get_layer("elmo").trainable = False
    strings.get_layer("elmo").cache_vocabulary(["the", "cat"])
    strings.save(folder / "strings.keras")
    write_module(folder / "module")
    return folder


@pytest.fixture(scope="module")
def on_tensorflow(folder: Path) -> Numbers:
    return run_on("tensorflow", folder)


@pytest.fixture(scope="module", params=["jax", "torch"])
def backend(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def found(backend: str, folder: Path) -> Numbers:
    return run_on(backend, folder)


def test_full_fine_tuning_takes_the_same_steps(
    on_tensorflow: Numbers, found: Numbers, backend: str, report_error: Report
) -> None:
    assert found.keys() >= on_tensorflow.keys()
    trained = {"losses", "predictions"} | {n for n in found if n.startswith("weights/")}
    assert len(trained) == 2 + 35 + 5  # the layer's, and the head's
    for name in sorted(trained):
        error = np.abs(found[name] - on_tensorflow[name]).max()
        report_error(f"{backend} and tensorflow, fine-tuned", error)
        assert error < 1e-4, name


@pytest.mark.parametrize(
    ("file", "numbers"),
    [("trained", "of trained.keras"), (None, "predictions")],
    ids=["of TensorFlow", "for TensorFlow"],
)
def test_files(
    folder: Path,
    ids: np.ndarray,
    found: Numbers,
    backend: str,
    report_error: Report,
    file: str | None,
    numbers: str,
) -> None:
    model = keras.saving.load_model(folder / f"{file or backend}.keras")
    error = np.abs(found[numbers] - model.predict(ids, verbose=0)).max()
    report_error(f"{backend} and TensorFlow read one file, predictions", error)
    assert error < 1e-5


def test_the_weights_of_a_model_that_takes_strings(
    folder: Path, ids: np.ndarray, found: Numbers, backend: str
) -> None:
    model = keras.saving.load_model(folder / "strings.keras")
    expected = model.predict(np.array(TEXTS, dtype=object), verbose=0)
    np.testing.assert_allclose(found["of strings.keras"], expected, atol=1e-5)
    message = str(found["refusal"])
    assert "input_mode='sentences' takes strings and needs the Tens" in message
    assert f"this is the '{backend}' backend" in message


def test_modules_are_read_with_tensorflow(folder: Path, found: Numbers) -> None:
    message = str(found["module"])
    assert f"Reading the TF-Hub module {str(folder / 'module')!r} needs" in message
    assert "pip install tensorflow" in message


def test_importing_needs_no_tensorflow_and_does_not_import_it(backend: str) -> None:
    code = """
import sys
if sys.argv[1] == "absent":
    sys.modules["tensorflow"] = None
import keras_elmo
assert (sys.modules.get("tensorflow") is None), "TensorFlow was imported"
layer = keras_elmo.ElmoEmbeddingLayer("mini", input_mode="character_ids")
ids = keras_elmo.batch_to_character_ids([["A", "film", "."]])
print(tuple(layer(ids).shape), "tensorflow" in sys.modules)
"""
    printed = [
        run_python(code, how, KERAS_BACKEND=backend) for how in ("absent", "installed")
    ]
    # The name is there where it stands for a module that is absent.
    assert printed == ["(1, 512) True\n", "(1, 512) False\n"]
