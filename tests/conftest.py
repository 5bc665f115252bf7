"""Fixtures, Hypothesis settings, and tables of what tests note for the end of the run.

Keras is imported where it is used, which is never in the process that only hands tests to
the workers of pytest-xdist.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

SHARED_VARIABLE = "KERAS_ELMO_SHARED"

# Workers share the processor's cores; threads of one would only wait for the other's.
# TensorFlow reads this as it starts, also in the processes that tests start.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

# Building a layer takes longer than Hypothesis expects of an example; the seed is fixed
# so that a red run is red again.
hypothesis.settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("default")

_errors = pytest.StashKey[dict[str, float]]()
_figures = pytest.StashKey[dict[str, str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what does not run on another backend than TensorFlow."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        return
    skip = pytest.mark.skip(reason=f"for the TensorFlow backend; this is {backend!r}")
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if "any_backend" not in marks or "tensorflow" in marks:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def less_to_trace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's traces are what most of the time goes into: tests do without some.

    Bare calls are compiled only in tests marked ``compiled``. Graphs are optimized before
    they run in these, in slow tests and in those that use ``shared``. An optimizer that
    makes its variables in the first step has this step traced twice: they are made before.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    marks = {mark.name for mark in request.node.iter_markers()}
    if "compiled" not in marks:
        name = "keras_elmo.backends.runs_operation_by_operation"
        monkeypatch.setattr(name, lambda: False)
    as_users = (
        not marks.isdisjoint({"compiled", "slow"}) or "shared" in request.fixturenames
    )
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not as_users})
    make = keras.Model.make_train_function

    def build_and_make(model: keras.Model, force: bool = False) -> Any:
        if model.built and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        return make(model, force)

    monkeypatch.setattr(keras.Model, "make_train_function", build_and_make)


@pytest.fixture
def shared() -> Path:
    """The folder of oracles and data that are not part of the project."""
    default = Path(__file__).resolve().parents[2] / "shared"
    path = Path(os.environ.get(SHARED_VARIABLE, default))
    if not path.is_dir():
        pytest.skip(f"no oracles and data at {path}; set {SHARED_VARIABLE}")
    return path


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model in a directory."""
    from tests.tiny_models import saved_model

    return str(saved_model(tmp_path_factory.mktemp("tiny_model")))


@pytest.fixture(autouse=True)
def own_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps what tests download and verify out of the user's cache."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("KERAS_ELMO_CACHE", str(folder))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, which does not exist yet."""
    monkeypatch.setenv("KERAS_ELMO_CACHE", str(tmp_path / "cache"))
    # A proxy has no part in a request to this machine.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny TF1 Hub module, not to be changed, with the weights of ``source``."""
    from tests.hub.tf_hub_modules import write_module

    return write_module(tmp_path_factory.mktemp("modules") / "elmo")


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps JAX from compiling equal loops in each eager call of a recurrent layer."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("jax")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(scope="module", autouse=True)
def programs_released() -> Iterator[None]:
    """Forgets JAX's programs, whose memory maps Linux limits to 65,530 in a process."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="session", autouse=True)
def functions_kept() -> Iterator[None]:
    """Sets TensorFlow's seed only where it changes.

    TensorFlow forgets all functions that it has made ready to run when its seed is set.
    """
    import tensorflow as tf

    set_seed = tf.random.set_seed
    seeds: list[int] = []

    def set_other_seed(seed: int) -> None:
        if seeds[-1:] != [seed]:
            seeds.append(seed)
            set_seed(seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.random, "set_seed", set_other_seed)
        yield


@pytest.fixture(autouse=True)
def same_seed(functions_kept: None) -> None:
    """Starts every test with the same seed, whichever ran before it."""
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def report_error(pytestconfig: pytest.Config) -> Callable[[str, float], None]:
    """Notes the largest error of a comparison for the table after the run."""
    errors = pytestconfig.stash[_errors]

    def report(name: str, error: float) -> None:
        _keep_largest(errors, {name: float(error)})

    return report


@pytest.fixture(scope="session")
def report_figure(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """Notes a measurement for the end of the run."""
    return pytestconfig.stash[_figures].__setitem__


def pytest_collection_finish() -> None:
    """Spares the collector of garbage from going through all modules again and again."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Begins with empty tables."""
    config.stash[_errors] = {}
    config.stash[_figures] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker of pytest-xdist, sends its tables to the process that prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["errors"] = session.config.stash[_errors]
        session.config.workeroutput["figures"] = session.config.stash[_figures]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Joins the tables of a worker that has ended; one that crashed has sent none."""
    output = getattr(node, "workeroutput", {})
    _keep_largest(node.config.stash[_errors], output.get("errors", {}))
    node.config.stash[_figures].update(output.get("figures", {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Prints the largest error of each comparison, and what was measured."""
    errors, figures = config.stash[_errors], config.stash[_figures]
    if errors:
        terminalreporter.section("largest errors against references")
        for name in sorted(errors):
            terminalreporter.write_line(f"{errors[name]:9.2e}  {name}")
    if figures:
        terminalreporter.section("measured")
        for name in sorted(figures):
            terminalreporter.write_line(f"{name}: {figures[name]}")


def _keep_largest(errors: dict[str, float], more: dict[str, float]) -> None:
    for name, error in more.items():
        errors[name] = max(errors.get(name, 0.0), error)
