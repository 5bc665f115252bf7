"""Trains and evaluates bidirectional language models.

:func:`train`, :func:`evaluate` and :class:`WordPredictor` do the complete job; the other
names are their parts.
"""

from keras_elmo.pretraining.evaluation import (
    Perplexities,
    evaluate,
    evaluate_windows,
    load_language_model,
)
from keras_elmo.pretraining.language_model import BidirectionalLanguageModel, Perplexity
from keras_elmo.pretraining.sampled_softmax import SampledSoftmax
from keras_elmo.pretraining.sentences import expand_paths, read_sentences
from keras_elmo.pretraining.training import save_language_model, train
from keras_elmo.pretraining.training_config import TrainingConfig
from keras_elmo.pretraining.vocabulary import Vocabulary, count_words
from keras_elmo.pretraining.windows import Windows
from keras_elmo.pretraining.word_predictor import Score, Substitutes, WordPredictor

__all__ = [
    "BidirectionalLanguageModel",
    "Perplexities",
    "Perplexity",
    "SampledSoftmax",
    "Score",
    "Substitutes",
    "TrainingConfig",
    "Vocabulary",
    "Windows",
    "WordPredictor",
    "count_words",
    "evaluate",
    "evaluate_windows",
    "expand_paths",
    "load_language_model",
    "read_sentences",
    "save_language_model",
    "train",
]
