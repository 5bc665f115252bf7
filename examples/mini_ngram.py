"""How well an n-gram model predicts the text that ELMo "mini" is measured on.

The model is the interpolated one with modified Kneser-Ney smoothing of Chen and Goodman,
"An Empirical Study of Smoothing Techniques for Language Modeling" (Harvard University,
TR-10-98, 1998), the best of those compared there. It predicts what the biLM does: each
word, ``<UNK>`` for those that are not in the vocabulary, and the end of each review::

    python examples/mini_ngram.py imdb_text vocabulary.txt --order 3
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from arguments import blaming
from kneser_ney import Booleans, Integers, KneserNey
from tqdm import tqdm

from keras_elmo.pretraining.sentences import read_sentences
from keras_elmo.pretraining.vocabulary import (
    BEGIN_SENTENCE,
    END_SENTENCE,
    UNKNOWN,
    Vocabulary,
)

MAX_ORDER = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the perplexities of the held-out text, for each order up to the given one.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    with blaming(parser, "VOCABULARY", OSError, ValueError):
        vocabulary = Vocabulary.load(args.vocabulary)
    with blaming(parser, "TEXT_DIR", OSError, ValueError):
        heldout = read_text(args.text_dir, "heldout.txt", vocabulary)
        training = read_text(args.text_dir, "train-*.txt", vocabulary)
    unknown = np.mean(heldout.words == vocabulary.ids([UNKNOWN]))
    print(f"Training: {training}. Held out: {heldout}, {unknown:.2%} of them {UNKNOWN}.")
    begin, end = vocabulary.ids([BEGIN_SENTENCE, END_SENTENCE]).tolist()
    forward = perplexities(training, heldout, len(vocabulary), args.order, begin, end)
    training, heldout = training.reversed(), heldout.reversed()
    backward = perplexities(training, heldout, len(vocabulary), args.order, end, begin)
    print("Perplexity:\norder    forward   backward")
    for order, values in enumerate(zip(forward, backward, strict=True), start=1):
        print(f"{order:5}" + "".join(f" {value:10,.2f}" for value in values))
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Print the perplexity of Kneser-Ney n-gram models on held-out text."
    )
    parser.add_argument(
        "text_dir",
        type=Path,
        metavar="TEXT_DIR",
        help="the directory with heldout.txt and train-*.txt, as mini_prepare.py writes it",
    )
    parser.add_argument(
        "vocabulary",
        type=Path,
        metavar="VOCABULARY",
        help="the file with the words that are predicted, one in a line, the most "
        "frequent first: <S>, </S>, <UNK>, and so on",
    )
    parser.add_argument(
        "--order",
        type=int,
        choices=range(1, MAX_ORDER + 1),
        default=3,
        help="length of the longest n-grams (default: %(default)s); 3 takes some 2 GB of "
        "memory, 5 some 4 GB",
    )
    return parser


@dataclasses.dataclass(frozen=True)
class Text:
    """Sentences as numbers.

    Attributes:
        words: The ids of all words, one sentence after the other, (words,).
        lengths: The number of words of each sentence, (sentences,).
    """

    words: Integers
    lengths: Integers

    def __str__(self) -> str:
        return f"{len(self.lengths):,} sentences, {len(self.words):,} words"

    def reversed(self) -> Text:
        """The same text read from its end, the last sentence first."""
        return Text(self.words[::-1], self.lengths[::-1])


def read_text(folder: Path, pattern: str, vocabulary: Vocabulary) -> Text:
    """Reads text files, one sentence in a line.

    Args:
        folder: Where they are.
        pattern: Their names, ``"train-*.txt"``.
        vocabulary: Gives the words' ids.

    Returns:
        All of their sentences, in the order of the names.

    Raises:
        ValueError: There are none, or one has a sentence boundary as a word.
    """
    paths = sorted(folder.glob(pattern))
    sentences = read_sentences(paths) if paths else ()
    progress = tqdm(sentences, desc=f"Reading {pattern}", unit=" sentences")
    ids = [vocabulary.ids(words) for words in progress]  # (sentences,) of (words,)
    if not ids:
        raise ValueError(f"there is no text in {str(folder / pattern)!r}")
    words = np.concatenate(ids)  # (words,)
    # A boundary as a word would be predicted in places where the model excludes it.
    marks = [BEGIN_SENTENCE, END_SENTENCE]
    if np.isin(words, vocabulary.ids(marks)).any():
        raise ValueError(f"{str(folder / pattern)!r} has one of the words {marks}")
    return Text(words, np.array([len(sentence) for sentence in ids]))


def perplexities(
    training: Text, heldout: Text, vocabulary_size: int, order: int, begin: int, end: int
) -> list[float]:
    """Measures the models of all orders in one direction.

    Args:
        training: The text to count in.
        heldout: The text to predict.
        vocabulary_size: Number of words, the boundaries included.
        order: The highest order.
        begin: The id of the boundary before a sentence, which is not predicted.
        end: The id of the boundary behind it, which is.

    Returns:
        The perplexities of orders 1, 2 ... ``order``.
    """
    model = KneserNey(*padded(training, order, begin, end), vocabulary_size, order)
    probabilities = model.probabilities(*padded(heldout, order, begin, end))
    return [float(x) for x in np.exp(-np.mean(np.log(probabilities), axis=1))]


def padded(text: Text, order: int, begin: int, end: int) -> tuple[Integers, Booleans]:
    """Puts boundaries around sentences, so many that each word has a full history.

    Args:
        text: The sentences.
        order: Length of the n-grams: ``order - 1`` boundaries come before a sentence.
        begin: The id of the boundaries before a sentence.
        end: The id of the one behind it.

    Returns:
        All tokens in order, int32 (tokens,), and which of them are predicted, (tokens,).
    """
    sizes = text.lengths + order  # (sentences,)
    ends = np.cumsum(sizes) - 1  # (sentences,)
    begins = (ends - sizes)[:, None] + np.arange(1, order)  # (sentences, order - 1)
    is_target = np.ones(sizes.sum(), bool)  # (tokens,)
    is_target[begins] = False
    is_word = is_target.copy()  # (tokens,)
    is_word[ends] = False
    tokens = np.full(len(is_target), begin, np.int32)  # (tokens,)
    tokens[is_word] = text.words
    tokens[ends] = end
    return tokens, is_target


if __name__ == "__main__":
    raise SystemExit(main())
