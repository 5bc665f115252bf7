"""The HTTP service: its answers, and the programs around it."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import load_test
import numpy as np
import pytest
import tensorflow as tf
from serve import main

from keras_elmo import ElmoEmbeddingLayer
from tests.examples.serving.service import SENTENCES, send, vectors


@pytest.mark.parametrize("output", ["default", "elmo", "word_emb", "lstm_outputs1"])
def test_vectors_are_the_layers(
    service: object, layers: dict[str, ElmoEmbeddingLayer], output: str
) -> None:
    found = vectors(service, sentences=SENTENCES, output=output)
    tokens = [[token for token in text.split(" ") if token] for text in SENTENCES]
    assert vectors(service, tokens=tokens, output=output) == found
    expected = layers[output](SENTENCES).numpy()
    for sentence, row, values in zip(tokens, found, expected, strict=True):
        if output == "default":
            np.testing.assert_allclose(row, values, atol=1e-6)
        else:
            assert len(row) == len(sentence)
            np.testing.assert_allclose(
                np.reshape(row, (-1, values.shape[-1])), values[: len(row)], atol=1e-6
            )


def test_nothing_to_embed(service: object) -> None:
    assert vectors(service, sentences=[]) == []
    assert vectors(service, tokens=[[]], output="elmo") == [[]]


def test_each_of_many_clients_gets_its_own(
    service: object, layers: dict[str, ElmoEmbeddingLayer]
) -> None:
    texts = [" ".join(["word"] * (1 + i % 7) + [str(i)]) for i in range(60)]
    expected = layers["default"](texts).numpy()
    with ThreadPoolExecutor(20) as clients:
        found = clients.map(lambda text: vectors(service, sentences=[text])[0], texts)
        np.testing.assert_allclose(list(found), expected, atol=1e-6)


def test_health(service: object) -> None:
    status, content, _ = send(service, method="GET", path="/health", headers={})
    assert status == 200
    assert content["status"] == "ready"
    assert content["outputs"] == ["default", "elmo", "lstm_outputs1", "word_emb"]


def test_the_load_test(exported: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Clients against a process of its own, which SIGTERM ends."""
    arguments = [exported, "--clients", "8", "--seconds", "3"]
    code = load_test.main([*arguments, "--", "--batch-steps", "500"])
    printed = capfd.readouterr().out
    assert code == 0, printed
    lines = dict(line.split("  ", 1) for line in printed.splitlines() if "  " in line)
    assert float(lines["requests/s"].replace(",", "")) > 1
    assert lines["well-formed"].strip().startswith("{200: ")
    assert lines["without answer"].strip() == "{}"
    assert int(lines["exit code"]) == 0


def test_models_that_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(
        SystemExit, match=r"nowhere' cannot be loaded: SavedModel file does"
    ):
        main([str(tmp_path / "nowhere")])
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(
        SystemExit, match=r"has no signature 'tokens'; it has .*Write it by"
    ):
        main([str(tmp_path / "other")])
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path), "--max-seconds", "0"])


def test_tensorflow_alone() -> None:
    examples = Path(__file__).resolve().parents[3] / "examples"
    for path in examples.glob("serve*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])]
            module = getattr(node, "module", None) or ""
            assert not any(n.startswith("keras") for n in [module, *names]), path
