"""The documentation's pictures: what is drawn is what the layers compute."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from pictures import PICTURES
from pictures.bidirectional_lm import dependence
from pictures.canvas import BLUE, Canvas
from pictures.house import arrows, floors, imports
from pictures.model import GAMMA, MIX_WEIGHTS, model, outputs
from pictures.padding import GAP, WITH, WITHOUT, states
from pictures.token_vectors import steps

DOCS = Path(__file__).resolve().parents[2] / "docs"
FOLDER = DOCS / "images" / "stages"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn() -> dict[str, Canvas]:
    return {name: draw() for name, draw in PICTURES.items()}


def heat(canvas: Canvas, name: str) -> np.ndarray:
    """The numbers that a heat map shows as colors."""
    meshes = [x for x in canvas.axes.collections if isinstance(x, QuadMesh)]
    (numbers,) = [mesh.get_array() for mesh in meshes if mesh.get_label() == name]
    return np.asarray(numbers)


def texts(canvas: Canvas) -> list[str]:
    return [text.get_text() for text in canvas.axes.texts]


def number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def test_overview(drawn: dict[str, Canvas]) -> None:
    written = texts(drawn["overview"])
    shapes = {"(2, 2, 50)", "(2, 4, 50)", "(2, 4, 8)", "(2, 2, 3, 16)", "(2, 2, 16)"}
    assert shapes <= set(written)
    found = outputs()
    layers = heat(drawn["overview"], "layers of token 1")
    np.testing.assert_allclose(layers, found.layers[0, 1], atol=1e-5)
    np.testing.assert_allclose(heat(drawn["overview"], "mean"), found.pooled[:1], atol=1e-5)


def test_character_ids(drawn: dict[str, Canvas]) -> None:
    written = texts(drawn["character_ids"])
    numbers = [int(text) for text in written if re.fullmatch(r"\d{2,3}|0", text)][1:]
    hi, there = [259, 73, 106, 260], [259, 117, 105, 102, 115, 102, 260]
    hi += [261] * 6
    assert numbers == [*hi, *there, 261, 261, 261, *hi, *[0] * 10]
    letters = [text for text in written if len(text) == 1 and text.isalpha()]
    assert letters == list("HithereHi")


def test_sentence_boundaries(drawn: dict[str, Canvas]) -> None:
    written = texts(drawn["sentence_boundaries"])
    masks = [text for text in written if text in ("True", "False")]
    assert masks == ["True"] * 4 + ["True", "True", "False", "True"]
    numbers = [int(text) for text in written if text.isdigit()]
    assert numbers[:16] == [
        *(259, 257, 260, 261, 259, 73, 106, 260),
        *(259, 117, 105, 102, 259, 258, 260, 261),
    ]


def test_token_vectors(drawn: dict[str, Canvas]) -> None:
    """The steps are computed by hand; what they end in is the layer's output."""
    canvas, expected = drawn["token_vectors"], outputs().token_vectors[0, 1]
    np.testing.assert_allclose(heat(canvas, "vector")[0], expected, atol=1e-5)
    found = [number(text) for text in texts(canvas)[-11:-3]]
    assert found == pytest.approx(list(expected), abs=0.0051)
    for responses in steps().responses:  # from the fifth character on, padding alone
        np.testing.assert_allclose(responses[5:] - responses[5], 0, atol=1e-5)


def test_lstm_cell(drawn: dict[str, Canvas]) -> None:
    written = texts(drawn["lstm_cell"])
    labels = {"(16, 64)", "(16, 8)", "$c_t$  (16)", "$h_t$  (8)", "$x_t$  (8)"}
    assert labels | {"clip \N{PLUS-MINUS SIGN}3"} <= set(written)
    cell = model().bilm.forward_lstms[0].cell
    assert (cell.units, cell.projection_dim, cell.cell_clip) == (16, 8, 3)


def test_bidirectional_lm(drawn: dict[str, Canvas]) -> None:
    np.testing.assert_array_equal(dependence(), [[1, 1, 0, 0], [0, 1, 1, 1]])
    patches = drawn["bidirectional_lm"].axes.patches
    colors = np.array([patch.get_facecolor()[:3] for patch in patches])  # (patches, 3)
    is_blue = np.abs(colors - to_rgb(BLUE)).max(axis=1) < 1e-3
    # The states of two layers, the output, the legend.
    assert is_blue.sum() == 2 * 2 + 1 + 1


def test_padding(drawn: dict[str, Canvas]) -> None:
    """The states stepped by hand are the layer's; padding repeats its neighbour."""
    plain, padded = states(WITHOUT), states(WITH)
    layers = outputs().layers[0, :, 1]  # (2, 16), the first LSTM layer of "Hi there"
    by_hand = np.concatenate([plain[0, 1:-1], plain[1, 1:-1]], axis=-1)
    np.testing.assert_allclose(by_hand, layers, atol=1e-5)
    np.testing.assert_allclose(np.delete(padded, GAP, axis=1), plain, atol=1e-5)
    forward = heat(drawn["padding"], "forward padded")  # (8, 5)
    np.testing.assert_array_equal(forward[:, GAP], forward[:, GAP - 1])
    backward = heat(drawn["padding"], "backward padded")
    np.testing.assert_array_equal(backward[:, GAP], backward[:, GAP + 1])
    assert np.abs(forward[:, GAP + 1] - forward[:, GAP]).max() > 0.05


def test_scalar_mix(drawn: dict[str, Canvas]) -> None:
    canvas = drawn["scalar_mix"]
    shares = np.exp(MIX_WEIGHTS) / np.exp(MIX_WEIGHTS).sum()
    layers = [heat(canvas, f"layer {k}") for k in range(3)]
    expected = GAMMA * sum(s * layer for s, layer in zip(shares, layers, strict=True))
    np.testing.assert_allclose(heat(canvas, "mix"), expected, atol=1e-5)
    written = [text for text in texts(canvas) if "s_" in text]
    assert [float(text.split()[-1]) for text in written] == [0.19, 0.03, 0.78]
    bars = [patch.get_width() for patch in canvas.axes.patches[:3]]
    np.testing.assert_allclose(np.array(bars) / sum(bars), shares, atol=1e-5)


def test_pooling(drawn: dict[str, Canvas]) -> None:
    canvas = drawn["pooling"]
    for sentence, n_tokens in enumerate((2, 1)):
        vectors = heat(canvas, f"vectors {sentence}")
        mean = heat(canvas, f"mean {sentence}")[0]
        np.testing.assert_allclose(mean, vectors[:n_tokens].mean(axis=0), atol=1e-5)
    factors = [text.split()[-1] for text in texts(canvas) if "times" in text]
    assert factors == ["1/2", "1/2", "1", "0"]


def test_house(drawn: dict[str, Canvas]) -> None:
    """Arrows lead down, stand for imports, and lead wherever imports lead."""
    levels = {name: level for level, row in enumerate(floors()) for name in row}
    titles = {text.rstrip("/").removesuffix(".py") for text in texts(drawn["house"])}
    assert levels.keys() <= titles
    assert {"training", "hub", "text"} <= levels.keys()
    assert all(levels[part] < levels[used] for part, used in arrows())
    reached = {name: {name} for name in levels}
    for part, used in sorted(arrows(), key=lambda arrow: -levels[arrow[0]]):
        reached[part] |= reached[used]
    for part, all_used in imports().items():
        assert all_used <= reached[part]


@pytest.mark.parametrize("name", PICTURES)
def test_the_file_is_what_is_drawn(
    drawn: dict[str, Canvas], name: str, tmp_path: Path
) -> None:
    """The texts in it, at least; numbers may differ by their rounding."""
    drawn[name].save(tmp_path / "new.svg")
    new, old = (
        re.findall(r"<!-- (.*?) -->", path.read_text("utf-8"))
        for path in (tmp_path / "new.svg", FOLDER / f"{name}.svg")
    )
    assert len(new) == len(old) > 10
    assert drawn[name].figure.get_facecolor() == (1, 1, 1, 1)  # on dark pages too
    for written, expected in zip(new, old, strict=True):
        if re.fullmatch(r"\N{MINUS SIGN}?\d\.\d\d", expected):
            assert number(written) == pytest.approx(number(expected), abs=0.011)
        else:
            assert written == expected
    assert (FOLDER / f"{name}.svg").stat().st_size < 100_000


def test_each_is_shown_with_an_alternative_text() -> None:
    shown = {}
    for page in (DOCS / "architecture.md", *(DOCS / "stages").glob("*.md")):
        image = (
            r"```\{figure\} (?:\.\./)?images/stages/(\w+)\.svg\n---\nalt: >-\n(.*?)\n---\n"
        )
        shown |= dict(re.findall(image, page.read_text("utf-8"), re.DOTALL))
    assert shown.keys() == PICTURES.keys() == {path.stem for path in FOLDER.iterdir()}
    assert all(len(text.split()) > 8 for text in shown.values())
