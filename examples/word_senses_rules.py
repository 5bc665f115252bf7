"""Words whose senses are known: by the word beside them, or because they were made up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from word_senses_text import Occurrence, find_occurrences, sample

MADE_UP = "blicket"


class LabelledSet(NamedTuple):
    """Occurrences of a word in two senses.

    Attributes:
        name: What the set is called in a table.
        kind: Sets of one kind are averaged.
        senses: The occurrences of each sense.
    """

    name: str
    kind: str
    senses: tuple[list[Occurrence], list[Occurrence]]


class Rule(NamedTuple):
    """Two senses of a word, told apart by the word beside it.

    Attributes:
        word: The word.
        offset: Where the cue stands: -1 for the left, 1 for the right.
        cues: Those of the first sense and those of the second, in small letters.
        senses: What they are called.
    """

    word: str
    offset: int
    cues: tuple[str, str]
    senses: tuple[str, str]

    def divide(self, found: Sequence[Occurrence]) -> list[list[Occurrence]]:
        """The occurrences of each sense."""
        cues = [set(words.split()) for words in self.cues]
        return [[o for o in found if o.neighbour(self.offset) in words] for words in cues]


RULES = (
    Rule(
        "like",
        -1,
        (
            "i you we they to would i'd you'll will don't didn't doesn't really",
            "looks look looked feels feel felt seems seemed sounds is was just something "
            "nothing more movies films",
        ),
        ("verb", "preposition"),
    ),
    Rule(
        "stars",
        -1,
        (
            "1 2 3 4 5 6 7 8 10 zero three four five ten",
            "the big movie film main guest its name young hollywood these his female great",
        ),
        ("points", "people"),
    ),
    Rule(
        "lives",
        -1,
        (
            "their our own people's peoples your daily personal her",
            "who he she that it still and also now",
        ),
        ("noun", "verb"),
    ),
    Rule(
        "play",
        -1,
        (
            "to they can could would will don't who actors might must you i did doesn't",
            "the a this stage school morality original",
        ),
        ("verb", "noun"),
    ),
    Rule(
        "shot",
        -1,
        (
            "was is been be gets get being were are getting got",
            "a the every long opening one final first each last best single another",
        ),
        ("verb", "noun"),
    ),
    Rule(
        "lead",
        -1,
        (
            "to would will can could might may doesn't",
            "female male the romantic main two a his",
        ),
        ("verb", "role"),
    ),
    Rule(
        "cast",
        -1,
        (
            "was were is been perfectly being be well to are",
            "the supporting great entire whole ensemble good excellent talented a",
        ),
        ("verb", "people"),
    ),
    Rule(
        "pretty",
        1,
        (
            "good much bad well funny sure decent cool poor lame damn awful hard obvious "
            "boring close interesting high stupid",
            "girl face boy woman young women girls picture lady pictures faces blonde "
            "little",
        ),
        ("fairly", "beautiful"),
    ),
    Rule(
        "line",
        -1,
        (
            "story plot",
            "funny best famous every favorite punch last single memorable opening great",
        ),
        ("of the plot", "spoken"),
    ),
    Rule(
        "well",
        -1,
        ("as", "very so quite pretty really extremely works done worked work"),
        ("also", "good"),
    ),
)
PAIRS = (
    ("actor", "watch"),
    ("ending", "good"),
    ("watch", "think"),
    ("actor", "ending"),
    ("music", "script"),
    ("good", "long"),
)


def labelled_sets(sentences: Sequence[str], limit: int, seed: int) -> Iterator[LabelledSet]:
    """Makes the sets: those of each rule with the cue and without it, and made-up words.

    Args:
        sentences: Plain text.
        limit: At most so many occurrences of each sense.
        seed: The same seed gives the same choice.

    Yields:
        The sets that have occurrences of both senses.
    """
    for rule in RULES:
        found = rule.divide(find_occurrences(sentences, rule.word))
        first, second = (sample(occurrences, limit, seed) for occurrences in found)
        name = f"{rule.word}: {' / '.join(rule.senses)}"
        hidden = [
            [o.replaced(rule.offset, MADE_UP) for o in part] for part in (first, second)
        ]
        if first and second:
            yield LabelledSet(name, "cue seen", (first, second))
            yield LabelledSet(name, "cue hidden", (hidden[0], hidden[1]))
    for pair in PAIRS:
        first, second = (_made_up(sentences, pair, i, limit, seed) for i in (0, 1))
        if first and second:
            yield LabelledSet(" = ".join(pair), "made up", (first, second))


def _made_up(
    sentences: Sequence[str], pair: tuple[str, str], i: int, limit: int, seed: int
) -> list[Occurrence]:
    """Occurrences of a word of a pair, spelled like the made-up one."""
    found = find_occurrences(sentences, pair[i])
    found = [o for o in found if pair[1 - i] not in o.tokens]
    return [o.replaced(0, MADE_UP) for o in sample(found, limit, seed)]
