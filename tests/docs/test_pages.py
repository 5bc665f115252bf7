"""The README's Python runs; each question of the FAQ links to where it was asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[([\w/.-]+ )?#(\d+)\]\((https://github\.com/([\w/.-]+)/(\w+)/(\d+))\)")


@pytest.mark.slow
def test_python_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text("utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL):
        exec(block, names)
    assert names["model"].output_shape == (None, 1)
    assert names["x"].shape == (None, None, 512)
    assert names["tagger"].output_shape == (None, None, 32)


def test_each_question_names_its_threads() -> None:
    faq = (ROOT / "docs" / "faq.md").read_text("utf-8")
    questions = re.split(r"^### ", faq, flags=re.MULTILINE)[1:]
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
