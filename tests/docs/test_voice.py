"""Prose keeps to the house's plain American English.

``python -m tests.docs.test_voice`` lists every finding, also in the files of ``NOT_YET``.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What is searched, and what may still have findings: take files out as they are rewritten.
GLOBS = (
    "*.md",
    "docs/**/*.md",
    "keras_elmo/**/*.py",
    "examples/**/*.py",
    "examples/**/*.md",
)
NOT_YET = ("keras_elmo/layers/",)

# What not to write, and what to write instead. A space stands for any white space.
PATTERNS = {
    r"\bbeside\b": "next to, compared with",
    r"\btells\b|\b(?:is|are) told\b|\bunless told\b": "describes, lists, explains, reports",
    r"\b(?:go|goes|going|went) on(?! to\b| top\b)": "continues, resumes",
    r"\bcan(?:not)? be had\b": "could not be loaded, is available",
    r"(?<![Tt]here\s)\b(?:is|are|was|were) no (?!longer|more|less)": "is not a",
    r"\bgives? out\b|\bcomes? out\b": "outputs, returns",
    r"\b(?:the|its|their|a|'s) begin\b|\bbegin of\b": "start, beginning",
    r"\banew\b": "again",
    r"\bthe own\b|\bone's own\b": "your, its own",
    r"\bsome (?:\d|ten|twelve|fifteen|twenty|thirty|fifty|hundreds?|thousands?)": "about",
    r"\bbehind\b": "after",
    r"\bin place of\b": "instead of",
    r"\bWhere\b(?!.*\?)": "if, when",
    r"\btake\w* apart\b|\btaken apart\b": "split, tokenize",
    r"\bfrom nothing\b": "from scratch",
    r"\bin the mean\b": "on average",
    r"\bmakers\b": "authors",
    r"\b[Ww]hoever\b|\b[Tt]hose who\b": "if you",
    r"\breckons?\b": "compute",
    r"\bof use\b": "useful",
    r"\b[Ss]tands? (?!in for\b|for\b)": "is, appears",
    r"\bspares?\b": "saves",
    r"\bin turns\b": "alternately",
    r"\bat hand\b": "available",
    r"\bso many\b": "that many",
    r"\bsays? so\b": "reports it",
    r"\b[Aa]t last\b": "finally",
    r"\b(?:in|by) way of\b": "with",
    r"\b(?:(?:[Tt]oken|[Ii]nitial|[Nn]ormal|[Oo]ptim|[Rr]egular|[Ss]erial|[Vv]ector|[Ss]ummar"
    r"|[Rr]ecogn|[Oo]rgan|[Qq]uant|[Gg]eneral|[Mm]inim|[Mm]axim|[Ss]pecial|[Ss]tandard|[Uu]til"
    r"|[Cc]haracter|[Vv]isual|[Ss]ynchron)is(?:e[rsd]?|ers|ing|ation)|[Aa]nalys(?:e[sd]?|ing)"
    r"|(?:[Bb]ehavi|[Cc]ol|[Nn]eighb|[Ff]av)our\w*|[Ll]icence[sd]?|[Cc]ent(?:re[sd]?|ring)"
    r"|(?:[Ll]abel|[Mm]odel|[Cc]ancel)l(?:ed|ing)|[Gg]rey)\b": "American spelling",
}
HEADING = r"^#+ (?:What|How|Which|Where|Why|Whether|When|Are|Is)\b.*"
EXCEPTIONS = {
    # (file, phrase): the reason.
    ("docs/faq.md", HEADING): "questions, in the words that people type",
    ("docs/gallery/similar_texts.md", "centred"): "a variable of code that runs",
    ("keras_elmo/hub/graph_safety.py", "Where"): "an operation of TensorFlow",
}
_FENCE = re.compile(r"^\s*(?:[*-] )*\s*(`{3,})(\S*)")
_CODE = re.compile(r"\{(?:doctest|test\w+|eval-rst|toctree|code\S*)\}|[a-z]\w*")
_COMPILED = {
    re.compile(pattern.replace(" ", r"\s+"), re.MULTILINE): advice
    for pattern, advice in PATTERNS.items()
}


def markdown_prose(text: str) -> str:
    """The text with blanks for code and addresses, line by line."""
    lines, fence = [], ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if fence:
            if found and found[1] == fence and not found[2]:
                fence = ""
            line = ""
        elif found and _CODE.fullmatch(found[2]):
            fence, line = found[1], ""
        lines.append(line)
    return _without_code("\n".join(lines))


def python_prose(text: str) -> str:
    """The comments, docstrings and messages of a program, each on its line."""
    lines = [""] * (len(text.splitlines()) + 1)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] += token.string.lstrip("# ") + " "
    for node in ast.walk(ast.parse(text)):
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, str) and " " in value.strip():
            for number, line in enumerate(value.split("\n"), node.lineno - 1):
                if not line.lstrip().startswith((">>>", "...")):
                    lines[min(number, len(lines) - 1)] += line + " "
    return _without_code("\n".join(lines))


def _without_code(text: str) -> str:
    """Keeps the lines: code within a sentence and addresses become blanks."""
    text = re.sub(r"(`+)[^`]+\1", lambda found: re.sub(r"[^\n]", "x", found[0]), text)
    return re.sub(r"https?://[^\s)>]+", "x", text)


def findings(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, phrase and advice."""
    text = path.read_text("utf-8")
    name = path.relative_to(ROOT).as_posix()
    prose = python_prose(text) if path.suffix == ".py" else markdown_prose(text)
    for pattern, advice in _COMPILED.items():
        for found in pattern.finditer(prose):
            if (name, found[0]) not in EXCEPTIONS:
                yield prose.count("\n", 0, found.start()) + 1, found[0], advice
    if path.suffix == ".md" and (name, HEADING) not in EXCEPTIONS:
        for found in re.finditer(HEADING, prose, re.MULTILINE):
            yield prose.count("\n", 0, found.start()) + 1, found[0], "a noun or imperative"


def report(*, everything: bool) -> list[str]:
    paths = sorted({path for glob in GLOBS for path in ROOT.glob(glob)})
    names = {path: path.relative_to(ROOT).as_posix() for path in paths}
    return [
        f"{names[path]}:{line}: {' '.join(phrase.split())!r} (write: {advice})"
        for path in paths
        if everything or not names[path].startswith(NOT_YET)
        for line, phrase, advice in sorted(findings(path))
    ]


def test_prose_keeps_to_the_voice() -> None:
    assert report(everything=False) == []


def test_findings_have_their_lines(tmp_path: Path) -> None:
    prose = markdown_prose("It `tells`.\n```python\ntells\n```\nThis goes\non.\n")
    assert [line for line in prose.split("\n") if "tells" in line] == []
    assert prose.split("\n")[4] == "This goes"
    prose = python_prose('"""One.\n\nIt tells.\n"""\nx = 1  # beside\n')
    assert (prose.split("\n")[2].strip(), prose.split("\n")[4].strip()) == (
        "It tells.",
        "beside",
    )


if __name__ == "__main__":
    print("\n".join(report(everything=True)))
