from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.text.tokenization import split_text, tokenize

# Any text rarely has an apostrophe between letters or a mark twice: this has little else.
TEXTS = st.text() | st.text(
    "ab1'\u2019_.!-… \t\n\u00a0\u200b\u200d\u0301é\u0928\u093f🙂\ufe0f"
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \n\t\u00a0\u2028\u3000\x85", []),
        ("one  two\nthree\u3000four", ["one", "two", "three", "four"]),
        ("It isn't bad... (8/10)", ["It", "isn't", "bad", "...", "(", "8", "/", "10", ")"]),
        ("Isn\u2019t it?!", ["Isn\u2019t", "it", "?", "!"]),
        ("rock'n'roll", ["rock'n'roll"]),
        ("'twas the dogs' home'", ["'", "twas", "the", "dogs", "'", "home", "'"]),
        ("a''b", ["a", "''", "b"]),
        ("a'\u2019b", ["a", "'", "\u2019", "b"]),
        ("well-known 2.5%", ["well", "-", "known", "2", ".", "5", "%"]),
        ("what?!?!?? -- no", ["what", "?", "!", "?", "!", "??", "--", "no"]),
        ("snake_case __init__", ["snake", "_", "case", "__", "init", "__"]),
        ("Größe: 5€…… 東京。", ["Größe", ":", "5", "€", "…", "…", "東京", "。"]),
        ("<S>\0\0", ["<", "S", ">", "\0\0"]),
        # Marks belong to the letters before them, whole words in every script.
        ("cafe\u0301 au naïve", ["cafe\u0301", "au", "naïve"]),
        ("हिन्दी में, தமிழ் বাংলা।", ["हिन्दी", "में", ",", "தமிழ்", "বাংলা", "।"]),
        ("שָׁלוֹם עולם מַלְאַךְ־", ["שָׁלוֹם", "עולם", "מַלְאַךְ", "־"]),
        ("السَّلَامُ، ภาษาไทย ខ្មែរ", ["السَّلَامُ", "،", "ภาษาไทย", "ខ្មែរ"]),
        ("می\u200cرویم ക്\u200dഷ 𝒳² ٣٤", ["می\u200cرویم", "ക്\u200dഷ", "𝒳²", "٣٤"]),
        # To other characters too.
        (
            "🙂🙂🙃 ❤\ufe0f! 1\ufe0f\u20e3",
            ["🙂", "🙂", "🙃", "❤\ufe0f", "!", "1\ufe0f\u20e3"],
        ),
        ("!!\u0301 \u0301a", ["!!\u0301", "\u0301a"]),
    ],
)
def test_examples(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


def test_splits() -> None:
    text = " a\tbé  <c\u0301\u3000🙂"
    assert split_text(text, "space") == ["a\tbé", "<c\u0301\u3000🙂"]
    assert split_text(text, "words") == ["a", "bé", "<", "c\u0301", "🙂"]
    assert split_text(text, "character") == ["a", "b", "é", "<", "c", "\u0301", "🙂"]


@given(TEXTS, TEXTS)
def test_nothing_but_white_space_is_lost(text: str, second: str) -> None:
    for split in ("words", "character"):
        tokens = split_text(text, split)
        assert "".join(tokens) == "".join(text.split())
        # str.split and the layer agree on where these end; no token has others in it.
        joined = " ".join(tokens)
        assert joined.split() == tokens == split_text(joined, split)
        assert split_text(f"{text}\n{second}", split) == tokens + split_text(second, split)


def test_words_are_of_unicode_15() -> None:
    """A version of Python knows characters that others do not, but none as another kind."""
    known = {c: unicodedata.category(c)[0] for c in map(chr, range(sys.maxunicode + 1))}
    known = {c: kind for c, kind in known.items() if unicodedata.category(c) != "Cn"}
    joined = {c for c in known if tokenize(f"a{c}b") == [f"a{c}b"]}
    after = {c for c in known if tokenize(f"!{c}") == [f"!{c}"]}
    assert {known[c] for c in joined - {"'", "\u2019", "\u200c", "\u200d"}} == set("LMN")
    assert {known[c] for c in after - {"!", "\u200c", "\u200d"}} == {"M"}
    if unicodedata.unidata_version <= "15.0.0":
        assert {c for c in known if known[c] in "LMN"} <= joined
        assert {c for c in known if known[c] == "M"} <= after
