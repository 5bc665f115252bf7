"""The stages of ELMo as Keras layers, in the order of the data flow.

Text -> character ids -> sentence boundaries -> token vectors -> biLM layers -> scalar
mix -> pooled. You can also use each layer by itself.
"""

from keras_elmo.layers.alignment import Alignment
from keras_elmo.layers.bidirectional_lm import BidirectionalLM
from keras_elmo.layers.character_ids import CharacterIds
from keras_elmo.layers.elmo_bilm import ElmoBiLM
from keras_elmo.layers.masked_mean import MaskedMean
from keras_elmo.layers.projected_lstm_cell import ProjectedLSTMCell
from keras_elmo.layers.scalar_mix import ScalarMix
from keras_elmo.layers.sentence_boundaries import SentenceBoundaries
from keras_elmo.layers.token_encoder import TokenEncoder
from keras_elmo.layers.token_mask import TokenMask

__all__ = [
    "Alignment",
    "BidirectionalLM",
    "CharacterIds",
    "ElmoBiLM",
    "MaskedMean",
    "ProjectedLSTMCell",
    "ScalarMix",
    "SentenceBoundaries",
    "TokenEncoder",
    "TokenMask",
]
