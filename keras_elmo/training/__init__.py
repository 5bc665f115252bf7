"""Data sets for ``fit``, heads on stored vectors, and both joined."""

from keras_elmo.training.datasets import text_dataset
from keras_elmo.training.distributed_model import DistributedModel
from keras_elmo.training.feature_datasets import feature_dataset
from keras_elmo.training.joined import join_head
from keras_elmo.training.mask_padding import MaskPadding
from keras_elmo.training.training_backup import TrainingBackup

__all__ = [
    "DistributedModel",
    "MaskPadding",
    "TrainingBackup",
    "feature_dataset",
    "join_head",
    "text_dataset",
]
