"""The layer against what AllenNLP, bilm-tf and a TF1 Hub module returned.

Two tiny trained models come with expected numbers: ``allennlp_tiny``, with skip
connections, and ``bilm_tf_tiny``, without.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, ScalarMix, batch_to_character_ids
from tests.any_backend import BACKEND, to_numpy

pytestmark = pytest.mark.any_backend

Report = Callable[[str, float], None]
Allennlp = tuple[dict[str, Any], dict[str, np.ndarray]]

TOLERANCE = 1e-5
# On backends without strings the ids are made beforehand.
INPUT_MODE = "tokens" if BACKEND == "tensorflow" else "character_ids"
MODELS = ("allennlp_tiny", "bilm_tf_tiny")
BATCHES = ("plain", "edge", "long")
MIXES = {
    "uniform": {"initial_weights": [0.0, 0.0, 0.0], "initial_gamma": 1.0},
    "skewed": {"initial_weights": [0.7, -1.3, 2.1], "initial_gamma": 1.7},
    "layernorm": {"initial_weights": [0.2, 0.5, -0.4], "initial_gamma": 0.9}
    | {"layer_norm": True},
}


def weights(shared: Path, model: str) -> str:
    return str(shared / "oracles" / model / "lm_weights.hdf5")


def check(report: Report, name: str, found: np.ndarray, expected: np.ndarray) -> None:
    found = to_numpy(found)
    assert found.shape == expected.shape
    error = np.abs(found - expected).max()
    report(name, error)
    assert error < TOLERANCE, name


def prepared(batch: list[str] | list[list[str]]) -> Any:
    """Sentences or lists of tokens, in which "" is padding, as the layer takes them."""
    if INPUT_MODE == "tokens":
        return batch
    tokens = [s.split(" ") if isinstance(s, str) else s for s in batch]
    return batch_to_character_ids([[t for t in row if t] for row in tokens])


def shape(rows: int | None = None) -> tuple[int | None, ...]:
    """What the layer is built for."""
    return (rows, None) if INPUT_MODE == "tokens" else (rows, None, 50)


def with_mix(layer: ElmoEmbeddingLayer, mix: str) -> ElmoEmbeddingLayer:
    if layer.scalar_mix is not None:
        names = ("initial_weights", "initial_gamma")
        layer.scalar_mix.set_weights([np.array(MIXES[mix][name]) for name in names])
    return layer


@pytest.fixture
def allennlp(shared: Path) -> Allennlp:
    folder = shared / "oracles" / "allennlp_tiny"
    inputs = json.loads((folder / "allennlp_inputs.json").read_text("utf-8"))
    with np.load(folder / "allennlp_outputs.npz") as outputs:
        return inputs, dict(outputs)


@pytest.mark.parametrize("batch", BATCHES)
def test_allennlp_ids_masks_and_layers(
    shared: Path, allennlp: Allennlp, report_error: Report, batch: str
) -> None:
    inputs, outputs = allennlp
    tokens = inputs[batch]
    ids = batch_to_character_ids(tokens)
    np.testing.assert_array_equal(ids, outputs[f"{batch}/char_ids"])
    source = weights(shared, "allennlp_tiny")
    layer = ElmoEmbeddingLayer(source, "layers", INPUT_MODE)
    inputs = prepared(tokens)
    np.testing.assert_array_equal(layer.character_ids(inputs), ids)
    layers = layer(inputs)
    mask = outputs[f"{batch}/mask"]
    np.testing.assert_array_equal(layers._keras_mask, mask)
    for k in range(3):
        name = f"{batch}/layer{k}"
        # Both are zeros at padding, so every element is compared.
        check(report_error, f"allennlp {name}", layers[:, :, k], outputs[name])
    by_ids = ElmoEmbeddingLayer(source, "layers", "character_ids")(ids)
    np.testing.assert_allclose(to_numpy(by_ids), to_numpy(layers), atol=1e-6)


@pytest.mark.parametrize("batch", BATCHES)
def test_allennlp_layers_with_boundaries(
    shared: Path, allennlp: Allennlp, report_error: Report, batch: str
) -> None:
    inputs, outputs = allennlp
    layer = ElmoEmbeddingLayer(
        weights(shared, "allennlp_tiny"),
        "layers",
        INPUT_MODE,
        keep_sentence_boundaries=True,
    )
    layers = layer(prepared(inputs[batch]))
    expected_mask = outputs[f"{batch}/mask_with_boundaries"]
    np.testing.assert_array_equal(to_numpy(layers._keras_mask), expected_mask)
    for k in range(3):
        name = f"{batch}/layer{k}_with_boundaries"
        check(report_error, f"allennlp {name}", layers[:, :, k], outputs[name])


@pytest.mark.parametrize("batch", BATCHES)
def test_allennlp_scalar_mixes(
    shared: Path, allennlp: Allennlp, report_error: Report, batch: str
) -> None:
    inputs, outputs = allennlp
    source = weights(shared, "allennlp_tiny")
    given, mask = prepared(inputs[batch]), outputs[f"{batch}/mask"]
    layers = ElmoEmbeddingLayer(source, "layers", INPUT_MODE)(given)
    own = ElmoEmbeddingLayer(source, "elmo", INPUT_MODE)
    for mix, arguments in MIXES.items():
        expected = outputs[f"{batch}/mix_{mix}"]
        name = f"allennlp {batch}/mix_{mix}"
        mixed = to_numpy(ScalarMix(**arguments)(layers))
        check(report_error, name, mixed[mask], expected[mask])
        # Here padding is zeros; AllenNLP's layer norm shifts it.
        assert not mixed[~mask].any()
        if mix != "layernorm":
            assert not expected[~mask].any()
            found = with_mix(own, mix)(given)
            check(report_error, f"{name}, the layer's own", found, expected)


def test_allennlp_carried_state(
    shared: Path, allennlp: Allennlp, report_error: Report
) -> None:
    inputs, outputs = allennlp
    source = weights(shared, "allennlp_tiny")
    layer = ElmoEmbeddingLayer(
        *(source, "layers", INPUT_MODE), stateful=True, keep_sentence_boundaries=True
    )
    layer.build(shape(4))  # the second batch has four rows, the others three
    for batch in ("0_plain", "1_edge", "2_long"):
        found = layer(prepared(inputs[batch[2:]]))
        mask = outputs[f"{batch[2:]}/mask_with_boundaries"]
        for k in range(3):
            name = f"stateful/{batch}/layer{k}_with_boundaries"
            expected = outputs[name] * mask[..., None]
            check(report_error, f"allennlp {name}", found[:, :, k], expected)


@pytest.mark.compiled
@pytest.mark.parametrize("model", MODELS)
def test_ten_stateful_batches(shared: Path, report_error: Report, model: str) -> None:
    """Sentence k of file j is row j of batch k; the top layer, forward and backward."""
    folder = shared / "oracles" / model
    files = json.loads((folder / "sentences.json").read_text("utf-8"))
    source = weights(shared, model)
    mode = "sentences" if INPUT_MODE == "tokens" else INPUT_MODE
    stateful = ElmoEmbeddingLayer(source, "lstm_outputs2", mode, stateful=True)
    stateless = ElmoEmbeddingLayer(source, "lstm_outputs2", mode)
    for k in range(10):
        sentences = [sentences[k] for sentences in files]
        layers = [(stateful, "ten batches, carried state")]
        layers += [(stateless, "ten batches, the first without state")] * (k == 0)
        for layer, name in layers:
            found = to_numpy(layer(prepared(sentences)))
            for row, sentence in enumerate(sentences):
                with h5py.File(folder / f"lm_embeddings_{row}.hdf5") as file:
                    # (2, n, 16), the directions apart
                    expected = np.concatenate(list(file[str(k)][()]), axis=-1)
                n_tokens = len(sentence.split(" "))
                assert len(expected) == n_tokens
                check(report_error, f"{model} {name}", found[row, :n_tokens], expected)


def test_token_vectors(shared: Path, report_error: Report) -> None:
    folder = shared / "oracles" / "allennlp_tiny"
    words = (folder / "vocab_test.txt").read_text("utf-8").splitlines()
    with h5py.File(folder / "elmo_token_embeddings.hdf5") as file:
        expected = file["embedding"][()]
    # Two of the words are <S> and </S>, which AllenNLP reads as the sentence boundaries.
    ids = batch_to_character_ids([[word] for word in words])
    source = weights(shared, "allennlp_tiny")
    layer = ElmoEmbeddingLayer(source, "word_emb", "character_ids")
    check(report_error, "allennlp token vectors", layer(ids)[:, 0], expected)


@pytest.mark.parametrize("model", MODELS)
def test_tf_hub_module(shared: Path, report_error: Report, model: str) -> None:
    """Both signatures and all five outputs of a TF1 Hub module with the same weights."""
    folder = shared / "oracles" / model
    inputs = json.loads((folder / "tfhub_inputs.json").read_text("utf-8"))
    with np.load(folder / "tfhub_outputs.npz") as file:
        outputs = dict(file)
    compared = 0
    modes = ("word_emb", "lstm_outputs1", "lstm_outputs2", "elmo", "default")
    for signature, output in itertools.product(inputs, modes):
        mode = signature if INPUT_MODE == "tokens" else INPUT_MODE
        layer = ElmoEmbeddingLayer(weights(shared, model), output, mode)
        for mix, (batch, content) in itertools.product(
            ("initial", "skewed"), inputs[signature].items()
        ):
            if mix == "skewed":
                with_mix(layer, mix)
            if signature == "sentences":
                given, lengths = content, [len(squeezed(s).split(" ")) for s in content]
            else:
                given, lengths = content["tokens"], content["sequence_len"]
            mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
            found = to_numpy(layer(prepared(given)))
            expected = outputs[f"{mix}/{signature}/{batch}/{output}"]
            if output == "default":
                # This exporter's default leaves gamma out; ours includes it.
                expected = expected * (1.7 if mix == "skewed" else 1.0)
            else:
                assert not found[:, mask.shape[1] :].any()
                found, expected = (x[:, : mask.shape[1]][mask] for x in (found, expected))
            check(report_error, f"{model} tf-hub {mix} {output}", found, expected)
            compared += 1
    mixes = ("initial/", "skewed/")
    assert compared == sum(name.startswith(mixes) for name in outputs)


def squeezed(sentence: str) -> str:
    """The sentence with one space between its tokens, and none around it."""
    return " ".join(piece for piece in sentence.split(" ") if piece)
