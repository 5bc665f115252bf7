"""Features once, training many times.

What a frozen layer says about a corpus, kept in a file; a head that trains on it; and both
joined to a model that takes strings.
"""

from keras_elmo.features.compute import compute_features
from keras_elmo.features.feature_datasets import feature_dataset
from keras_elmo.features.joined import join_head
from keras_elmo.features.mask_padding import MaskPadding
from keras_elmo.features.token_features import TokenFeatures

__all__ = [
    "MaskPadding",
    "TokenFeatures",
    "compute_features",
    "feature_dataset",
    "join_head",
]
