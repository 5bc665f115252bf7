"""The Siamese example: one set of weights under two inputs, the loss, the whole program."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.training import join_head
from tests.tiny_models import LEAST, saved_model

RNG = np.random.default_rng(0)
FIRST = tf.constant(["a film", "no", "what a song", "why ?"])
SECOND = tf.constant(["a man", "what a song", "yes", "because it is long"])


@pytest.fixture(scope="module")
def models() -> ModuleType:
    return importlib.import_module("siamese_model")


@pytest.fixture(scope="module")
def training() -> ModuleType:
    return importlib.import_module("siamese_training")


def string_encoder() -> keras.Model:
    """ELMo with its own mix, frozen otherwise, and a projection."""
    text = keras.Input((), dtype="string")
    vector = ElmoEmbeddingLayer(LEAST, name="elmo")(text)
    vector = keras.layers.Dense(5, use_bias=False)(vector)
    return keras.Model(text, keras.layers.UnitNormalization()(vector))


def halves_of(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Made-up pooled layers: half of the numbers tell the review, half only disturb."""
    random = np.random.default_rng(n)
    reviews = random.normal(size=(n, 1, 6)) * [1, 1, 1, 0, 0, 0]
    noise = random.normal(size=(2, n, 2, 6)) * [0.1, 0.1, 0.1, 3, 3, 3]
    first, second = (reviews + noise).astype(np.float32)  # (n, 2, 6) each
    return first, second


def expected_loss(reviews: list[int], pairs: np.ndarray, temperature: float) -> np.ndarray:
    n = len(reviews)
    losses = np.zeros(n)
    for a, b in ((0, 1), (1, 0)):
        for i in range(n):
            weights = [np.exp(pairs[i, a] @ pairs[j, b] / temperature) for j in range(n)]
            right = [j for j in range(n) if reviews[i] == reviews[j]]
            logs = [np.log(weights[j] / sum(weights)) for j in right]
            losses[i] -= np.mean(logs) / 2
    return losses


@pytest.mark.parametrize("reviews", [[0, 1, 2, 3], [5, 1, 5, 2]])
def test_loss(reviews: list[int], models: ModuleType) -> None:
    pairs = RNG.normal(size=(4, 2, 3))
    pairs /= np.linalg.norm(pairs, axis=-1, keepdims=True)
    found = models.contrastive_loss(0.1)(np.array(reviews), pairs)
    np.testing.assert_allclose(found, expected_loss(reviews, pairs, 0.1), rtol=1e-6)
    # Nothing to choose from.
    alone = models.contrastive_loss(0.1)(np.array([7]), pairs[:1])
    np.testing.assert_allclose(alone, [0], atol=1e-7)


def test_weights_are_shared(models: ModuleType, tmp_path: Path) -> None:
    encoder = string_encoder()
    model = models.siamese(encoder)
    assert [id(v) for v in model.weights] == [id(v) for v in encoder.weights]
    pairs = model([FIRST, FIRST]).numpy()  # (4, 2, 5)
    np.testing.assert_array_equal(pairs[:, 0], pairs[:, 1])
    swapped = model([SECOND, FIRST]).numpy()
    np.testing.assert_allclose(model([FIRST, SECOND]), swapped[:, ::-1], atol=1e-6)

    model.save(tmp_path / "siamese.keras")
    loaded = keras.saving.load_model(tmp_path / "siamese.keras")
    assert loaded.count_params() == encoder.count_params()
    np.testing.assert_allclose(loaded([SECOND, FIRST]), swapped, atol=1e-7)
    # The mix is that of both: a change of it changes both sides alike.
    (shared,) = (x for x in loaded.layers if isinstance(x, keras.Model))
    mix = shared.get_layer("elmo").scalar_mix
    mix.layer_weights.assign([2, -1])
    pairs = loaded([FIRST, FIRST]).numpy()
    np.testing.assert_array_equal(pairs[:, 0], pairs[:, 1])
    assert np.abs(pairs[:, 0] - swapped[:, 1]).max() > 1e-3


def test_gradients_of_both_sides_add_up(models: ModuleType) -> None:
    encoder = string_encoder()
    scalars = encoder.get_layer("elmo").trainable_variables
    assert [variable.name for variable in scalars] == ["layer_weights", "gamma"]
    assert [v.name for v in encoder.trainable_variables][2:] == ["kernel"]
    scalars = [variable.value for variable in encoder.trainable_variables]
    loss = models.contrastive_loss(0.5)
    with tf.GradientTape(persistent=True) as tape:
        both = tf.reduce_mean(loss(tf.range(4), models.siamese(encoder)([FIRST, SECOND])))
        first, second = encoder(FIRST), encoder(SECOND)  # (4, 5) each
        left = tf.stack([first, tf.stop_gradient(second)], axis=1)
        right = tf.stack([tf.stop_gradient(first), second], axis=1)
        sides = [tf.reduce_mean(loss(tf.range(4), pairs)) for pairs in (left, right)]
    of_both = tape.gradient(both, scalars)
    of_sides = [tape.gradient(side, scalars) for side in sides]
    for total, a, b in zip(of_both, *of_sides, strict=True):
        np.testing.assert_allclose(total, a + b, atol=1e-6)
    assert np.abs(of_both[0]).max() > 1e-5
    assert np.abs(of_sides[0][0] - of_sides[1][0]).max() > 1e-6


def test_discriminant() -> None:
    vectors = importlib.import_module("text_vectors")
    measures = importlib.import_module("text_retrieval")
    (first, second), (others, own) = halves_of(400), halves_of(100)
    kernel = vectors.discriminant(first[:, 0], second[:, 0], 3)
    assert kernel.shape == (6, 3)
    # The numbers that disturb are left out.
    assert np.abs(kernel[3:]).max() < 0.1 * np.abs(kernel[:3]).max()
    before = measures.retrieval(measures.cosines(others[:, 0], own[:, 0]))
    after = measures.cosines(others[:, 0] @ kernel, own[:, 0] @ kernel)
    assert before.recall_at_1 < 0.2
    assert measures.retrieval(after).recall_at_1 > 0.4
    # Within texts the covariance becomes the identity, the ridge included.
    kernel = vectors.discriminant(first[:, 0], second[:, 0], 9)
    assert kernel.shape == (6, 6)
    within = np.cov((first - second)[:, 0].T) / 2
    within += vectors.RIDGE * np.mean(np.diag(within)) * np.eye(6)
    np.testing.assert_allclose(kernel.T @ within @ kernel, np.eye(6), atol=1e-9)


def test_training(models: ModuleType, training: ModuleType) -> None:
    pairs, validation, test = halves_of(60), halves_of(50), halves_of(20)
    head = models.make_head(pairs, 4)
    assert head.output_shape == (None, 4)
    start = training.found_by(head, validation)
    assert start.recall_at_1 > 0.3
    history = training.train(head, pairs, validation, 3)
    assert [len(values) for values in history.values()] == [3, 3]
    # The weights are those of the best epoch.
    best = training.found_by(head, validation)
    assert best.reciprocal_rank == pytest.approx(max(history["val_mrr"]), abs=1e-9)
    np.testing.assert_allclose(np.linalg.norm(head(test[0]), axis=-1), 1, atol=1e-6)


def test_vectors_do_not_depend_on_the_batch(models: ModuleType) -> None:
    layer = ElmoEmbeddingLayer(LEAST, "pooled_layers")
    features = layer(FIRST).numpy(), layer(SECOND).numpy()
    encoder = join_head(layer, models.make_head(features, 4))
    together = encoder(FIRST).numpy()  # (4, 4)
    one_by_one = [encoder(FIRST[i : i + 1])[0] for i in range(4)]
    np.testing.assert_allclose(one_by_one, together, atol=1e-5)


def test_whole_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = importlib.import_module("siamese")
    source, folder = saved_model(tmp_path / "elmo", LEAST), tmp_path / "out"
    args = ["--source", str(source), "--output", str(folder), "--limit", "40"]
    args += ["--test", "20", "--epochs", "2", "--size", "8"]
    assert example.main([*args, "--compare", "A fine film.", "Dull!"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Training on 36 reviews, validating on 4 others\n")
    numbers = json.loads((folder / "siamese.json").read_text())
    assert list(map(len, numbers.pop("history").values())) == [2, 2]
    assert list(numbers) == [example.BEFORE, example.START, example.AFTER, example.WORDS]
    for name, found in numbers.items():
        (row,) = (x for x in printed.splitlines() if x.startswith(f"{name}  "))
        assert row.split()[-3:] == [f"{value:.3f}" for value in found.values()]
    assert (folder / "siamese.png").read_bytes().startswith(b"\x89PNG\r\n")

    model = keras.saving.load_model(folder / "siamese.keras")
    counted = re.search(r"once for both inputs: ([\d,]+)", printed)
    assert counted is not None
    assert int(counted[1].replace(",", "")) == model.count_params()
    texts = [tf.constant([text, "A fine film ."]) for text in ("A fine film .", "Dull !")]
    similarity = model(texts).numpy()  # (2, 1)
    told = f"on 'A fine film.' and 'Dull!': similarity {similarity[0, 0]:.3f}\n"
    assert told in printed
    np.testing.assert_allclose(model([texts[0], texts[0]]), np.ones((2, 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--compare", "a", " "], "argument --compare: must not be empty"),
        (["--size", "0"], "argument --size: must be a whole number from 1"),
        (["--limit", "3"], "argument --limit: must be a whole number from 4"),
        (["--data", "none"], "--data: There is no file or directory 'none'"),
        (["--source", "none"], "argument --source: source 'none': there is no"),
    ],
)
def test_errors(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    example = importlib.import_module("siamese")
    with pytest.raises(SystemExit, match=r"^2$"):
        example.main(args)
    assert message in capsys.readouterr().err
