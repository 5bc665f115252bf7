"""Datasets for ``fit``, heads on stored vectors, and both joined."""

from keras_elmo.training.datasets import text_dataset
from keras_elmo.training.feature_datasets import feature_dataset
from keras_elmo.training.join_head import join_head
from keras_elmo.training.mask_padding import MaskPadding
from keras_elmo.training.unpadded import unpadded

__all__ = ["MaskPadding", "feature_dataset", "join_head", "text_dataset", "unpadded"]
