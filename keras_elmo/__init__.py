"""ELMo's contextual word embeddings as a Keras 3 layer."""

from keras_elmo.characters import batch_to_character_ids
from keras_elmo.config import ElmoConfig
from keras_elmo.datasets import text_dataset
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.errors import SourceError, VerificationError
from keras_elmo.layers.scalar_mix import ScalarMix
from keras_elmo.tokenization import tokenize
from keras_elmo.verification import Verification, verify
from keras_elmo.weights.named_models import NamedModel, list_models

__version__ = "0.1.0"

__all__ = [
    "ElmoConfig",
    "ElmoEmbeddingLayer",
    "NamedModel",
    "ScalarMix",
    "SourceError",
    "Verification",
    "VerificationError",
    "batch_to_character_ids",
    "list_models",
    "text_dataset",
    "tokenize",
    "verify",
]
