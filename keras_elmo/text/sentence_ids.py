"""Character ids of sentences, batch by batch, without any framework."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.lexicon import TokenIds


class SentenceIds:
    """Maps indices (batch,) of sentences to their character ids, equal to the layer's.

    Time is the largest of the sentences' ``steps`` (n,), and at least 1; zeros are padding.
    The ids of each distinct word are computed once.
    """

    def __init__(
        self,
        texts: Iterable[Sequence[bytes]],
        steps: NDArray[np.int64],
        token_ids: TokenIds,
    ) -> None:
        self.steps = steps
        places: dict[bytes, int] = {}  # 0 is padding
        self._sentences: list[NDArray[np.int32]] = []  # (time_i,) each
        for tokens in texts:
            words = [places.setdefault(token, len(places) + 1) for token in tokens]
            self._sentences.append(np.array(words, np.int32))
        # (1 + words, length), of bytes half as large as what it becomes
        dtype = np.int16 if token_ids.lexicon is None else np.int32
        self._table = np.zeros((len(places) + 1, token_ids.length), dtype)
        for token, place in places.items():
            self._table[place] = token_ids(token)

    def __call__(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        time = max(1, int(self.steps[rows].max()))
        places = np.zeros((len(rows), time), np.int32)  # (batch, time)
        for place, row in zip(places, rows, strict=True):
            sentence = self._sentences[row]
            place[: len(sentence)] = sentence
        ids: NDArray[np.int32] = self._table[places].astype(np.int32)
        return ids  # (batch, time, length)
