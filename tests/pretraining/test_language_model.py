from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo.config import ElmoConfig
from keras_elmo.layers.arrays import assign_arrays
from keras_elmo.pretraining import TrainingConfig, evaluate, train
from keras_elmo.pretraining.language_model import BidirectionalLanguageModel, Perplexity
from keras_elmo.pretraining.vocabulary import SPECIAL_WORDS, Vocabulary
from keras_elmo.pretraining.windows import Window, Windows
from tests.numpy_elmo import NumpyElmo, State
from tests.tiny_models import TINY, random_arrays

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "the", "a", "cat", "dog", "sat", "."])
# Of all lengths, with words of all lengths, known and unknown.
SENTENCES = [
    text.split()
    for text in """the cat sat .
a dog
the antidisestablishmentarianistically large cat saw a dog .
sat
a cat , the dog and a größe .
the dog sat .""".splitlines()
]
FEW = SENTENCES[:3]
RNG = np.random.default_rng(1)
KERNEL = RNG.normal(size=(len(VOCABULARY), TINY.projection_dim)).astype(np.float32)
BIAS = RNG.normal(size=len(VOCABULARY)).astype(np.float32)
SMALL = ElmoConfig(
    char_dim=3, filters=((1, 4), (2, 8)), n_highway=1, n_layers=1, dim=16, projection_dim=8
)


def language_model(batch_size: int = 2, **arguments: Any) -> BidirectionalLanguageModel:
    """A model with known weights, not compiled to a graph, which takes longer."""
    model = BidirectionalLanguageModel(TINY, len(VOCABULARY), batch_size, **arguments)
    assign_arrays(model.bilm, random_arrays(TINY))
    model.softmax.kernel.assign(KERNEL)
    model.softmax.bias.assign(BIAS)
    model.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    return model


def windows(batch_size: int = 2, steps: int = 4, state: str = "carried") -> list[Window]:
    return list(Windows(TINY, VOCABULARY, batch_size, steps, state)(SENTENCES))


def losses(
    model: BidirectionalLanguageModel, text: Iterable[Window], **arguments: Any
) -> np.ndarray:
    """(windows, batch, steps, 2)."""
    return np.stack(
        [keras.ops.convert_to_numpy(model(window, **arguments)) for window in text]
    )


def states(layer: keras.Layer) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(state)) for state in layer.states]


def sentence_losses(
    reference: NumpyElmo, sentence: list[str], state: State
) -> tuple[list[float], list[float]]:
    """The losses of both directions as each reads the sentence, 0 at its end."""
    top = reference.layers([word.encode() for word in sentence], state)[:, -1]
    ids = VOCABULARY.ids(["<S>", *sentence, "</S>"])
    forward, backward = np.split(top, 2, axis=-1)  # (time + 2, projection_dim)
    return (
        [*map(word_loss, forward[:-1], ids[1:]), 0.0],
        [*map(word_loss, backward[:0:-1], ids[-2::-1]), 0.0],
    )


def word_loss(vector: np.ndarray, word: int) -> float:
    logits = KERNEL.astype(np.float64) @ vector + BIAS  # (vocabulary,)
    return float(np.log(np.exp(logits).sum()) - logits[word])


def row_sentences(text: list[Window], row: int) -> list[list[str]]:
    """The sentences of one row of windows, found by their targets.

    Sentences are told apart by their known words: no two of them are alike.
    """
    targets = [t for window in text for t in window["forward_targets"][row] if t > 0]
    known = {tuple(VOCABULARY.ids([*s, "</S>"]).tolist()): s for s in SENTENCES}
    assert len(known) == len(SENTENCES)
    found, begin = [], 0
    for end, target in enumerate(targets, start=1):
        if target == 1:  # </S>
            found.append(known[tuple(targets[begin:end])])
            begin = end
    return found


def in_reading_order(text: list[Window], values: np.ndarray, row: int) -> tuple[Any, Any]:
    """The losses of a row, each direction's in the order of processing, no padding."""
    forward, backward = (
        np.concatenate(
            [
                part[row, ::order, i][window[direction][row, ::order] > 0]
                for window, part in zip(text, values, strict=True)
            ]
        )
        for i, (direction, order) in enumerate([("forward", 1), ("backward", -1)])
    )
    return forward, backward


@pytest.mark.parametrize(
    ("state", "steps", "training"),
    [*product(["carried", "reset"], [4], [False, True]), ("carried", 12, False)],
)
def test_losses_are_those_of_numpy(state: str, steps: int, training: bool) -> None:
    """From a state to start in; in training too, if nothing is dropped or sampled."""
    model = language_model()
    start: State = {}
    parts = iter(model.start_state.states)
    for key in np.ndindex(TINY.n_layers, 2):
        start[key] = tuple(0.3 * RNG.normal(size=next(parts).shape[1]) for _ in "hc")
    values = [part for pair in start.values() for part in pair]
    for variable, value in zip(model.start_state.states, values, strict=True):
        variable.assign(value[None])
    text = windows(2, steps, state)
    found = losses(model, text, training=training)
    assert found.dtype == np.float32
    reference = NumpyElmo(TINY, random_arrays(TINY))
    n_sentences = 0
    for row in range(2):
        carried = dict(start)
        expected: tuple[list[float], list[float]] = ([], [])
        for sentence in row_sentences(text, row):
            n_sentences += 1
            before = carried if state == "carried" else dict(start)
            for so_far, new in zip(
                expected, sentence_losses(reference, sentence, before), strict=True
            ):
                so_far += new if state == "carried" else new[:-1]
        both = zip(in_reading_order(text, found, row), expected, strict=True)
        for direction, expected_losses in both:
            np.testing.assert_allclose(direction, expected_losses, rtol=1e-4, atol=1e-4)
    assert n_sentences == len(SENTENCES)
    # Nothing is counted where nothing is predicted.
    for i, direction in enumerate(("forward", "backward")):
        targets = np.stack([window[f"{direction}_targets"] for window in text])
        assert not found[..., i][targets < 0].any()
    from_zeros = losses(language_model(), text)
    assert np.abs(found - from_zeros).max() > 0.01


@pytest.mark.parametrize("state", ["carried", "reset"])
def test_perplexities_by_hand(state: str) -> None:
    reference = NumpyElmo(TINY, random_arrays(TINY))
    carried: State = {}
    pairs = [
        sentence_losses(reference, sentence, carried if state == "carried" else {})
        for sentence in FEW
    ]
    forward, backward = ([x for p in pairs for x in p[i][:-1]] for i in range(2))
    expected = {
        "perplexity": np.exp(np.mean(forward + backward)),
        "forward_perplexity": np.exp(np.mean(forward)),
        "backward_perplexity": np.exp(np.mean(backward)),
    }
    # A sample would have no effect, nor would dropout.
    model = language_model(1, n_samples=3, dropout=0.5)
    for _ in range(2):  # each evaluation begins anew
        values = evaluated(model, Windows(TINY, VOCABULARY, 1, 4, state))
        for name, value in expected.items():
            assert values[name] == pytest.approx(value, rel=1e-4)


def evaluated(model: BidirectionalLanguageModel, cut: Windows) -> dict[str, float]:
    # Keras warns of a data set that ends before it is told how long it is.
    steps = len(list(cut(FEW)))
    data = cut.dataset(lambda: FEW)
    return model.evaluate(data, steps=steps, verbose=0, return_dict=True)


def test_loss_is_the_mean_of_the_targets() -> None:
    model = language_model()
    *_, window = windows()  # the last one has padding
    targets = np.stack([window[f"{d}_targets"] for d in ("forward", "backward")])
    assert 0 < (targets < 0).sum() < targets.size
    expected = losses(language_model(), [window]).sum() / (targets >= 0).sum()
    assert model.test_on_batch(window)[0] == pytest.approx(expected, rel=1e-5)


def test_evaluation_leaves_the_training_alone() -> None:
    """The carried state, the samples and what is dropped; and training the evaluation's."""
    text = windows()
    alone, disturbed = (language_model(n_samples=3, dropout=0.3, seed=5) for _ in range(2))
    for window in text[:2]:
        alone.train_on_batch(window)
        before = states(disturbed.training_state)
        evaluated(disturbed, Windows(TINY, VOCABULARY, 2, 4))
        np.testing.assert_equal(states(disturbed.training_state), before)
        before = states(disturbed.evaluation_state)
        assert np.any(before[0])
        disturbed.train_on_batch(window)
        np.testing.assert_equal(states(disturbed.evaluation_state), before)
    assert np.any(states(alone.training_state)[0])
    for variable, other in zip(alone.variables, disturbed.variables, strict=True):
        if "evaluation_state" not in variable.path:
            np.testing.assert_array_equal(variable, other, variable.path)


def test_frequencies_set_the_bias() -> None:
    frequencies = np.arange(1.0, 10) / 45
    model = BidirectionalLanguageModel(TINY, 9, 1, frequencies=frequencies)
    np.testing.assert_allclose(model.softmax.bias, np.log(frequencies), rtol=1e-6)
    # A model that knows nothing else predicts just these.
    model.softmax.kernel.assign(np.zeros((9, TINY.projection_dim)))
    (window, *_) = windows(1, 4)
    expected = -np.log(frequencies[window["forward_targets"]])
    np.testing.assert_allclose(losses(model, [window])[0, ..., 0], expected, rtol=1e-5)
    plain = BidirectionalLanguageModel(TINY, 9, 1)
    assert not np.any(keras.ops.convert_to_numpy(plain.softmax.bias))


@pytest.mark.parametrize("arguments", [{"dropout": 0.5}, {"n_samples": 2}])
def test_dropped_and_sampled_in_training_only(arguments: dict[str, Any]) -> None:
    (window, *_) = windows()
    plain, model = language_model(), language_model(seed=1, **arguments)
    expected = losses(plain, [window])
    np.testing.assert_allclose(losses(model, [window]), expected, rtol=1e-6)
    in_training = losses(model, [window], training=True)
    assert np.abs(in_training - expected).max() > 0.1
    # The same with the same seed, and others in each step.
    again = losses(language_model(seed=1, **arguments), [window], training=True)
    np.testing.assert_allclose(again, in_training, rtol=1e-6)
    np.testing.assert_array_equal(window["starts"], True)
    assert np.abs(losses(model, [window], training=True) - in_training).max() > 0.1


def test_what_is_dropped() -> None:
    """What each LSTM reads, seen in the states; what the softmax reads, without LSTMs."""
    (window, *_) = windows()
    plain, model = language_model(), language_model(dropout=0.5)
    for each in (plain, model):
        each(window, training=True)
    pairs = zip(states(plain.training_state), states(model.training_state), strict=True)
    for one, other in pairs:
        assert np.abs(one - other).max() > 0.01
    for cell in model.bilm.lstms.cells:
        for kernel in (cell.kernel, cell.recurrent_kernel):
            kernel.assign(np.zeros(kernel.shape))
    in_training = losses(model, [window], training=True)
    assert np.abs(in_training - losses(model, [window])).max() > 0.1


def test_fit_learns_a_text_by_heart() -> None:
    """As a user calls it: in a graph, from windows of several shapes."""
    model = BidirectionalLanguageModel(
        SMALL, len(VOCABULARY), 2, n_samples=6, dropout=0.1, seed=0
    )
    model.compile(optimizer=keras.optimizers.Adam(0.03))
    cut = Windows(SMALL, VOCABULARY, 2, 6)
    assert len({window["words"].shape for window in cut(FEW)}) > 1
    before = evaluated(model, cut)
    data = cut.dataset(lambda: FEW).repeat()
    history = model.fit(
        data, steps_per_epoch=20, epochs=5, shuffle=False, verbose=0
    ).history
    after = evaluated(model, cut)
    names = ("perplexity", "forward_perplexity", "backward_perplexity")
    assert set(after) == {"loss", *names}
    assert history["loss"][-1] < history["loss"][0]
    assert before["perplexity"] > 6
    assert after["perplexity"] < 4


def test_everything_is_trained_but_the_states() -> None:
    model = language_model(n_samples=3)
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables]
    # 33 of the biLM, 2 of the softmax.
    assert len(before) == 35
    for window in windows()[:2]:
        model.train_on_batch(window)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        assert np.any(keras.ops.convert_to_numpy(variable) != value), variable.path
    assert not np.any(states(model.start_state)[0])


def test_mixed_precision() -> None:
    model = language_model(dtype="mixed_float16")
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    text = windows()
    found, expected = (losses(m, text) for m in (model, language_model()))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.15)
    # Words are predicted as well as before, but for rounding.
    assert found.mean() == pytest.approx(expected.mean(), rel=0.01)


def test_perplexity_by_hand() -> None:
    metric = Perplexity(name="p")
    metric.update_state(np.log(2.0), sample_weight=3.0)
    metric.update_state(np.log(16.0), sample_weight=1.0)
    assert float(metric.result()) == pytest.approx(2 ** (7 / 4), rel=1e-6)
    metric.reset_state()
    metric.update_state([np.log(5.0)])
    assert float(metric.result()) == pytest.approx(5, rel=1e-6)
    copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert isinstance(copy, Perplexity)
    assert copy.name == "p"


@pytest.mark.slow
def test_reference_corpus(shared: Path, tmp_path: Path) -> None:
    """The text on which bilm-tf's own test asks for a perplexity below 20."""
    folder = shared / "oracles" / "bilm_tf_tiny"
    config = ElmoConfig.from_json(folder / "options.json")
    settings = TrainingConfig(
        **{"n_steps": 150, "batch_size": 4, "n_samples": 16, "learning_rate": 0.02},
        **{"warmup_steps": 5, "log_steps": 50},
    )
    text, words = [folder / "train" / "data.txt"], folder / "train" / "vocab.txt"
    train(text, tmp_path / "out", config, settings, words, verbose=False)
    assert evaluate(tmp_path / "out", text, "carried", batch_size=1).mean < 10
