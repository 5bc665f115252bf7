"""Vectors of many texts, computed once into a file, and read by index or sentence."""

from keras_elmo.vectors.compute import compute_features
from keras_elmo.vectors.embed import embed_corpus
from keras_elmo.vectors.ray_data import embed_dataset
from keras_elmo.vectors.reader import Embeddings, open_embeddings
from keras_elmo.vectors.token_features import TokenFeatures

__all__ = [
    "Embeddings",
    "TokenFeatures",
    "compute_features",
    "embed_corpus",
    "embed_dataset",
    "open_embeddings",
]
