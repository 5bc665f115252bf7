"""Reads texts: lists, columns and files -> tokens -> character ids.

Nothing here imports Keras, or any other part of the package but its types and errors.
"""

from keras_elmo.text.reviews import load_reviews

__all__ = ["load_reviews"]
