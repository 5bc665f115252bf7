from __future__ import annotations

import copy
import dataclasses
import functools
import json
import operator

import numpy as np
import pytest

from keras_elmo import ElmoConfig
from tests.tiny_models import TINY

ORIGINAL_OPTIONS = {
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 512,
        "cell_clip": 3,
        "proj_clip": 3,
        "dim": 4096,
        "n_layers": 2,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
        "n_highway": 2,
        "embedding": {"dim": 16},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}


def test_defaults_are_the_original_model() -> None:
    assert ElmoConfig.from_options(ORIGINAL_OPTIONS) == ElmoConfig()
    assert ElmoConfig().to_options() == ORIGINAL_OPTIONS
    assert ElmoConfig().output_dim == 1024
    assert ElmoConfig().n_parameters == 93_600_848


def test_missing_entries_mean_what_they_mean_in_bilm_tf() -> None:
    char_cnn = {**ORIGINAL_OPTIONS["char_cnn"], "n_characters": 261}
    del char_cnn["n_highway"]
    options = {"lstm": {"dim": 8, "projection_dim": 4}, "char_cnn": char_cnn}
    more = {"n_train_tokens": 768648884, "bidirectional": True}
    config = ElmoConfig.from_options({**options, **more})
    assert (config.n_layers, config.n_highway) == (1, 0)
    assert (config.cell_clip, config.projection_clip) == (None, None)
    assert not config.use_skip_connections


def test_parameters_by_hand() -> None:
    config = ElmoConfig(
        char_dim=2, filters=((1, 3), (2, 2)), n_highway=1, dim=6, projection_dim=4
    )
    convolutions = 1 * 2 * 3 + 3 + 2 * 2 * 2 + 2
    highway, projection = 2 * (5 * 5 + 5), 5 * 4 + 4
    lstm = (4 + 4) * 4 * 6 + 4 * 6 + 6 * 4
    expected = 261 * 2 + convolutions + highway + projection + 2 * 2 * lstm
    assert config.n_parameters == expected


def test_numbers_of_numpy_are_numbers() -> None:
    config = ElmoConfig(
        char_dim=np.int8(4),
        filters=[(np.int64(1), np.uint16(4))],
        dim=np.int32(12),
        cell_clip=np.float32(3),
    )
    plain = ElmoConfig(char_dim=4, filters=((1, 4),), dim=12)
    assert config == plain
    assert json.dumps(config.to_options()) == json.dumps(plain.to_options())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": -1}, "dim must be an integer from 1 to 16384; got -1"),
        ({"dim": 10**9}, "dim must be an integer from 1 to 16384; got 1000000000"),
        ({"dim": 4.0}, "dim must be an integer"),
        ({"dim": np.array([3])}, r"dim must be an integer from 1 to 16384; got array\(\[3"),
        ({"projection_dim": True}, "projection_dim must be an integer .* got True"),
        ({"char_dim": "4"}, "char_dim must be an integer .* got '4'"),
        ({"n_layers": 0}, "n_layers must be an integer from 1 to 64; got 0"),
        ({"n_highway": -1}, "n_highway must be an integer from 0 to 64; got -1"),
        ({"max_characters_per_token": 2}, "max_characters_per_token must be an integer"),
        ({"max_characters_per_token": 65_536}, "an integer from 3 to 512; got 65536"),
        ({"activation": "gelu"}, "activation must be one of 'relu', 'tanh'; got 'gelu'"),
        ({"cell_clip": 0}, "cell_clip must be a positive number or None; got 0"),
        ({"projection_clip": float("nan")}, "projection_clip must be a positive number"),
        ({"projection_clip": 10**400}, "projection_clip must be a positive number"),
        ({"projection_clip": "3"}, "projection_clip must be a positive number"),
        ({"use_skip_connections": 1}, "use_skip_connections must be True or False; got 1"),
        ({"filters": ()}, "filters must be a list of 1 to 64"),
        ({"filters": 3}, "filters must be a list of 1 to 64"),
        ({"filters": ((1, 2, 3),)}, r"filters must hold \(width, count\) pairs"),
        ({"filters": ((0, 2),)}, "filters: a width must be an integer"),
        ({"filters": ((51, 2),)}, "a width must be an integer from 1 to 50; got 51"),
        ({"filters": ((1, 10**9),)}, "filters: a count must be an integer"),
        ({"filters": ((1, 9000),) * 2}, "the sum of the counts must be .* got 18000"),
        ({"dim": 16_384, "projection_dim": 16_384}, "[0-9,]+ parameters; at most 2,000,"),
    ],
)
def test_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **changes)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("lstm", None, "no object 'lstm'"),
        ("char_cnn", [], "no object 'char_cnn'"),
        ("char_cnn.embedding", 16, "no object 'char_cnn.embedding'"),
        ("char_cnn.n_characters", 5000, "n_characters must be 262 .* not 5000"),
        ("lstm.n_layers", None, "n_layers must be an integer"),
        ("lstm.dim", ..., r"no entry 'dim' among \['cell_clip', "),
        ("bidirectional", False, "bidirectional = False; ELMo needs both"),
    ],
)
def test_refuses_options(path: str, value: object, message: str) -> None:
    options = copy.deepcopy(ORIGINAL_OPTIONS)
    *sections, name = path.split(".")
    section = functools.reduce(operator.getitem, sections, options)
    section[name] = value
    if value is ...:
        del section[name]
    with pytest.raises(ValueError, match=message):
        ElmoConfig.from_options(options)
