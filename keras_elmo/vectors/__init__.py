"""Vectors of many texts, written to a file once and read by index or sentence."""

from keras_elmo.vectors.alignment import anchors, learn_alignment
from keras_elmo.vectors.compute import compute_features
from keras_elmo.vectors.embeddings import Embeddings
from keras_elmo.vectors.formats import open_embeddings
from keras_elmo.vectors.ray_data import embed_dataset

__all__ = [
    "Embeddings",
    "anchors",
    "compute_features",
    "embed_dataset",
    "learn_alignment",
    "open_embeddings",
]
