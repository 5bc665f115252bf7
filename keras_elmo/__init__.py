"""ELMo's contextual word embeddings as a Keras 3 layer."""

from keras_elmo.characters import batch_to_character_ids
from keras_elmo.config import ElmoConfig
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.errors import SourceError
from keras_elmo.layers.scalar_mix import ScalarMix

__version__ = "0.1.0"

__all__ = [
    "ElmoConfig",
    "ElmoEmbeddingLayer",
    "ScalarMix",
    "SourceError",
    "batch_to_character_ids",
]
