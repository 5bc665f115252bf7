from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.hub import export_saved_model
from keras_elmo.hub.tf_hub import read_mix, read_tf_hub
from tests.hub.tf_hub_modules import MIX, write_module, write_other_module
from tests.tiny_models import LEAST, TINY, random_arrays
from tests.weights.checks import assert_loads, changed


@pytest.fixture
def spoiled(module: Path, tmp_path: Path) -> Path:
    """A copy of a good module, for tests to spoil."""
    return Path(shutil.copytree(module, tmp_path / "spoiled"))


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_highway": 0},
        {"n_highway": 1, "filters": ((2, 8),)},  # no CNN_proj
        {"dim": 8},  # no LSTM projection
        {"dim": 5, "projection_dim": 7},
    ],
)
def test_sizes_follow_from_the_shapes(tmp_path: Path, sizes: dict[str, Any]) -> None:
    config = dataclasses.replace(TINY, **sizes)
    assert read_tf_hub(write_module(tmp_path / "module", config))[0] == config


def test_the_mix_starts_from_the_modules(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module)
    layer.build((None,))
    for found in (layer.scalar_mix.get_weights(), [*read_mix(module).values()]):
        np.testing.assert_array_equal(found[0], MIX[0])
        np.testing.assert_array_equal(found[1], MIX[1])


def test_archives(module: Path, tmp_path: Path) -> None:
    """With the module at the top, as TF-Hub serves it, or in a folder."""
    top = shutil.make_archive(str(tmp_path / "top"), "gztar", module)
    inside = shutil.make_archive(str(tmp_path / "in"), "gztar", module.parent, module.name)
    for archive in (top, inside):
        path = assert_loads(archive)
        assert (path / "saved_model.pb").is_file()
        assert assert_loads(archive) == path


def test_a_module_that_is_no_elmo(tmp_path: Path) -> None:
    path = write_other_module(tmp_path / "other")
    message = r"is not an ELMo model \(.*\). Its variables: embeddings \(10, 4\). Expected"
    with pytest.raises(SourceError, match=message):
        ElmoEmbeddingLayer(path)


def test_a_saved_model_of_tensorflow_2(tmp_path: Path) -> None:
    export_saved_model(ElmoEmbeddingLayer(LEAST, "word_emb"), tmp_path / "exported")
    for engine in ("native", "hub"):
        with pytest.raises(SourceError, match=r"exported' is not a TF1 Hub module: Tenso"):
            ElmoEmbeddingLayer(tmp_path / "exported", engine=engine)


def test_variables_that_do_not_fit(spoiled: Path) -> None:
    reader = tf.train.load_checkpoint(str(spoiled / "variables/variables"))
    names = reader.get_variable_to_shape_map()
    good = {name: reader.get_tensor(name) for name in names}
    missing = ("Cell1/rnn/lstm_cell/bias", "CNN_proj/b_proj")
    part = {name: array for name, array in good.items() if not name.endswith(missing)}
    overwrite(spoiled, {**part, "bilm/softmax/W": np.zeros((2, 3), np.float32)})
    with pytest.raises(SourceError, match="do not fit together") as info:
        read_tf_hub(spoiled)
    assert str(info.value).splitlines()[1:-1] == [
        "- missing: CNN_proj/b_proj, shape (8,)",
        "- missing: RNN_0/RNN/MultiRNNCell/Cell1/LSTMCell/B, shape (48,)",
        "- missing: RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell/B, shape (48,)",
        "- unexpected: softmax/W, shape (2, 3)",
    ]
    integers = good["bilm/char_embed"].astype(np.int32)
    overwrite(spoiled, {**good, "bilm/char_embed": integers})
    with pytest.raises(SourceError, match="char_embed has dtype int32; expected floating"):
        read_tf_hub(spoiled)


def overwrite(module: Path, variables: dict[str, np.ndarray]) -> None:
    """Replaces a module's checkpoint."""
    v1 = tf.compat.v1
    shutil.rmtree(module / "variables")
    with tf.Graph().as_default(), v1.Session() as session:
        made = {name: v1.Variable(x, use_resource=True) for name, x in variables.items()}
        session.run(v1.global_variables_initializer())
        path = str(module / "variables/variables")
        v1.train.Saver(made).save(session, path, write_meta_graph=False)


def test_changed_bytes_never_become_weights(spoiled: Path) -> None:
    """Each tensor has a checksum, and so has each block of the index."""
    rng = np.random.default_rng(0)
    for file in (spoiled / "variables").iterdir():
        content = file.read_bytes()
        for _ in range(40):
            place, bits = int(rng.integers(len(content))), int(rng.integers(1, 256))
            file.write_bytes(changed(content, place, bits))
            try:
                _, arrays = read_tf_hub(spoiled)
            except SourceError:
                continue
            # A byte between the blocks, which nothing reads.
            for name, array in random_arrays(TINY).items():
                np.testing.assert_array_equal(arrays[name], array)
        file.write_bytes(content)


def test_a_checkpoint_that_cannot_be_read_has_no_mix(spoiled: Path) -> None:
    (spoiled / "variables/variables.index").write_bytes(b"nothing")
    assert read_mix(spoiled) == {}
