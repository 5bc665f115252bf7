"""The layer as a transformer of scikit-learn, which must be installed."""

from __future__ import annotations

import math
import os
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.encoding import encode
from keras_elmo.types import (
    OutputMode,
    PathLike,
    Split,
    check_one_of,
    check_positive_integer,
)
from keras_elmo.vectors.vectors import embedding_layer

try:
    from sklearn.base import (
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        TransformerMixin,
    )
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError(
        "keras_elmo.sklearn needs scikit-learn, which is not installed. Install it: pip "
        "install scikit-learn."
    ) from error

__all__ = ["ElmoVectorizer"]


class ElmoVectorizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns texts into ELMo vectors, as ``TfidfVectorizer`` turns them into counts.

    ::

        model = make_pipeline(ElmoVectorizer("mini"), LogisticRegression())
        model.fit(texts, labels)

    ``fit`` only loads the model: it learns nothing from the texts. To compute the vectors
    once in a parameter search, use ``make_pipeline(..., memory=folder)``.

    A pickle includes the weights if ``source`` is a layer or an
    :class:`~keras_elmo.ElmoConfig`. Otherwise it includes the name or path, and loads the
    weights from there.

    Args:
        source: A source of :class:`~keras_elmo.ElmoEmbeddingLayer`, a layer, or the path of
            a ``.keras`` file of a model with one.
        output_mode: The features of a text: ``"default"``, (D,), the mean of its tokens'
            vectors; or ``"pooled_layers"``, ((n_layers + 1) * D,), the means of each layer,
            concatenated.
        split: How texts are split: ``"words"``, as :func:`~keras_elmo.tokenize` does, for
            raw text; ``"space"``, for tokenized text; or ``"character"``. Lists of tokens
            are used unchanged.
        max_tokens: Keep the first ``max_tokens`` tokens of each text. ``None`` for all, or
            for the limit of the layer if ``source`` is one.
        batch_size: The most texts in a batch.
        verbose: The progress bar, as for :meth:`~keras_elmo.ElmoEmbeddingLayer.encode`.
        options: The ``options.json`` of a ``source`` that is an ``.hdf5`` file; by default
            the one next to it.

    Attributes:
        layer_: The layer.

    Example:
        >>> from keras_elmo.sklearn import ElmoVectorizer
        >>> ElmoVectorizer("mini").fit_transform(["It isn't bad.", "Boring!"]).shape
        (2, 512)
    """

    def __init__(
        self,
        source: PathLike | ElmoConfig | ElmoEmbeddingLayer = "mini",
        output_mode: OutputMode = "default",
        split: Split = "words",
        max_tokens: int | None = None,
        batch_size: int = 32,
        verbose: Any = 0,
        options: PathLike | None = None,
    ) -> None:
        self.source = source
        self.output_mode = output_mode
        self.split = split
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        self.verbose = verbose
        self.options = options

    def fit(self, X: Any = None, y: Any = None) -> Self:  # noqa: N803
        """Loads the model.

        Args:
            X: Not used.
            y: Not used.

        Returns:
            The vectorizer itself.

        Raises:
            ValueError: An argument of the vectorizer is out of its range.
            SourceError: The weights could not be loaded from ``source``.
        """
        mode: OutputMode = self.output_mode
        check_one_of("output_mode", mode, ("default", "pooled_layers"))
        check_one_of("split", self.split, get_args(Split))
        if self.max_tokens is not None:
            check_positive_integer("max_tokens", self.max_tokens)
        self._loaded_from = self.source, mode, True, self.options
        self.layer_ = embedding_layer(*self._loaded_from)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Computes the vectors of texts.

        Args:
            X: Texts, or lists of tokens, as for
                :meth:`~keras_elmo.ElmoEmbeddingLayer.encode`.

        Returns:
            float32 (n_texts, n_features).

        Raises:
            TypeError: The texts are neither strings nor lists of strings.
            ValueError: A text is missing.
            sklearn.exceptions.NotFittedError: You did not call ``fit``.
        """
        check_is_fitted(self)
        limit = self.max_tokens or self.layer_.max_tokens
        options = (self.batch_size, self.verbose, self.split, limit)
        vectors = encode(self.layer_, X, *options)  # (n_texts, [n_layers + 1,] D)
        return np.reshape(vectors, (len(vectors), self._n_features_out))

    @property
    def _n_features_out(self) -> int:
        return math.prod(self.layer_._program.shape)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        source, *_ = state.get("_loaded_from", (None,))
        if isinstance(source, str | os.PathLike):
            del state["layer_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_loaded_from" in state and "layer_" not in state:
            self.layer_ = embedding_layer(*self._loaded_from)
