"""The page of questions: each names where it was asked, and links there."""

from __future__ import annotations

import re
from pathlib import Path

FAQ = Path(__file__).resolve().parents[2] / "docs" / "faq.md"
LINK = re.compile(r"\[([\w/.-]+ )?#(\d+)\]\((https://github\.com/([\w/.-]+)/(\w+)/(\d+))\)")


def test_each_question_names_its_threads() -> None:
    questions = re.split(r"^### ", FAQ.read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert 15 <= len(questions) <= 25
    for question in questions:
        title = question.split("\n", 1)[0]
        asked = re.search(r"\*Asked in\n(.+?)\.\*", question, re.DOTALL)
        assert asked, title
        entries = asked[1].split(",\n")
        repository = ""  # named once, by the first of its threads
        for entry in entries:
            link = LINK.fullmatch(entry)
            assert link, f"{title}: {entry}"
            repository = (link[1] or repository).strip()
            assert (link[4], link[6]) == (repository, link[2]), f"{title}: {entry}"
            assert link[5] in ("issues", "pull"), f"{title}: {entry}"
        assert len(set(entries)) == len(entries), title
