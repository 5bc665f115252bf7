"""The pictures of ``docs/stages``, drawn from what the layers compute.

``python -m pictures``, run in ``docs``, writes them anew.
"""

from pictures.bidirectional_lm import bidirectional_lm
from pictures.canvas import Canvas
from pictures.character_ids import character_ids
from pictures.lstm_cell import lstm_cell
from pictures.overview import overview
from pictures.padding import padding
from pictures.pooling import pooling
from pictures.scalar_mix import scalar_mix
from pictures.sentence_boundaries import sentence_boundaries
from pictures.token_vectors import token_vectors

PICTURES = {
    "overview": overview,
    "character_ids": character_ids,
    "sentence_boundaries": sentence_boundaries,
    "token_vectors": token_vectors,
    "lstm_cell": lstm_cell,
    "bidirectional_lm": bidirectional_lm,
    "padding": padding,
    "scalar_mix": scalar_mix,
    "pooling": pooling,
}

__all__ = ["PICTURES", "Canvas"]
