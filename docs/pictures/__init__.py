"""The pictures of ``docs``, drawn from what the layers compute and the modules import.

``python -m pictures``, run in ``docs``, writes them again.
"""

from pictures.bidirectional_lm import bidirectional_lm
from pictures.house import house
from pictures.ids import character_ids, sentence_boundaries
from pictures.lstm_cell import lstm_cell
from pictures.mixing import pooling, scalar_mix
from pictures.overview import overview
from pictures.padding import padding
from pictures.token_vectors import token_vectors

PICTURES = {
    draw.__name__: draw
    for draw in (
        *(overview, character_ids, sentence_boundaries, token_vectors, lstm_cell),
        *(bidirectional_lm, padding, scalar_mix, pooling, house),
    )
}
