"""The example that finds named entities: scores by hand, the whole on made-up names."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples.running import load_example, run
from tests.tiny_models import LEAST, saved_model

example = load_example("named_entities/entities")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-a I-b I-b", [("a", 0, 1), ("b", 1, 3)]),
        ("I-a O I-a I-a", [("a", 0, 1), ("a", 2, 4)]),
        ("O B-creative-work I-creative-work", [("creative-work", 1, 3)]),
    ],
)
def test_entities(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert example.entities(tags.split()) == expected


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.integers(0, 2))))
def test_entities_are_those_that_were_tagged(pieces: list[tuple[str, int, int]]) -> None:
    tags: list[str] = []
    expected = []
    for kind, length, n_outside in pieces:
        expected.append((kind, len(tags), len(tags) + length))
        tags += [f"B-{kind}", *[f"I-{kind}"] * (length - 1), *["O"] * n_outside]
    assert example.entities(tags) == expected


def test_scores() -> None:
    sentences = [
        example.Sentence(["Bo", "met", "Carl", "Dee"], ["B-per", "O", "B-per", "I-per"]),
        example.Sentence(["Rome", "saw", "Bo"], ["B-loc", "O", "B-per"]),
    ]
    # Found: Bo rightly twice, of Carl Dee a part only, Rome as a person, and "saw".
    found = [["B-per", "O", "B-per", "O"], ["B-per", "B-loc", "B-per"]]
    scores = example.score_tags(sentences, found)
    assert list(scores) == ["all entities", "different entities", "loc", "per"]
    assert scores["all entities"] == pytest.approx((2 / 5, 2 / 4, 4 / 9, 4), abs=1e-9)
    # Bo is there twice, and counts once.
    assert scores["different entities"] == pytest.approx((1 / 4, 1 / 3, 2 / 7, 3), abs=1e-9)
    assert scores["loc"] == (0, 0, 0, 1)
    assert scores["per"] == pytest.approx((2 / 4, 2 / 3, 4 / 7, 3), abs=1e-9)
    right = example.score_tags(sentences, [sentence.tags for sentence in sentences])
    assert right["all entities"] == (1, 1, 1, 4)
    nothing = example.score_tags(sentences, [["O"] * 4, ["O"] * 3])
    assert nothing["all entities"] == (0, 0, 0, 4)


def test_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    # Lines that end in CR too, a line of a tab between sentences, no line at the end, and a
    # token that some take for the end of a line.
    path.write_bytes("\n\nBo\tB-per\r\n\u2028\tO\n\t\n\n@x\tO".encode())
    first, second = example.read_sentences(path)
    assert first == (["Bo", "\u2028"], ["B-per", "O"])
    assert second == (["@x"], ["O"])
    path.write_text("Bo\tO\n\nCarl Dee\tO\n")
    with pytest.raises(ValueError, match=r"a.conll', line 3: expected .* got 'Carl Dee"):
        example.read_sentences(path)


def test_wnut17(shared: Path) -> None:
    for name, n_tokens, n_entities in (
        ("train", 62730, 1975),
        ("dev", 15733, 836),
        ("test", 23394, 1079),
    ):
        sentences = example.read_sentences(shared / "data/wnut17" / example.FILES[name])
        assert sum(len(sentence.tokens) for sentence in sentences) == n_tokens
        assert sum(len(example.entities(s.tags)) for s in sentences) == n_entities


@pytest.mark.slow
def test_whole_program(tmp_path: Path) -> None:
    verbs = {"train": ("saw", "left") * 12, "dev": ("saw",), "test": ("left",)}
    for part, name in example.FILES.items():
        sentences = [
            f"{person}\tB-person\n{verb}\tO\nNew\tB-location\n{place}\tI-location\n.\tO\n"
            for person in ("Anna", "Bo", "Carl")
            for place in ("Oslo", "Rome")
            for verb in verbs[part]
        ]
        (tmp_path / name).write_text("\n".join(sentences))
    arguments = ["--data", ".", "--source", saved_model(tmp_path / "elmo", LEAST)]
    script, sentence = "named_entities/train_tagger.py", "Bo left New Oslo."
    printed = run(script, sentence, *arguments, folder=tmp_path)
    assert "train: 144 sentences, 720 tokens, 288 entities\n" in printed
    # Both have seen each name, and end with their best epoch.
    rows = [line.split() for line in printed.splitlines() if line.startswith("all ent")]
    assert [row[2:] for row in rows] == [["1.0000"] * 6] * 2
    assert "on 'Bo left New Oslo.': Bo (person), New Oslo (location)\n" in printed
    out = tmp_path / "named_entities_output"
    assert (out / "f1.png").read_bytes().startswith(b"\x89PNG\r\n")

    # What stands next to padding has the same tags as alone.
    model = keras.saving.load_model(out / "tagger.keras")
    tokens = np.array([["Bo", "saw", "Oslo"], ["Anna", "", ""]], dtype=object)
    together = np.asarray(model(tokens))  # (2, 3, n_tags)
    alone = np.asarray(model(tokens[1:, :1]))  # (1, 1, n_tags)
    np.testing.assert_allclose(together[1, 0], alone[0, 0], atol=1e-5)
