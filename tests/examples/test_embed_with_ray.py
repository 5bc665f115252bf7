"""The example that embeds many files with Ray, killed in between."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer
from tests.examples.running import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray"),
]

OPTIONS = ["--pooled", "--layers", "top", "--workers", 1, "--on-error", "repair"]


def test_resumes_and_refuses(source: str, tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    # As if it had been killed at the second file: the first is left as it is.
    output = tmp_path / "an output"
    inputs = [tmp_path / name for name in ("a.txt", "b.txt", "c.jsonl")]
    texts = ["the cat sat", "\ufffd b", "é\u2028f"]
    inputs[0].touch()
    lines = [b"the cat sat", b"\xff b", "é\u2028f".encode()]
    inputs[1].write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    inputs[2].write_text(json.dumps({"text": "a b"}) + "\n", encoding="utf-8")
    arguments = [output, *inputs, "--source", source, *OPTIONS]
    (output / "a.txt").mkdir(parents=True)
    assert "holds other files" in run("embed_with_ray.py", *arguments, status=1)
    sizes = {f"size of {path.name}": path.stat().st_size for path in inputs}
    (output / ".job.json").write_text(json.dumps(sizes), encoding="utf-8")
    (output / ".unfinished-0").mkdir()
    printed = run("embed_with_ray.py", *arguments)
    assert "a.txt: done before" in printed
    assert "c.jsonl: done in" in printed
    assert not list((output / "a.txt").iterdir())
    assert not list(output.glob(".unfinished*"))

    layer = ElmoEmbeddingLayer(source, "pooled_layers")
    files = sorted((output / "b.txt").iterdir())
    table = pyarrow.concat_tables(map(parquet.read_table, files))
    assert table.column("text").to_pylist() == texts
    vectors = np.array(table.column("embedding").to_pylist())
    tokens = [" ".join(text.split()) for text in texts]
    np.testing.assert_allclose(vectors, layer(tokens)[:, -1], atol=1e-6)

    other = run("embed_with_ray.py", *arguments[:-1], "skip", status=1)
    assert "belongs to a run with other settings; these differ: on_error." in other
    inputs[1].write_text("other", encoding="utf-8")
    changed = run("embed_with_ray.py", *arguments, status=1)
    assert "these differ: size of b.txt." in changed
    (tmp_path / "d.csv.gz").touch()
    table = run("embed_with_ray.py", output, tmp_path / "d.csv.gz", status=1)
    assert "d.csv.gz is a table. Convert it to text, JSON Lines or Parquet." in table
