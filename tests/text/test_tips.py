from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from keras_elmo.errors import InputTip
from keras_elmo.layers import CharacterIds
from keras_elmo.text import tips

RAW = "It's good, really good. But too long!"
LONG = "M" + "KV" * 48


@pytest.fixture(autouse=True)
def none_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tips, "_given", set())


@pytest.mark.parametrize(
    ("texts", "split", "tip"),
    [
        (["fine", RAW], "space", "look like raw text: .* Use split='words'"),
        (np.array([[RAW]], dtype=object), "space", "look like raw text"),
        ([f"a {LONG}"], "space", "words of more than 96 bytes, of which only the first 48"),
        (["北京" * 20], "words", "Use split='character' for proteins and for text without"),
        ([RAW], "words", None),
        ([LONG], "character", None),
        # One mark may be an abbreviation, and a long address has marks in it.
        (
            ["Mr. Smith is here .", "the end.", "https://localhost/" + "x/" * 50],
            "space",
            None,
        ),
        (["", "\xe9" * 48], "space", None),
        ([], "space", None),
    ],
)
def test_tips(texts: Any, split: Any, tip: str | None) -> None:
    layer = CharacterIds(split=split)
    if tip is not None:
        with pytest.warns(InputTip, match=tip) as given:
            layer(texts)
        assert [warning.filename for warning in given] == [__file__]
    layer(texts)  # once: a second tip would be an error here


def test_tensors_get_no_tips() -> None:
    import tensorflow as tf

    layer = CharacterIds()
    with warnings.catch_warnings(action="error"):
        layer(tf.constant([RAW, LONG]))
        tf.function(lambda: layer([RAW, LONG]))()
