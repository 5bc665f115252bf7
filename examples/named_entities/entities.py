"""Reads sentences with tagged entities, and scores a tagger's entities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import NamedTuple

FILES = {
    "train": "wnut17train.conll",
    "dev": "emerging.dev.conll",
    "test": "emerging.test.annotated",
}


class Sentence(NamedTuple):
    """Tokens with their tags: B-TYPE or I-TYPE in an entity, O elsewhere."""

    tokens: list[str]
    tags: list[str]


class Entity(NamedTuple):
    """The tokens from ``start`` up to, but not including, ``end``."""

    kind: str
    start: int
    end: int


class Score(NamedTuple):
    """The scores of a set of entities."""

    precision: float
    recall: float
    f1: float
    n_entities: int


def read_sentences(path: Path) -> list[Sentence]:
    """Reads lines of a token, a tab and a tag, with an empty line after each sentence."""
    sentences = [Sentence([], [])]
    # Not splitlines: it also splits at characters that tokens contain.
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        fields = line.split("\t")
        if not line.strip():
            sentences.append(Sentence([], []))
        elif len(fields) == 2 and fields[0] and " " not in fields[0]:
            sentences[-1].tokens.append(fields[0])
            sentences[-1].tags.append(fields[1])
        else:
            raise ValueError(
                f"{str(path)!r}, line {number}: expected a token without spaces, a tab "
                f"and a tag; got {line!r:.100}."
            )
    return [sentence for sentence in sentences if sentence.tokens]


def entities(tags: Iterable[str]) -> list[Entity]:
    """Finds the entities in a sentence's tags; an I- after O or another type starts one."""
    found: list[Entity] = []
    kind, start = "", 0  # of the open entity; without one, kind is empty
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, tag_kind = tag.partition("-")
        if prefix == "I" and tag_kind == kind:
            continue
        if kind:
            found.append(Entity(kind, start, i))
        kind, start = tag_kind, i
    return found


def score(gold: Set[object], found: Set[object]) -> Score:
    """Compares two sets of entities; 0 / 0 is 0."""
    n_right = len(gold & found)
    return Score(
        n_right / max(len(found), 1),
        n_right / max(len(gold), 1),
        2 * n_right / max(len(gold) + len(found), 1),
        len(gold),
    )


def score_tags(
    sentences: Sequence[Sentence], found: Sequence[Sequence[str]]
) -> dict[str, Score]:
    """Scores tags by whole entities: the same tokens and the same type.

    "different entities" counts each pair of words and type once: the second measure of
    the WNUT-17 task (Derczynski, Nichols, van Erp, Limsopatham, 2017).
    """
    gold, guessed = (
        {(i, entity) for i, row in enumerate(rows) for entity in entities(row)}
        for rows in ([sentence.tags for sentence in sentences], found)
    )
    surface = [
        {(e.kind, tuple(sentences[i].tokens[e.start : e.end])) for i, e in side}
        for side in (gold, guessed)
    ]
    scores = {"all entities": score(gold, guessed), "different entities": score(*surface)}
    for kind in sorted({entity.kind for _, entity in gold}):
        of_kind = [{x for x in side if x[1].kind == kind} for side in (gold, guessed)]
        scores[kind] = score(*of_kind)
    return scores
