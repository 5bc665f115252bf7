"""ONNX files in ONNX Runtime: our own graph, and Keras' own export."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest

from keras_elmo import (
    ElmoConfig,
    ElmoEmbeddingLayer,
    ScalarMix,
    batch_to_character_ids,
    export_onnx,
)
from keras_elmo.layers import MaskedMean
from keras_elmo.layers.output_modes import OUTPUTS
from keras_elmo.text.lexicon import Lexicon
from keras_elmo.types import OutputMode
from tests.any_backend import to_numpy
from tests.test_oracles import (
    BATCHES,
    MIXES,
    TOLERANCE,
    Allennlp,
    Report,
    allennlp,
    weights,
)
from tests.tiny_models import LEAST, TINY

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

__all__ = ["allennlp"]  # the fixture

SENTENCES = [
    *(["the", "cat", "sat", "on", "the", "mat"], ["a"]),
    *(["naïve", "café", "x" * 60], []),
]
IDS = batch_to_character_ids(SENTENCES)

WORDS = ("<S>", "</S>", "<UNK>", "the", "cat", "naïve")
MARKS = ("<S>", "</S>", "<W>", "</W>", "<P>")
CHARACTERS = (*map(chr, range(32, 288)), *MARKS)
NO_CHARACTERS: dict[str, Any] = {"char_dim": 0, "filters": (), "n_highway": 0}

CONFIGS = {
    # No projections, highway layers, clips and skip connections.
    "plain": ElmoConfig(
        **{"char_dim": 3, "filters": ((2, 3), (1, 2)), "n_highway": 0, "n_layers": 1},
        **{"dim": 5, "projection_dim": 5, "cell_clip": None, "projection_clip": None},
        **{"use_skip_connections": False, "activation": "tanh"},
    ),
    # Clips that clip.
    "clipped": dataclasses.replace(TINY, n_layers=3, cell_clip=0.05, projection_clip=0.02),
    "words": dataclasses.replace(TINY, lexicon=Lexicon(WORDS), word_dim=8, **NO_CHARACTERS),
    "words and characters": dataclasses.replace(
        TINY, lexicon=Lexicon(WORDS, CHARACTERS), word_dim=5
    ),
}


def run(path: Path, ids: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"character_ids": ids}), strict=True))


def exported(layer: Any, path: Path, **arguments: Any) -> Callable[[Any], dict]:
    export_onnx(layer, path, **arguments)
    onnx.checker.check_model(str(path), full_check=True)
    return lambda ids: run(path, ids)


def mix_of(n_layers: int, **arguments: Any) -> ScalarMix:
    mix = ScalarMix(**arguments)
    mix.build((None, None, n_layers, 1))
    return mix


def check(report: Report, name: str, found: np.ndarray, expected: Any) -> None:
    expected = to_numpy(expected)
    assert found.shape == expected.shape
    report(name, np.abs(found - expected).max(initial=0))
    np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)


def random_batches(every: np.ndarray = IDS) -> list[np.ndarray]:
    """Any sizes, with padding before, between and after tokens."""
    rng = np.random.default_rng(0)
    words = every[every.any(axis=-1)]  # (words, ids of a token)
    batches = [every, every[3:], every[:, :0], every[:0]]
    for shape in ((1, 1), (5, 9), (40, 37)):  # the last in several parts of its steps
        ids = words[rng.integers(len(words), size=shape)]
        batches.append(ids * (rng.random(shape) < 0.7)[..., None].astype(np.int32))
    return batches


@pytest.mark.parametrize("name", CONFIGS)
def test_every_output(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, report_error: Report
) -> None:
    # Several parts of the steps, as with large batches.
    monkeypatch.setattr("keras_elmo.onnx.recurrence._ROWS_AT_ONCE", 100)
    monkeypatch.setattr("keras_elmo.onnx.recurrence._WORDS_AT_ONCE", 100)
    config = CONFIGS[name]
    layer = ElmoEmbeddingLayer(config, "elmo", "character_ids")
    # Weights whose exponentials overflow.
    mix = np.linspace(799, 801, config.n_layers + 1), np.array(1.7)
    layer.scalar_mix.set_weights(list(mix))
    modes = [
        m
        for m in get_args(OutputMode)
        if OUTPUTS[m].depth(config.n_layers) <= config.n_layers
    ]
    found_by = exported(layer, tmp_path / "elmo.onnx", outputs=modes)
    for ids in random_batches(config.batch_to_ids(SENTENCES)):
        mask = to_numpy(layer.compute_mask(ids))
        layers = to_numpy(layer.layers_of_tokens(layer.character_ids(ids), mask))
        found = found_by(ids)
        np.testing.assert_array_equal(found.pop("mask"), mask)
        assert [*found] == modes
        for mode, values in found.items():
            expected = OUTPUTS[mode].selected(layers)
            if OUTPUTS[mode].pooled:
                expected = MaskedMean()(expected, mask=mask)
            if OUTPUTS[mode].mixed:
                expected = layer.scalar_mix(expected)
            check(report_error, f"ONNX {name} {mode}", values, expected)


@pytest.mark.parametrize(
    "arguments",
    [
        {"output_sequence_length": 4, "output_mode": "lstm_outputs1"},
        {"output_sequence_length": 12, "keep_sentence_boundaries": True},
        {"keep_sentence_boundaries": True, "max_tokens": 2, "output_mode": "word_emb"},
        pytest.param({"max_tokens": 3}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_arguments_of_the_layer(
    source: str, tmp_path: Path, arguments: dict[str, Any], report_error: Report
) -> None:
    arguments = {"output_mode": "elmo", "input_mode": "character_ids", **arguments}
    layer = ElmoEmbeddingLayer(source, **arguments)
    found_by = exported(layer, tmp_path / "elmo.onnx", ids_dtype="int64")
    for ids in random_batches()[2:-1]:
        expected, mask = layer(ids, return_mask=True)
        found = found_by(ids.astype(np.int64) - 1 * (ids == 0))  # -1 is padding too
        np.testing.assert_array_equal(found["mask"], to_numpy(mask))
        check(report_error, f"ONNX {arguments}", found[layer.output_mode], expected)


FLOAT64 = pytest.param("float64", marks=pytest.mark.tensorflow)  # JAX has none


@pytest.mark.any_backend
@pytest.mark.parametrize("dtype", [FLOAT64, "bfloat16"])
def test_layers_of_another_dtype(tmp_path: Path, dtype: str, report_error: Report) -> None:
    """The weights are the layer's, computed with in float32."""
    layer, twin = (
        ElmoEmbeddingLayer(LEAST, "elmo", "character_ids", dtype=d)
        for d in (dtype, "float32")
    )
    twin.set_weights([to_numpy(v).astype(np.float32) for v in layer.weights])
    found = exported(layer, tmp_path / "elmo.onnx")(IDS)["elmo"]
    check(report_error, f"ONNX of {dtype}", found, twin(IDS))


@pytest.mark.any_backend
@pytest.mark.parametrize("batch", BATCHES)
def test_allennlp(
    shared: Path, tmp_path: Path, allennlp: Allennlp, report_error: Report, batch: str
) -> None:
    _, outputs = allennlp
    ids = outputs[f"{batch}/char_ids"].astype(np.int32)
    mask = outputs[f"{batch}/mask"].astype(bool)
    path, name = tmp_path / "elmo.onnx", f"ONNX, allennlp {batch}"
    for kept, suffix in ((False, ""), (True, "_with_boundaries")):
        layer = ElmoEmbeddingLayer(
            weights(shared, "allennlp_tiny"),
            "layers",
            "character_ids",
            keep_sentence_boundaries=kept,
        )
        found = exported(layer, path)(ids)
        np.testing.assert_array_equal(found["mask"], outputs[f"{batch}/mask{suffix}"])
        for k in range(3):
            expected = outputs[f"{batch}/layer{k}{suffix}"]
            check(report_error, name, found["layers"][:, :, k], expected)
    layer = ElmoEmbeddingLayer(weights(shared, "allennlp_tiny"), "layers", "character_ids")
    for mix, values in MIXES.items():
        found = exported(layer, path, outputs="elmo", scalar_mix=mix_of(3, **values))(ids)
        check(report_error, name, found["elmo"][mask], outputs[f"{batch}/mix_{mix}"][mask])
        assert not found["elmo"][~mask].any()


def test_int8(tmp_path: Path, report_error: Report) -> None:
    """A quarter of the size, within a bound, and no row depends on the others."""
    layer = ElmoEmbeddingLayer("mini", "elmo", "character_ids")
    outputs = ["elmo", "default"]
    found_by = exported(layer, tmp_path / "int8.onnx", outputs=outputs, weights="int8")
    found, expected = found_by(IDS), to_numpy(layer(IDS))
    error = np.abs(found["elmo"] - expected).max()
    report_error("ONNX int8, mini, of values up to 2.4", error)
    assert 1e-3 < error < 0.1
    for row, ids in enumerate(IDS):
        alone = found_by(ids[None])
        for name in outputs:
            np.testing.assert_allclose(alone[name][0], found[name][row], atol=1e-6)
    export_onnx("mini", tmp_path / "float32.onnx")
    sizes = [(tmp_path / f"{kind}.onnx").stat().st_size for kind in ("float32", "int8")]
    assert 3.5 < sizes[0] / sizes[1] < 4.1
    assert run(tmp_path / "float32.onnx", IDS).keys() == {"default"}


def layer_of(config: ElmoConfig = TINY, mode: str = "elmo", **arguments: Any) -> Any:
    return lambda source: ElmoEmbeddingLayer(config, mode, "character_ids", **arguments)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (layer_of(stateful=True), {}, "stateful=True the layer carries"),
        (layer_of(stateful="pieces"), {}, "stateful='pieces' the layer carries"),
        (layer_of(), {"outputs": "top"}, "outputs must be one of 'default', .*'top'"),
        (layer_of(), {"outputs": []}, "outputs must name at least one"),
        (layer_of(), {"weights": "int4"}, "weights must be one of 'float32', 'int8'"),
        (layer_of(), {"ids_dtype": "int8"}, "ids_dtype must be one of 'int32', 'int64'"),
        (layer_of(mode="layers"), {"outputs": "elmo"}, "'elmo' needs a scalar mix"),
        (layer_of(mode="word_emb"), {"outputs": "lstm_outputs1"}, "needs 1 LSTM layers"),
        (
            layer_of(keep_sentence_boundaries=True),
            {"outputs": ["elmo", "default"]},
            "'default' is a mean over tokens",
        ),
        (layer_of(), {"scalar_mix": ScalarMix()}, "for 3 layers; got one that is not bu"),
        (layer_of(), {"scalar_mix": mix_of(4)}, "for 3 layers; got one for 4. Call it on"),
        (
            layer_of(),
            {"scalar_mix": mix_of(3, layer_norm=True), "outputs": ["elmo", "default"]},
            "'default' cannot be written for a mix with layer_norm=True",
        ),
        (
            lambda module: ElmoEmbeddingLayer(module, engine="hub"),
            {},
            "engine='hub' the layer runs",
        ),
    ],
)
def test_refusals(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make: Callable[[Any], Any],
    arguments: dict[str, Any],
    message: str,
) -> None:
    is_hub = "hub" in message
    layer = make(request.getfixturevalue("module") if is_hub else None)
    with pytest.raises(ValueError, match=message):
        export_onnx(layer, tmp_path / "elmo.onnx", **arguments)
    assert not [*tmp_path.iterdir()]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'keras-elmo\[onnx\]'"):
        export_onnx(TINY, tmp_path / "elmo.onnx")


def padding_anywhere() -> np.ndarray:
    """Other lengths, with padding before and between tokens."""
    ids = np.zeros((2, 9, 50), np.int32)
    ids[0, [0, 2, 3, 5, 6, 7]] = IDS[0]
    ids[1, [2, 8]] = IDS[2, :2]
    return ids


@pytest.mark.slow
@pytest.mark.filterwarnings(
    # Keras looks for what NumPy 2 has no more, so that tf2onnx finds it.
    "ignore:In the future `np.(object|bool|float|int)` will be defined:FutureWarning"
)
def test_the_export_of_keras(source: str, tmp_path: Path) -> None:
    """One export of all, because each takes long: layers, mix, mean, and a head."""
    pytest.importorskip("tf2onnx")
    inputs = keras.Input((None, 50), dtype="int32", name="ids")
    layers = ElmoEmbeddingLayer(source, "layers", "character_ids")(inputs)
    mixed = ScalarMix(initial_weights=[0.3, -0.2, 0.5], initial_gamma=1.7)(layers)
    pooled = MaskedMean()(mixed)
    summary = keras.layers.LSTM(3)(mixed)  # which skips what is masked
    model = keras.Model(inputs, [layers, mixed, pooled, summary])
    model(IDS)  # Keras exports what has been called
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    assert [given.name for given in session.get_inputs()] == ["ids"]
    for ids in (IDS, IDS[:1], IDS[1:3, :2], IDS[3:], padding_anywhere()):
        expected = model(ids)
        found = session.run(None, {"ids": ids})
        for one, other in zip(found, expected, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, atol=1e-5)
    assert not found[0][0, [1, 4, 8]].any()  # padding
