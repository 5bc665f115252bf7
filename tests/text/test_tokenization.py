from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.text.tokenization import tokenize

# Any text rarely has an apostrophe between letters or a mark twice: this has little else.
TEXTS = st.one_of(st.text(), st.text(alphabet="ab1'\u2019_.!- \t\n\u00a0\u0301é"))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \n\t\u00a0\u2028", []),
        ("one  two\nthree", ["one", "two", "three"]),
        ("It isn't bad... (8/10)", ["It", "isn't", "bad", "...", "(", "8", "/", "10", ")"]),
        ("Isn\u2019t it?!", ["Isn\u2019t", "it", "?", "!"]),
        ("rock'n'roll", ["rock'n'roll"]),
        ("'twas the dogs' home'", ["'", "twas", "the", "dogs", "'", "home", "'"]),
        ("a''b", ["a", "''", "b"]),
        ("a'\u2019b", ["a", "'", "\u2019", "b"]),
        ("well-known 2.5%", ["well", "-", "known", "2", ".", "5", "%"]),
        ("what?!?!?? -- no", ["what", "?", "!", "?", "!", "??", "--", "no"]),
        ("snake_case __init__", ["snake", "_", "case", "__", "init", "__"]),
        ("Größe: 5€ 東京", ["Größe", ":", "5", "€", "東京"]),
        ("🙂🙂🙃", ["🙂🙂", "🙃"]),
        ("<S>", ["<", "S", ">"]),
    ],
)
def test_examples(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


@given(TEXTS, TEXTS)
def test_nothing_but_white_space_is_lost(text: str, second: str) -> None:
    tokens = tokenize(text)
    assert "".join(tokens) == "".join(text.split())
    # str.split and the layer agree on where these tokens end; no token has others in it.
    assert " ".join(tokens).split() == tokens == tokenize(" ".join(tokens))
    assert tokenize(f"{text}\n{second}") == tokens + tokenize(second)
