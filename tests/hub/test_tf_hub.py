from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError
from keras_elmo.config import MIX_GAMMA, MIX_WEIGHTS
from keras_elmo.errors import DamagedSourceError
from keras_elmo.hub.sources import load_source
from keras_elmo.hub.tf_hub import read_mix, read_tf_hub
from tests.hub.tf_hub_modules import MIX, STYLES, Style, write_module, write_other_module
from tests.tiny_models import TINY, random_arrays


@pytest.fixture
def spoiled(module: Path, tmp_path: Path) -> Path:
    """A copy of a good module, for tests to spoil."""
    return Path(shutil.copytree(module, tmp_path / "spoiled"))


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_style(tmp_path: Path, style: Style) -> None:
    path = write_module(tmp_path / "module", style=style)
    config, arrays = read_tf_hub(path)
    assert config == TINY
    expected = random_arrays(TINY)
    assert arrays.keys() == expected.keys() | {MIX_WEIGHTS, MIX_GAMMA}
    for name, array in expected.items():
        assert arrays[name].dtype == np.float32
        np.testing.assert_array_equal(arrays[name], array)
    np.testing.assert_array_equal(arrays[MIX_WEIGHTS], MIX[0])
    assert arrays[MIX_GAMMA].shape == ()
    assert arrays[MIX_GAMMA] == MIX[1]


@pytest.mark.parametrize(
    "config",
    [
        dataclasses.replace(TINY, n_highway=0),
        dataclasses.replace(TINY, n_highway=1, filters=((2, 8),)),  # no CNN_proj
        dataclasses.replace(TINY, dim=8),  # no LSTM projection
        dataclasses.replace(TINY, dim=5, projection_dim=7),
    ],
)
def test_sizes_follow_from_the_shapes(tmp_path: Path, config: ElmoConfig) -> None:
    path = write_module(tmp_path / "module", config)
    assert read_tf_hub(path)[0] == config


def test_the_mix_starts_from_the_modules(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module)
    layer.build((None,))
    np.testing.assert_array_equal(layer.scalar_mix.layer_weights, MIX[0])
    np.testing.assert_array_equal(layer.scalar_mix.gamma, MIX[1])
    mix = read_mix(module)
    np.testing.assert_array_equal(mix[MIX_WEIGHTS], MIX[0])
    assert mix[MIX_GAMMA] == MIX[1]


def test_archives(module: Path, tmp_path: Path) -> None:
    """With the module at the top, as TF-Hub serves it, or in a folder."""
    top = shutil.make_archive(str(tmp_path / "top"), "gztar", module)
    inside = shutil.make_archive(str(tmp_path / "in"), "gztar", module.parent, module.name)
    for archive in (top, inside):
        config, arrays, path = load_source(archive)
        assert config == TINY
        np.testing.assert_array_equal(
            arrays["char_embed"], random_arrays(TINY)["char_embed"]
        )
        assert (path / "saved_model.pb").is_file()
        assert load_source(archive).path == path


def test_a_module_that_is_no_elmo(tmp_path: Path) -> None:
    path = write_other_module(tmp_path / "other")
    with pytest.raises(
        SourceError,
        match=r"is not an ELMo model \(.*\). Its variables: embeddings \(10, 4\). Expected",
    ):
        ElmoEmbeddingLayer(path)


def test_a_part_of_an_elmo(spoiled: Path) -> None:
    variables = {
        name: array
        for name, array in _stored(spoiled).items()
        if not name.endswith(("Cell1/rnn/lstm_cell/bias", "CNN_proj/b_proj"))
    }
    _overwrite(spoiled, {**variables, "bilm/softmax/W": np.zeros((2, 3), np.float32)})
    with pytest.raises(SourceError, match="do not fit together") as info:
        read_tf_hub(spoiled)
    assert str(info.value).splitlines()[1:-1] == [
        "- missing: CNN_proj/b_proj, shape (8,)",
        "- missing: RNN_0/RNN/MultiRNNCell/Cell1/LSTMCell/B, shape (48,)",
        "- missing: RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell/B, shape (48,)",
        "- unexpected: softmax/W, shape (2, 3)",
    ]


def test_integers_in_place_of_weights(spoiled: Path) -> None:
    variables = _stored(spoiled)
    integers = variables["bilm/char_embed"].astype(np.int32)
    _overwrite(spoiled, {**variables, "bilm/char_embed": integers})
    with pytest.raises(SourceError, match="char_embed has dtype int32; expected floating"):
        read_tf_hub(spoiled)


def _stored(module: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(module / "variables/variables"))
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names}


def _overwrite(module: Path, variables: dict[str, np.ndarray]) -> None:
    """Replaces a module's checkpoint."""
    shutil.rmtree(module / "variables")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saver = tf.compat.v1.train.Saver(
            {
                name: tf.compat.v1.Variable(value, use_resource=True)
                for name, value in variables.items()
            }
        )
        session.run(tf.compat.v1.global_variables_initializer())
        saver.save(session, str(module / "variables/variables"), write_meta_graph=False)


def test_a_checkpoint_that_is_cut(spoiled: Path) -> None:
    """What it declares is not allocated."""
    data = next((spoiled / "variables").glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(DamagedSourceError, match="numbers outside the checkpoint's files"):
        read_tf_hub(spoiled)


def test_changed_bytes_never_become_weights(spoiled: Path) -> None:
    """Each tensor has a checksum, and so has each block of the index."""
    rng = np.random.default_rng(0)
    for file in (spoiled / "variables").iterdir():
        content = file.read_bytes()
        for _ in range(40):
            damaged = bytearray(content)
            damaged[rng.integers(len(content))] ^= int(rng.integers(1, 256))
            file.write_bytes(damaged)
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
