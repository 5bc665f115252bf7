"""ELMo's contextual word embeddings as a Keras 3 layer."""

from keras_elmo.config import ElmoConfig
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.errors import SourceError, VerificationError, WorkerLostError
from keras_elmo.hub.saved_model import export_saved_model
from keras_elmo.hub.verification import Verification, verify
from keras_elmo.layers.scalar_mix import ScalarMix
from keras_elmo.text.characters import batch_to_character_ids
from keras_elmo.text.tokenization import tokenize
from keras_elmo.training import MaskPadding, feature_dataset, join_head
from keras_elmo.training.datasets import text_dataset
from keras_elmo.training.distributed_model import DistributedModel
from keras_elmo.training.training_backup import TrainingBackup
from keras_elmo.vectors.compute import compute_features
from keras_elmo.weights.named_models import NamedModel, list_models

__version__ = "0.1.0"

__all__ = [
    "DistributedModel",
    "ElmoConfig",
    "ElmoEmbeddingLayer",
    "MaskPadding",
    "NamedModel",
    "ScalarMix",
    "SourceError",
    "TrainingBackup",
    "Verification",
    "VerificationError",
    "WorkerLostError",
    "batch_to_character_ids",
    "compute_features",
    "export_saved_model",
    "feature_dataset",
    "join_head",
    "list_models",
    "text_dataset",
    "tokenize",
    "verify",
]
