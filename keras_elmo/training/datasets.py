"""Batches of texts for ``fit`` and ``predict``."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_elmo import backends
from keras_elmo.config import ElmoConfig
from keras_elmo.text.batching import BatchPlan
from keras_elmo.text.characters import MAX_CHARACTERS_PER_TOKEN
from keras_elmo.text.lexicon import TokenIds
from keras_elmo.text.reader import OnError, read_sentences
from keras_elmo.text.sentence_ids import SentenceIds
from keras_elmo.training.batches import Part, array_part, padded_lengths, planned_dataset
from keras_elmo.training.labels import read_labels
from keras_elmo.types import (
    InputMode,
    Split,
    check_characters_per_token,
    check_integer,
    check_one_of,
    check_positive_integer,
)


def text_dataset(
    texts: Any,
    labels: Any = None,
    *,
    batch_size: int = 32,
    max_tokens: int | None = None,
    token_budget: int | None = None,
    group_by_length: bool = False,
    shuffle: bool = False,
    seed: int | None = None,
    initial_epoch: int = 0,
    input_mode: InputMode | None = None,
    max_characters_per_token: int | None = None,
    input_format: str | None = None,
    column: str | None = None,
    on_error: OnError = "fail",
    split: Split | None = None,
    config: ElmoConfig | None = None,
) -> Any:
    """Creates a dataset of texts: shuffled, truncated, and in batches of limited size.

    Without ``shuffle`` and ``group_by_length`` the texts keep their order. On JAX and
    PyTorch the texts become character ids, and TensorFlow is not needed. ::

        dataset = text_dataset(texts, labels, group_by_length=True, shuffle=True)
        model.fit(dataset, epochs=3, shuffle=False)  # the dataset shuffles itself

    Args:
        texts: A list, tuple, NumPy array (n,) or (n, 1), pandas or Polars column or string
            tensor of ``str`` or ``bytes``. Or a ``pathlib.Path``, or several, of files in
            UTF-8, plain or compressed with gzip: text files with one text per line, JSON
            Lines, CSV, FASTA, CoNLL-U or CoNLL-2003.
        labels: Numbers (n, ...) in a list, NumPy array, column of a table or tensor, or
            ``None`` for a dataset of texts alone.
        batch_size: The most texts in a batch.
        max_tokens: Keep the first ``max_tokens`` tokens of each text; ``None`` for all.
        token_budget: The most steps in a batch, padding included: the number of texts times
            the tokens of the longest. A text that exceeds it is a batch by itself. ``None``
            for no limit.
        group_by_length: Whether batches hold texts of similar length, which reduces
            padding. Without ``shuffle`` the texts are sorted, longest first.
        shuffle: Whether each iteration has another order. With ``group_by_length``, texts
            of similar length are exchanged, and the batches are shuffled. With only
            ``token_budget``, just the batches are shuffled.
        seed: The seed of the orders: equal seeds give the same first iteration, the same
            second one, and so on. ``None`` draws a seed from Python's random numbers, which
            ``keras.utils.set_random_seed`` makes repeatable.
        initial_epoch: The number of finished epochs. The first iteration has the order of
            the next epoch, so that an interrupted run can resume.
        input_mode: The form of the texts, as the layer's argument: ``"sentences"`` for
            strings, or ``"character_ids"`` for the ids that the layer would compute.
            ``None`` for sentences on TensorFlow, and for ids on the other backends, which
            have no strings.
        max_characters_per_token: For character ids, the number of ids per token; ``None``
            for 50, as in all released models.
        input_format: The format of files, as in :func:`~keras_elmo.compute_features`.
        column: The field of the text, or the column of words, likewise.
        on_error: What to do with bad lines, such as lines that are not UTF-8: ``"fail"``,
            ``"repair"`` or ``"skip"``, as in :func:`~keras_elmo.compute_features`.
        split: How texts are split into tokens, as the layer's argument: ``"space"``, in
            files any white space; ``"words"``, for raw text; or ``"character"``. ``None``
            for spaces, and for characters in FASTA. Strings have single spaces between
            tokens, so that layers with ``split="space"`` or the same ``split`` find the
            same tokens.
        config: For the ids of a model that has words or characters of its own: the
            layer's ``config``. ``None`` for bytes.

    Returns:
        A ``tf.data.Dataset`` of strings (batch,) or character ids (batch, time, ids of a
        token), or of pairs of these and the labels (batch, ...). On JAX and PyTorch, a
        ``keras.utils.PyDataset`` of NumPy arrays. The dataset has a known number of
        batches. On JAX, which compiles a program for each shape, padding rounds time up to
        four binary digits, or to the longest text's tokens, and counts in
        ``token_budget``.

    Raises:
        TypeError: The texts are not strings, or the labels are not numbers.
        ValueError: There are no texts; the numbers of texts and labels differ; a text is
            missing or a bad line (:class:`~keras_elmo.errors.BadLinesError`); or another
            argument is out of its range or needs the TensorFlow backend.
        FileNotFoundError: A file does not exist.

    Example:
        >>> from keras_elmo import text_dataset
        >>> dataset = text_dataset(["One", "A longer text", "Two"], [0, 1, 0], batch_size=2)
        >>> for batch, labels in dataset.as_numpy_iterator():
        ...     print(batch, labels)
        [b'One' b'A longer text'] [0 1]
        [b'Two'] [0]
    """
    if input_mode is None:
        input_mode = "sentences" if backends.is_tensorflow() else "character_ids"
    check_one_of("input_mode", input_mode, ("sentences", "character_ids"))
    backends.check_input_mode(input_mode)
    if max_characters_per_token is not None and input_mode == "sentences":
        raise ValueError(
            f"max_characters_per_token={max_characters_per_token!r} applies only to "
            "character ids. Leave it out, or use input_mode='character_ids'."
        )
    if max_characters_per_token is not None and config is not None:
        raise ValueError(
            "config says how many ids a token has, as max_characters_per_token does; got "
            "both. Leave max_characters_per_token out."
        )
    check_integer("initial_epoch", initial_epoch, at_least=0)
    sentences = read_sentences(
        texts, input_format=input_format, column=column, on_error=on_error, split=split
    )
    pairs = [(sentence.tokens, sentence.n_tokens) for sentence in sentences]
    if not pairs:
        raise ValueError("texts must hold at least one text; got none.")
    encoded, lengths = [tokens for tokens, _ in pairs], np.array([n for _, n in pairs])
    if max_tokens is not None:
        most = check_positive_integer("max_tokens", max_tokens)
        encoded = [b" ".join(tokens.split(b" ", most)[:most]) for tokens in encoded]
        lengths = np.minimum(lengths, most)  # (n,)
    targets = None if labels is None else read_labels(labels, len(encoded))
    steps = padded_lengths(lengths)  # (n,)
    if input_mode == "sentences":
        parts = [array_part(np.array(encoded, dtype=object))]
    else:
        characters = MAX_CHARACTERS_PER_TOKEN
        if max_characters_per_token is not None:
            name = "max_characters_per_token"
            characters = check_characters_per_token(name, max_characters_per_token)
        token_ids = TokenIds(characters) if config is None else config.token_ids
        tokens = (list(filter(None, text.split(b" "))) for text in encoded)
        ids = SentenceIds(tokens, steps, token_ids)
        parts = [Part(ids, (None, None, token_ids.length), np.dtype(np.int32))]
    if targets is not None:
        parts.append(array_part(targets))
    plan = BatchPlan(steps, batch_size, token_budget, group_by_length, shuffle, seed)
    return planned_dataset(plan, parts, initial_epoch)
