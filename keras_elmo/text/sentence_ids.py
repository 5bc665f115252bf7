"""Character ids of sentences, batch by batch, without any framework."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.characters import token_character_ids


class SentenceIds:
    """Maps indices (batch,) of sentences to their character ids, equal to the layer's.

    Time is the largest of the sentences' ``steps`` (n,), and at least 1; zeros are padding.
    The ids of each distinct word are computed once.
    """

    def __init__(
        self,
        texts: Iterable[Sequence[bytes]],
        steps: NDArray[np.int64],
        max_characters_per_token: int,
    ) -> None:
        self.steps = steps
        places: dict[bytes, int] = {}  # 0 is padding
        self._sentences: list[NDArray[np.int32]] = []  # (time_i,) each
        for tokens in texts:
            words = [places.setdefault(token, len(places) + 1) for token in tokens]
            self._sentences.append(np.array(words, np.int32))
        # (1 + words, max_characters_per_token), half as large as int32
        self._table = np.zeros((len(places) + 1, max_characters_per_token), np.int16)
        for token, place in places.items():
            self._table[place] = token_character_ids(token, max_characters_per_token)

    def __call__(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        time = max(1, int(self.steps[rows].max()))
        places = np.zeros((len(rows), time), np.int32)  # (batch, time)
        for place, row in zip(places, rows, strict=True):
            sentence = self._sentences[row]
            place[: len(sentence)] = sentence
        ids: NDArray[np.int32] = self._table[places].astype(np.int32)
        return ids  # (batch, time, max_characters_per_token)
