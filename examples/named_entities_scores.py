"""Entities in tagged sentences, and how many of them were found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from named_entities_data import OUTSIDE, Sentence


class Entity(NamedTuple):
    """Some tokens of a sentence, next to each other.

    Attributes:
        kind: The type, such as "person".
        start: The first token, from 0.
        end: One behind the last token.
    """

    kind: str
    start: int
    end: int


class Score(NamedTuple):
    """What was looked for, and what was found.

    Attributes:
        n_gold: How many there are.
        n_found: How many were found, rightly or not.
        n_right: How many are both.
    """

    n_gold: int
    n_found: int
    n_right: int

    @property
    def precision(self) -> float:
        """The share that is right of what was found; 0 if there is nothing."""
        return self.n_right / self.n_found if self.n_found else 0.0

    @property
    def recall(self) -> float:
        """The share that was found of what there is; 0 if there is nothing."""
        return self.n_right / self.n_gold if self.n_gold else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 if nothing is right."""
        n_both = self.n_gold + self.n_found
        return 2 * self.n_right / n_both if n_both else 0.0


def entities(tags: Iterable[str]) -> list[Entity]:
    """Finds the entities in the tags of a sentence.

    An ``I-`` that goes on with nothing, behind ``O`` or another type, begins an entity.

    Args:
        tags: As of a :class:`~named_entities_data.Sentence`.

    Returns:
        The entities from left to right.
    """
    found: list[Entity] = []
    kind, start = "", 0  # of the entity that is open; no type if there is none
    for i, tag in enumerate([*tags, OUTSIDE]):
        prefix, _, tag_kind = tag.partition("-")
        if prefix == "I" and tag_kind == kind:
            continue
        if kind:
            found.append(Entity(kind, start, i))
        kind, start = tag_kind, i
    return found


def score(sentences: Sequence[Sentence], found: Sequence[Sequence[str]]) -> Score:
    """Counts the entities that are found: the same tokens, and the same type.

    Args:
        sentences: With the right tags.
        found: The tags to score, for each sentence as many as it has tokens.

    Returns:
        The score over all types.
    """
    return _compared(*_numbered(sentences, found))


def scores_by_type(
    sentences: Sequence[Sentence], found: Sequence[Sequence[str]]
) -> dict[str, Score]:
    """Counts as :func:`score` does, for each type that the sentences have.

    Args:
        sentences: As for :func:`score`.
        found: As for :func:`score`.

    Returns:
        The scores by the name of the type, in the order of the alphabet.
    """
    gold, guessed = _numbered(sentences, found)
    kinds = sorted({entity.kind for _, entity in gold})
    return {
        kind: _compared(_of_kind(gold, kind), _of_kind(guessed, kind)) for kind in kinds
    }


def surface_score(sentences: Sequence[Sentence], found: Sequence[Sequence[str]]) -> Score:
    """Counts different entities: each pair of words and type once, wherever it stands.

    The second measure of the WNUT-17 task (Derczynski, Nichols, van Erp, Limsopatham,
    2017): what is named again and again counts no more than the rest.

    Args:
        sentences: As for :func:`score`.
        found: As for :func:`score`.

    Returns:
        The score over all types.
    """
    gold, guessed = (
        {(sentences[i].tokens[e.start : e.end], e.kind) for i, e in side}
        for side in _numbered(sentences, found)
    )
    return _compared(gold, guessed)


def _numbered(
    sentences: Sequence[Sentence], found: Sequence[Sequence[str]]
) -> tuple[set[tuple[int, Entity]], set[tuple[int, Entity]]]:
    """The right entities and those found, with the numbers of their sentences."""
    for sentence, tags in zip(sentences, found, strict=True):
        if len(tags) != len(sentence.tokens):
            raise ValueError(
                f"found must have a tag for each token; got {len(tags)} for the "
                f"{len(sentence.tokens)} of {' '.join(sentence.tokens)!r:.100}."
            )
    gold = set(_all_entities(sentence.tags for sentence in sentences))
    return gold, set(_all_entities(found))


def _all_entities(rows: Iterable[Iterable[str]]) -> Iterator[tuple[int, Entity]]:
    return ((i, entity) for i, tags in enumerate(rows) for entity in entities(tags))


def _of_kind(numbered: set[tuple[int, Entity]], kind: str) -> set[tuple[int, Entity]]:
    return {(i, entity) for i, entity in numbered if entity.kind == kind}


def _compared(gold: Set[object], found: Set[object]) -> Score:
    return Score(len(gold), len(found), len(gold & found))
