"""SavedModels with the signatures of the TF1 Hub modules, in a process of their own."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer, batch_to_character_ids
from keras_elmo.hub import export_saved_model
from keras_elmo.layers import MaskedMean
from tests.hub.tf_hub_modules import MIX
from tests.processes import run_python
from tests.test_oracles import MIXES, Report, squeezed, weights
from tests.tiny_models import LEAST, random_arrays, saved_model

OUTPUTS = {"word_emb", "lstm_outputs1", "lstm_outputs2", "elmo", "default"}

# A client of the modules. It knows nothing of what they are.
CLIENT = """
import json, pathlib, sys
import numpy as np, tensorflow as tf, tensorflow_hub as hub
calls = json.loads(pathlib.Path(sys.argv[1]).read_text())
loaded = {}
for i, (path, name, inputs) in enumerate(calls):
    model = loaded[path] = loaded.get(path) or hub.load(path)
    inputs = {
        key: tf.constant(value, tf.int32 if key == "sequence_len" else tf.string)
        for key, value in inputs.items()
    }
    try:
        if name == "serve":
            outputs = {"serve": model.serve(*inputs.values())}
        elif name == "default":
            outputs = model.signatures["default"](*inputs.values())
        else:
            outputs = model.signatures[name](**inputs)
    except tf.errors.InvalidArgumentError as error:
        outputs = {"error": tf.constant(error.message)}
    np.savez(f"{sys.argv[2]}/{i}.npz", **{key: x.numpy() for key, x in outputs.items()})
assert "keras_elmo" not in sys.modules
"""

SENTENCES = ["the cat  sat on the mat ", "a", "", "naïve café tab\there"]
ONE = ["Bank"]
TOKENS = {
    "tokens": [
        ["New York", "--PAD--", "", "is", "big"],
        ["ok", "what", "follows", "", "is not read"],
        ["a", "b", "c", "d", ""],
    ],
    "sequence_len": [5, 1, 4],
}
TOO_FEW = {"tokens": [["a"], ["b"]], "sequence_len": [1]}
NOTHING = {"tokens": [["a", "b"], ["", ""]], "sequence_len": [0, 0]}
DENSE = [["New York", "--PAD--", "", "is"], ["", "", "", ""], ["a", "", "", "b"]]

Calls = dict[str, dict[str, np.ndarray]]


def layer_of(source: str, mode: str, input_mode: str = "sentences") -> ElmoEmbeddingLayer:
    """A layer with the weights and the mix of the module."""
    layer = ElmoEmbeddingLayer(source, mode, input_mode)
    if layer.scalar_mix is not None:
        layer.scalar_mix.layer_weights.assign(MIX[0])
        layer.scalar_mix.gamma.assign(MIX[1])
    return layer


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> ElmoEmbeddingLayer:
    """One whose weights are no longer the source's."""
    source = saved_model(tmp_path_factory.mktemp("least"), LEAST)
    layer = ElmoEmbeddingLayer(source, max_tokens=3, fine_tune="all")
    for variable in layer.trainable_variables:
        variable.assign(variable * 1.2 + 0.1)
    layer.trainable = False
    layer.cache_vocabulary(["the", "cat"])
    return layer


@pytest.fixture(scope="module")
def tagger() -> keras.Model:
    """A user's own model, of tokens."""
    inputs = keras.Input((None,), dtype="string")
    vectors = ElmoEmbeddingLayer(LEAST, "elmo", "tokens")(inputs)
    hidden = keras.layers.LSTM(3, return_sequences=True)(vectors)
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


@pytest.fixture(scope="module")
def results(
    module: Path,
    source: str,
    tuned: ElmoEmbeddingLayer,
    tagger: keras.Model,
    tmp_path_factory: pytest.TempPathFactory,
) -> Calls:
    """What a client gets, all in one process, without keras_elmo."""
    folder = tmp_path_factory.mktemp("exported")
    paths = {name: str(folder / name) for name in ("ours", "tuned", "tagger")}
    export_saved_model(layer_of(source, "elmo", "tokens"), paths["ours"])
    export_saved_model(tuned, paths["tuned"])
    tagger.export(paths["tagger"], verbose=False)
    paths["module"] = str(module)
    calls = {
        f"{model} {title}": (paths[model], name, inputs)
        for models, title, name, inputs in (
            (("module", "ours"), "tokens", "tokens", TOKENS),
            (("module", "ours"), "one", "default", {"text": ONE}),
            (("module", "ours"), "no gaps", "default", {"text": ["a b c", "New York"]}),
            (("ours", "tuned"), "sentences", "default", {"text": SENTENCES}),
            (("ours",), "nobody", "default", {"text": []}),
            (("ours",), "nothing", "tokens", NOTHING),
            (("ours", "tagger"), "serve", "serve", {"inputs": DENSE}),
            (("tagger",), "one", "serve", {"inputs": [["Bank"]]}),
            (("tuned",), "serve", "serve", {"inputs": SENTENCES}),
            (("tuned",), "serving", "serving_default", {"inputs": SENTENCES}),
            (("tuned",), "tokens", "tokens", TOKENS),
            (("tuned",), "too few", "tokens", TOO_FEW),
        )
        for model in models
    }
    (folder / "calls.json").write_text(json.dumps(list(calls.values())))
    run_python(CLIENT, str(folder / "calls.json"), str(folder))
    found = {}
    for i, name in enumerate(calls):
        with np.load(folder / f"{i}.npz") as file:
            found[name] = dict(file)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("title", ["tokens", "one", "no gaps"])
def test_a_client_of_the_module_gets_the_same(results: Calls, title: str) -> None:
    expected, found = results[f"module {title}"], results[f"ours {title}"]
    assert set(expected) == OUTPUTS
    assert set(found) == OUTPUTS | {"sequence_len"}
    lengths = found["sequence_len"]
    assert lengths.dtype == np.int32
    time = found["elmo"].shape[1]
    mask = np.arange(time) < lengths[:, None]
    for name, output in expected.items():
        assert found[name].dtype == output.dtype == np.float32
        assert found[name].shape == output.shape
        places = ... if name == "default" else mask
        np.testing.assert_allclose(found[name][places], output[places], atol=1e-5)
        assert name == "default" or not found[name][~mask].any()
    if title == "tokens":
        assert lengths.tolist() == TOKENS["sequence_len"]


@pytest.mark.slow
def test_sentences_are_the_layers(results: Calls, source: str) -> None:
    found = results["ours sentences"]
    assert found["sequence_len"].tolist() == [6, 1, 0, 3]
    for mode in OUTPUTS:
        expected = layer_of(source, mode)(SENTENCES)
        np.testing.assert_allclose(found[mode], expected, atol=1e-5)
    assert not found["default"][2].any()


@pytest.mark.slow
def test_nothing_to_embed_and_too_few_lengths(results: Calls) -> None:
    assert results["ours nobody"]["elmo"].shape == (0, 1, 16)
    assert results["ours nobody"]["default"].shape == (0, 16)
    found = results["ours nothing"]
    assert found["elmo"].shape == (2, 2, 16)
    assert not any(output.any() for output in found.values())
    assert "one length for each row of tokens" in str(results["tuned too few"]["error"])


@pytest.mark.slow
def test_serve_is_the_layer(
    results: Calls, source: str, tuned: ElmoEmbeddingLayer, tagger: keras.Model
) -> None:
    layer = layer_of(source, "elmo", "tokens")
    np.testing.assert_allclose(results["ours serve"]["serve"], layer(DENSE), atol=1e-6)
    expected = tuned(SENTENCES)
    np.testing.assert_allclose(results["tuned serve"]["serve"], expected, atol=1e-6)
    np.testing.assert_allclose(results["tuned serving"]["output_0"], expected, atol=1e-6)
    for title, tokens in (("serve", DENSE), ("one", [["Bank"]])):
        found = results[f"tagger {title}"]["serve"]
        np.testing.assert_allclose(found, tagger(tf.constant(tokens)), atol=1e-6)


@pytest.mark.slow
def test_the_weights_are_the_tuned_ones(results: Calls, tuned: ElmoEmbeddingLayer) -> None:
    """With them go the cached words, the mix and ``max_tokens``."""
    tokens, sentences = results["tuned tokens"], results["tuned sentences"]
    # As many LSTM layers as the model has.
    assert set(tokens) == (OUTPUTS | {"sequence_len"}) - {"lstm_outputs2"}
    assert tokens["sequence_len"].tolist() == [3, 1, 3]
    assert sentences["sequence_len"].tolist() == [3, 1, 0, 3]
    np.testing.assert_allclose(sentences["default"], tuned(SENTENCES), atol=1e-5)
    source = ElmoEmbeddingLayer(LEAST)
    source.use_arrays(random_arrays(LEAST))
    assert np.abs(sentences["default"] - source(SENTENCES)).max() > 0.1
    gamma = float(tuned.scalar_mix.gamma)
    shares = np.asarray(keras.ops.softmax(tuned.scalar_mix.layer_weights))
    twice = np.concatenate([tokens["word_emb"]] * 2, axis=-1)
    mixed = gamma * (shares[0] * twice + shares[1] * tokens["lstm_outputs1"])
    np.testing.assert_allclose(tokens["elmo"], mixed, atol=1e-5)
    mask = np.arange(3) < tokens["sequence_len"][:, None]
    pooled = MaskedMean()(mixed, mask=mask)
    np.testing.assert_allclose(tokens["default"], pooled, atol=1e-5)


@pytest.mark.slow
def test_the_module_of_the_oracle(
    shared: Path, tmp_path: Path, report_error: Report
) -> None:
    """Both signatures and all outputs, against what a TF1 Hub module returned."""
    folder = shared / "oracles" / "allennlp_tiny"
    layer = ElmoEmbeddingLayer(weights(shared, "allennlp_tiny"), "elmo", "character_ids")
    mix = MIXES["skewed"]
    layer.scalar_mix.layer_weights.assign(mix["initial_weights"])
    layer.scalar_mix.gamma.assign(mix["initial_gamma"])
    export_saved_model(layer, tmp_path / "out")
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    inputs = json.loads((folder / "tfhub_inputs.json").read_text("utf-8"))
    calls = {}
    for batch, sentences in inputs["sentences"].items():
        found = loaded.signatures["default"](text=tf.constant(sentences))
        lengths = [len(squeezed(sentence).split(" ")) for sentence in sentences]
        calls[f"sentences/{batch}"] = found, lengths
    for batch, content in inputs["tokens"].items():
        arguments = {key: tf.constant(value) for key, value in content.items()}
        found = loaded.signatures["tokens"](**arguments)
        calls[f"tokens/{batch}"] = found, content["sequence_len"]
    with np.load(folder / "tfhub_outputs.npz") as file:
        outputs = dict(file)
    for title, (found, lengths) in calls.items():
        assert found["sequence_len"].numpy().tolist() == lengths
        for name in OUTPUTS:
            expected, values = outputs[f"skewed/{title}/{name}"], found[name].numpy()
            assert values.shape == expected.shape
            if name == "default":
                expected = expected * 1.7  # which this exporter leaves out
            else:
                mask = np.arange(values.shape[1]) < np.array(lengths)[:, None]
                expected, values = expected[mask], values[mask]
            error = np.abs(values - expected).max()
            report_error(f"allennlp_tiny tf-hub, SavedModel {name}", error)
            assert error < 1e-5, f"{title}/{name}"


# ----------------------------------------------------------------------- files and errors


@pytest.mark.slow
def test_mixed_precision_and_what_the_layer_does_not_hold(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(LEAST, "lstm_outputs1", dtype="mixed_float16")
    export_saved_model(layer, tmp_path / "out")
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    found = loaded.signatures["default"](tf.constant(SENTENCES))
    assert set(found) == {"word_emb", "lstm_outputs1", "sequence_len"}  # no mix
    assert found["lstm_outputs1"].dtype == tf.float32
    np.testing.assert_allclose(found["lstm_outputs1"], layer(SENTENCES), atol=1e-3)
    assert loaded.serve(tf.constant(SENTENCES)).dtype == tf.float16


def test_a_length_and_boundaries(tmp_path: Path) -> None:
    """``serve`` does what the layer does; the modules' signatures have no boundaries."""
    config = dataclasses.replace(LEAST, dim=200)
    layer = ElmoEmbeddingLayer(
        *(config, "elmo"), output_sequence_length=5, keep_sentence_boundaries=True
    )
    cut = ElmoEmbeddingLayer(config, "elmo", output_sequence_length=3)
    cut.set_weights(layer.get_weights())
    export_saved_model(layer, tmp_path / "out")
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    np.testing.assert_allclose(loaded.serve(SENTENCES), layer(SENTENCES), atol=1e-6)
    found = loaded.signatures["default"](tf.constant(SENTENCES))
    np.testing.assert_allclose(found["elmo"], cut(SENTENCES), atol=1e-6)
    assert found["sequence_len"].numpy().tolist() == [3, 1, 0, 3]
    # Its weights are stored once.
    data = tmp_path / "out" / "variables" / "variables.data-00000-of-00001"
    n_bytes = 4 * config.n_parameters
    assert n_bytes < data.stat().st_size < 1.05 * n_bytes


@pytest.mark.slow
def test_character_ids_in_mixed_precision(tmp_path: Path) -> None:
    """The layer takes integers; its signatures take strings all the same."""
    layer = ElmoEmbeddingLayer(LEAST, "elmo", "character_ids", dtype="mixed_float16")
    export_saved_model(layer, tmp_path / "out")
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    ids = batch_to_character_ids([["New", "York"], ["a"]])
    expected = np.asarray(layer(ids), np.float32)
    found = loaded.signatures["default"](tf.constant(["New York", "a"]))["elmo"]
    np.testing.assert_allclose(found, expected, atol=2e-3)
    served = loaded.signatures["serving_default"](tf.constant(ids, tf.int32))["output_0"]
    assert served.dtype == tf.float16
    np.testing.assert_allclose(served.numpy().astype("f4"), expected, atol=2e-3)


def test_nothing_is_replaced_or_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(module: tf.Module, path: str, signatures: object) -> None:
        Path(path).mkdir()
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", save)
    (tmp_path / "there").mkdir()
    layer = ElmoEmbeddingLayer(LEAST, "word_emb")
    with pytest.raises(FileExistsError, match=r"path: .*there' exists"):
        export_saved_model(layer, tmp_path / "there")
    with pytest.raises(
        FileNotFoundError, match=r"no directory '.*nowhere'. Create it firs"
    ):
        export_saved_model(layer, tmp_path / "nowhere" / "out")
    with pytest.raises(OSError, match="Cannot write the SavedModel: No space left"):
        export_saved_model(layer, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stateful": True}, "stateful=True it carries state from request to request"),
        ({"engine": "hub"}, "engine='hub' it runs a module's own graph"),
    ],
)
def test_layers_that_have_no_such_signatures(
    module: Path, tmp_path: Path, arguments: dict[str, object], message: str
) -> None:
    layer = ElmoEmbeddingLayer(module, **arguments)
    with pytest.raises(ValueError, match=message):
        export_saved_model(layer, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
