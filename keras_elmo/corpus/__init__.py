"""Whole corpora as files of embeddings.

Lines -> records -> sentences -> chunks -> batches of vectors -> a file -> arrays by index
or sentence.
"""

from keras_elmo.corpus.embed import embed_corpus
from keras_elmo.corpus.ray_data import embed_dataset
from keras_elmo.corpus.reader import Embeddings, open_embeddings
from keras_elmo.corpus.sentences import BadLine, BadLinesError

__all__ = [
    "BadLine",
    "BadLinesError",
    "Embeddings",
    "embed_corpus",
    "embed_dataset",
    "open_embeddings",
]
