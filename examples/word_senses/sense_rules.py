"""Words with known senses: from the word next to them, or because they are made up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from occurrences import Occurrence, find_occurrences, sample

MADE_UP = "blicket"


class LabeledSet(NamedTuple):
    """Occurrences of a word in two senses; sets of one kind are averaged."""

    name: str
    kind: str
    senses: list[list[Occurrence]]


# Two senses of a word next to cues: -1 for cues on the left, 1 on the right.
RULES = {
    ("like", -1): {
        "verb": "i you we they to would i'd you'll will don't didn't doesn't really",
        "preposition": "looks look looked feels feel felt seems seemed sounds is was just "
        "something nothing more movies films",
    },
    ("stars", -1): {
        "points": "1 2 3 4 5 6 7 8 10 zero three four five ten",
        "people": "the big movie film main guest its name young hollywood these his female "
        "great",
    },
    ("lives", -1): {
        "noun": "their our own people's peoples your daily personal her",
        "verb": "who he she that it still and also now",
    },
    ("play", -1): {
        "verb": "to they can could would will don't who actors might must you i did "
        "doesn't",
        "noun": "the a this stage school morality original",
    },
    ("shot", -1): {
        "verb": "was is been be gets get being were are getting got",
        "noun": "a the every long opening one final first each last best single another",
    },
    ("lead", -1): {
        "verb": "to would will can could might may doesn't",
        "role": "female male the romantic main two a his",
    },
    ("cast", -1): {
        "verb": "was were is been perfectly being be well to are",
        "people": "the supporting great entire whole ensemble good excellent talented a",
    },
    ("pretty", 1): {
        "fairly": "good much bad well funny sure decent cool poor lame damn awful hard "
        "obvious boring close interesting high stupid",
        "beautiful": "girl face boy woman young women girls picture lady pictures faces "
        "blonde little",
    },
    ("line", -1): {
        "of the plot": "story plot",
        "spoken": "funny best famous every favorite punch last single memorable opening "
        "great",
    },
    ("well", -1): {
        "also": "as",
        "good": "very so quite pretty really extremely works done worked work",
    },
}
PAIRS = (
    *(("actor", "watch"), ("ending", "good"), ("watch", "think")),
    *(("actor", "ending"), ("music", "script"), ("good", "long")),
)


def labeled_sets(sentences: Sequence[str], limit: int, seed: int) -> Iterator[LabeledSet]:
    """The sets of each rule, with the cue seen and hidden, and those of made-up words.

    Sets without occurrences of both senses are left out. ``limit`` applies to each sense.
    """
    for (word, offset), senses in RULES.items():
        found = find_occurrences(sentences, word)
        first, second = (
            sample([o for o in found if o.neighbor(offset) in cues.split()], limit, seed)
            for cues in senses.values()
        )
        if first and second:
            name = f"{word}: {' / '.join(senses)}"
            yield LabeledSet(name, "cue seen", [first, second])
            hidden = [[o.replaced(offset, MADE_UP) for o in s] for s in (first, second)]
            yield LabeledSet(name, "cue hidden", hidden)
    for pair in PAIRS:
        parts = []
        for word, other in (pair, pair[::-1]):
            found = find_occurrences(sentences, word)
            alone = [o for o in found if other not in o.tokens]
            parts.append([o.replaced(0, MADE_UP) for o in sample(alone, limit, seed)])
        if all(parts):
            yield LabeledSet(" = ".join(pair), "made up", parts)
