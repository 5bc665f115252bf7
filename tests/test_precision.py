"""Half precision, compiled programs, and what ``Model.quantize`` makes of the layer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, ScalarMix, batch_to_character_ids
from keras_elmo.layers import ProjectedLSTMCell
from tests.any_backend import BACKEND, STRINGS_OR_IDS, fed, model_of, reloaded, to_numpy
from tests.tiny_models import LEAST, TINY

pytestmark = pytest.mark.any_backend

# Largest errors, as shares of the largest value: 2.5 units of the last place of a number
# near it. bfloat16 has 8 binary places, float16 has 11.
BOUNDS = {
    "mixed_float16": 2.5 * 2**-11,
    "float16": 2.5 * 2**-11,
    "mixed_bfloat16": 2.5 * 2**-8,
    "bfloat16": 2.5 * 2**-8,
}
TOKENS = [["the", "river", "bank"], ["a"], ["of", "it"], ["no", "more", "words"]]
LABELS = np.array([1.0, 0.0, 1.0, 0.0])

Report = Callable[[str, float], None]


@pytest.mark.parametrize("policy", BOUNDS)
def test_oracle_within_bounds(shared: Path, report_error: Report, policy: str) -> None:
    folder = shared / "oracles" / "allennlp_tiny"
    inputs = json.loads((folder / "allennlp_inputs.json").read_text("utf-8"))
    source = str(folder / "lm_weights.hdf5")
    half = ElmoEmbeddingLayer(source, "layers", "character_ids", dtype=policy)
    mix = ScalarMix(initial_weights=[0.7, -1.3, 2.1], initial_gamma=1.7, dtype=policy)
    with np.load(folder / "allennlp_outputs.npz") as outputs:
        for batch in ("plain", "edge", "long"):
            layers = half(batch_to_character_ids(inputs[batch]))
            assert keras.backend.standardize_dtype(layers.dtype) == half.compute_dtype
            results = {f"layer{k}": layers[:, :, k] for k in range(3)}
            results["mix_skewed"] = mix(layers)
            for name, found in results.items():
                expected = outputs[f"{batch}/{name}"]
                error = np.abs(to_numpy(keras.ops.cast(found, "float32")) - expected)
                share = float(error.max() / np.abs(expected).max())
                report_error(f"allennlp in {policy}, {name} (share of the largest)", share)
                assert share < BOUNDS[policy]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_cell_state_sums_up_what_is_small(policy: str) -> None:
    """Half of a unit of the last place, a hundred times: lost if c were in bfloat16."""
    cell = ProjectedLSTMCell(1, dtype=policy)
    cell.build((None, 1))
    for kernel in (cell.kernel, cell.recurrent_kernel):
        kernel.assign(np.zeros((1, 4)))
    # The input gate is half open, the forget gate entirely.
    cell.bias.assign([0.0, 2.0**-8, 30.0, 0.0])
    c = np.array([[1.0]], np.float32)
    h = np.zeros((1, 1), np.float32)
    for _ in range(100):
        _, (h, c) = cell(np.zeros((1, 1), np.float32), [h, c])
    np.testing.assert_allclose(to_numpy(c), [[1 + 100 * 2.0**-9]], rtol=1e-5)
    outputs = keras.layers.RNN(cell, return_state=True, dtype=policy)(
        np.zeros((1, 100, 1), np.float32), initial_state=[h * 0, np.array([[1.0]])]
    )
    assert keras.backend.standardize_dtype(outputs[0].dtype) == "bfloat16"
    # The last state is rounded once, at the end.
    found = to_numpy(keras.ops.cast(outputs[2], "float32"))
    np.testing.assert_allclose(found, [[1 + 100 * 2.0**-9]], rtol=2**-8)


def test_mix_keeps_its_scalars_in_float32() -> None:
    """As a bfloat16 gamma would be 1.0078125, and the product 161."""
    mix = ScalarMix(initial_gamma=1.011, dtype="mixed_bfloat16")
    mixed = mix(np.full((1, 2, 3), 160.0, np.float32))
    np.testing.assert_array_equal(to_numpy(keras.ops.cast(mixed, "float32")), 162.0)


def classifier(
    input_mode: str = "character_ids", jit_compile: bool | str = "auto", **arguments: object
) -> keras.Model:
    """A head on pooled vectors, with the same weights each time."""
    keras.utils.set_random_seed(0)
    layer = ElmoEmbeddingLayer(LEAST, "default", input_mode, name="elmo", **arguments)
    model = model_of(layer, keras.layers.Dense(1, "sigmoid", dtype="float32"))
    sgd = keras.optimizers.SGD(0.5)
    model.compile(sgd, "binary_crossentropy", jit_compile=jit_compile)
    return model


def moves(policy: str, input_mode: str) -> np.ndarray:
    """How one step of gradient descent moves the weights."""
    model = classifier(input_mode, fine_tune="all", dtype=policy)
    if policy == "mixed_float16":
        scaled = keras.optimizers.LossScaleOptimizer(model.optimizer, initial_scale=1024)
        model.compile(scaled, "binary_crossentropy")
    before = [to_numpy(v).copy() for v in model.trainable_variables]
    model.train_on_batch(fed(TOKENS, input_mode), LABELS)
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    moved = [
        (to_numpy(variable) - value).ravel()
        for variable, value in zip(model.trainable_variables, before, strict=True)
        # Where two windows are nearly alike, either may be the maximum, and gets it all.
        if not re.search("char_embedding|convolution", variable.path)
    ]
    return np.concatenate(moved)


@pytest.mark.parametrize(
    "input_mode",
    [
        pytest.param("tokens", marks=[pytest.mark.tensorflow, pytest.mark.slow]),
        "character_ids",
    ],
)
def test_gradients(input_mode: str, report_error: Report) -> None:
    expected = moves("float32", input_mode)
    half = ["mixed_float16"] * (input_mode == "character_ids")
    for policy in ("mixed_bfloat16", *half):
        found = moves(policy, input_mode)
        share = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
        report_error(f"gradients in {policy} (share of their length)", share)
        assert share < 16 * BOUNDS[policy]


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_files_keep_the_policy(policy: str, tmp_path: Path) -> None:
    model = classifier(dtype=policy)
    loaded = reloaded(model, tmp_path)
    assert loaded.get_layer("elmo").dtype_policy.name == policy
    ids = fed(TOKENS, "character_ids")
    np.testing.assert_array_equal(to_numpy(loaded(ids)), to_numpy(model(ids)))


def test_policy_of_the_program(request: pytest.FixtureRequest) -> None:
    request.addfinalizer(lambda: keras.config.set_dtype_policy("float32"))
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = ElmoEmbeddingLayer(TINY, input_mode="character_ids")
    assert layer.compute_dtype == layer.bilm.lstms.compute_dtype == "bfloat16"
    assert {v.dtype for v in layer.weights} == {"float32"}


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="torch.compile takes minutes")
def test_compiled_by_xla() -> None:
    ids = batch_to_character_ids(TOKENS)
    results = []
    for jit_compile in (True, "auto" if BACKEND == "tensorflow" else False):
        model = classifier(jit_compile=jit_compile, fine_tune="all")
        losses = model.fit(ids, LABELS, epochs=2, verbose=0).history["loss"]
        results.append([*losses, *model.predict(ids[:2, :2], verbose=0).ravel()])
        assert model.jit_compile is (jit_compile is True)
    np.testing.assert_allclose(*results, rtol=1e-5)


@pytest.mark.tensorflow
def test_strings_cannot_be_compiled() -> None:
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model = classifier("tokens", jit_compile=True)
    assert model.jit_compile is False
    assert classifier("tokens").jit_compile is False


@pytest.mark.parametrize("input_mode", STRINGS_OR_IDS)
@pytest.mark.filterwarnings(
    "ignore:Layer .* does not have a `quantize` method implemented:UserWarning",
    "ignore:'projection' is a part of ELMo:UserWarning",
)
def test_quantize_leaves_elmo_as_it_is(input_mode: str) -> None:
    model = classifier(input_mode)
    layer, head = model.layers[1:]
    before = [to_numpy(v).copy() for v in layer.weights]
    x = fed(TOKENS, input_mode)
    expected = to_numpy(layer(x))
    model.quantize("int8")
    assert head.quantization_mode == "int8"
    for variable, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(variable), value)
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=1e-6)
    assert np.isfinite(model.predict(x, verbose=0)).all()
