"""What a worker of Ray makes of rows, by itself and in this process."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.vectors import embed_dataset, ray_data
from keras_elmo.vectors.options import Options
from keras_elmo.vectors.ray_worker import Worker
from tests.tiny_models import LEAST
from tests.vectors.small_jobs import check_tokens

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed"
)


WORDS = ("river", "bank", "naïve", "café", "of", "a")
# Texts of 1 to 7 tokens, all different.
TEXTS = [" ".join([f"{i}", *(WORDS[(i + k) % 6] for k in range(i % 7))]) for i in range(60)]


def embedded(source: Any, texts: Any, **options: Any) -> list[dict[str, Any]]:
    """The rows that a worker makes of a column."""
    import pyarrow as pa

    worker = Worker(source, Options(column="text", **options), "embedding", 1, False)
    column = pa.array(texts)
    table = pa.table({"text": column, "i": range(len(column))})
    rows: list[dict[str, Any]] = []
    for part in worker(table):
        tensors = part.column("embedding").combine_chunks().to_numpy(zero_copy_only=False)
        numbers = part.column("i").to_pylist()
        rows += [{"i": i, "embedding": x} for i, x in zip(numbers, tensors, strict=True)]
    return rows


@pytest.fixture(scope="module", autouse=True)
def _settings_of_ray() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, as it makes them
        import ray.data

        ray.data.DataContext.get_current()


def arrays(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["embedding"] for row in rows]


def test_bad_rows(
    source: str, layer: ElmoEmbeddingLayer, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["a b", None, b"\xff b".decode("latin-1"), " ", "a b c d"]
    rows = embedded(source, texts, on_error="repair", max_tokens=3)
    assert [row["i"] for row in rows] == list(range(5))
    repaired = ["a b", "", texts[2], "", "a b c"]
    check_tokens(arrays(rows), layer(repaired), repaired)
    assert "row None: missing; repaired" in caplog.text
    assert "row 'a b c d': 4 tokens, more than 3; repaired" in caplog.text
    of_bytes = embedded(source, [b"a b", b"\xff c"], on_error="repair")
    check_tokens(arrays(of_bytes), layer(["a b", "\ufffd c"]), ["a b", "\ufffd c"])
    (row,) = embedded(source, ["a b", "a b c d", None], on_error="skip", max_tokens=3)
    check_tokens([row["embedding"]], layer(["a b"]), ["a b"])
    with pytest.raises(ValueError, match=r"\n4: not a string, but int\nFix them, or"):
        embedded(source, [3, 4])


def test_pooled(source: str, pooled: ElmoEmbeddingLayer) -> None:
    rows = embedded(source, TEXTS, layers="average", pooled=True, dtype="float16")
    found = np.stack(arrays(rows))
    assert found.dtype == np.float16
    layers = np.asarray(pooled(TEXTS))  # (n, 2, D)
    np.testing.assert_allclose(found, layers.mean(axis=1), rtol=1e-3, atol=1e-3)
    raw, spaced = ["It isn't bad...", "a (b)"], ["It isn't bad ...", "a ( b )"]
    found = arrays(embedded(source, raw, pooled=True, split="words"))
    np.testing.assert_allclose(np.stack(found), pooled(spaced), atol=1e-6)


def test_rows_of_a_part(
    source: str, layer: ElmoEmbeddingLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where rows are cut depends on the rows alone, and all of them are there."""
    monkeypatch.setattr(Worker, "chunk_bytes", 1000)
    for options in ({"batch_size": 3}, {"batch_size": 64, "token_budget": 5}):
        rows = embedded(source, TEXTS, **options)
        assert [row["i"] for row in rows] == list(range(len(TEXTS)))
        check_tokens(arrays(rows), layer(TEXTS), TEXTS)


def test_vectors_that_do_not_fit(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(LEAST, "pooled_layers")
    layer.set_weights([weight * 1e6 for weight in layer.get_weights()])
    layer.save_hdf5(tmp_path)
    message = r"text number 2 do not fit float16.* The text starts with 'one two'\.$"
    with pytest.raises(ValueError, match=message):
        embedded(str(tmp_path), ["", "one two"], on_error="repair", dtype="float16")


def test_workers_that_fit() -> None:
    def node(cpus: float, gpus: float = 0, alive: bool = True) -> dict[str, Any]:
        # Ray leaves out what there is none of.
        amounts = {"CPU": cpus, "GPU": gpus}
        return {"Alive": alive, "Resources": {k: n for k, n in amounts.items() if n}}

    n_that_fit = ray_data._n_that_fit
    assert n_that_fit([node(3)], 1, 0) == 2  # one CPU stays free
    assert n_that_fit([node(1)], 1, 0) == n_that_fit([], 1, 0) == 0
    assert n_that_fit([node(4), node(4), node(9, alive=False)], 2, 0) == 3
    assert n_that_fit([node(3), node(3)], 2, 0) == 2  # one on each machine
    assert n_that_fit([node(8, gpus=1), node(8), node(8, gpus=2)], 1, 0.5) == 6
    assert n_that_fit([node(2)], 0.5, 0) == 2


def test_sources_for_workers() -> None:
    """What has no address is a file, which workers look for elsewhere."""
    for name in ("mini", "original", "nlpl:136", "https://x.org/model.zip"):
        assert ray_data._for_workers(name, Options(), None) == name
    for name in ("weights.hdf5", "a/b://c"):
        found = ray_data._for_workers(name, Options(), None)
        assert found == str(Path(name).absolute())


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"Ray Data is not installed.*keras-elmo\[ray\]"):
        embed_dataset(None, "mini")  # type: ignore[arg-type]
