"""ELMo's contextual word embeddings as a Keras 3 layer."""

from keras_elmo.characters import batch_to_character_ids
from keras_elmo.config import ElmoConfig
from keras_elmo.corpus import (
    BadLine,
    BadLinesError,
    Embeddings,
    embed_corpus,
    embed_dataset,
    open_embeddings,
)
from keras_elmo.datasets import text_dataset
from keras_elmo.distributed_model import DistributedModel
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.errors import SourceError, VerificationError, WorkerLostError
from keras_elmo.features import (
    MaskPadding,
    TokenFeatures,
    compute_features,
    feature_dataset,
    join_head,
)
from keras_elmo.layers.scalar_mix import ScalarMix
from keras_elmo.saved_model import export_saved_model
from keras_elmo.tokenization import tokenize
from keras_elmo.training_backup import TrainingBackup
from keras_elmo.verification import Verification, verify
from keras_elmo.weights.named_models import NamedModel, list_models

__version__ = "0.1.0"

__all__ = [
    "BadLine",
    "BadLinesError",
    "DistributedModel",
    "ElmoConfig",
    "ElmoEmbeddingLayer",
    "Embeddings",
    "MaskPadding",
    "NamedModel",
    "ScalarMix",
    "SourceError",
    "TokenFeatures",
    "TrainingBackup",
    "Verification",
    "VerificationError",
    "WorkerLostError",
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
