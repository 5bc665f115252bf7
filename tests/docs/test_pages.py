"""The README's Python prints what is shown; the FAQ's questions name their threads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[([\w/.-]+ )?#(\d+)\]\((https://github\.com/([\w/.-]+)/(\w+)/(\d+))\)")


@pytest.mark.slow
def test_python_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", readme, re.DOTALL)
    names: dict[str, object] = {}
    for code, expected in blocks:
        capsys.readouterr()
        exec(code, names)
        assert capsys.readouterr().out == expected
        assert len([line for line in code.splitlines() if line]) <= 8
    assert len(blocks) == 3
    assert (tmp_path / "sentiment.keras").exists()


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
