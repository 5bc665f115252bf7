"""ELMo's contextual word embeddings as a Keras 3 layer."""

from keras_elmo.config import ElmoConfig
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.errors import (
    BadLine,
    BadLinesError,
    SourceError,
    VerificationError,
)
from keras_elmo.hub.saved_model import export_saved_model
from keras_elmo.hub.verification import Verification, verify
from keras_elmo.layers.scalar_mix import ScalarMix
from keras_elmo.text.characters import batch_to_character_ids
from keras_elmo.text.tokenization import tokenize
from keras_elmo.training import MaskPadding, feature_dataset, join_head
from keras_elmo.training.datasets import text_dataset
from keras_elmo.vectors import (
    Embeddings,
    TokenFeatures,
    compute_features,
    embed_corpus,
    embed_dataset,
    open_embeddings,
)
from keras_elmo.weights.named_models import NamedModel, list_models

__version__ = "0.1.0"

__all__ = [
    "BadLine",
    "BadLinesError",
    "ElmoConfig",
    "ElmoEmbeddingLayer",
    "Embeddings",
    "MaskPadding",
    "NamedModel",
    "ScalarMix",
    "SourceError",
    "TokenFeatures",
    "Verification",
    "VerificationError",
    "batch_to_character_ids",
    "compute_features",
    "embed_corpus",
    "embed_dataset",
    "export_saved_model",
    "feature_dataset",
    "join_head",
    "list_models",
    "open_embeddings",
    "text_dataset",
    "tokenize",
    "verify",
]
