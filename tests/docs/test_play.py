"""The page "play": its script computes what the layer does, and its lists are right."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import play
import pytest

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, tokenize
from keras_elmo.weights.sources import save_model
from tests.docs.chromium import PROGRAM, Chromium

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXTS = [
    "They lost the match after a late goal.",
    "It isn't bad... (8/10), is it?!!",
    "Ça coûte 5\xa0€ — नमस्ते, 你好 שָׁלוֹם e\u0301 👩\u200d🚀 don\u2019t",
    "x" * 60,
    "\x07\x1c--\t'quoted' O'Neill's 3.14 <S>",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    if not PROGRAM:
        pytest.skip("Chromium is not installed")
    chromium = Chromium()
    yield chromium
    chromium.close()


def test_sentences() -> None:
    """Each has its word once, and each sense has templates enough to vote."""
    made = list(play.sentences())
    assert made == list(play.sentences())
    assert made != list(play.sentences(seed=1))
    assert len(made) > 2000
    templates = defaultdict(set)
    for text, template, word, sense in made:
        assert "{" not in text
        if word:
            assert Counter(tokenize(text))[word] == 1 or word == "part", text
            templates[word, sense].add(template)
    assert min(map(len, templates.values())) > play.NEAREST + 2
    assert min(Counter(word for word, _ in templates).values()) > 1


def random_model() -> tuple[ElmoConfig, dict[str, np.ndarray]]:
    """With the parts that mini lacks."""
    config = ElmoConfig(
        **{"n_layers": 3, "dim": 6, "projection_dim": 6, "filters": [(1, 2), (3, 4)]},
        **{"n_highway": 2, "activation": "tanh", "use_skip_connections": False},
        **{"cell_clip": None, "projection_clip": None, "max_characters_per_token": 20},
    )
    rng = np.random.default_rng(0)
    arrays = {
        name: play.rounded(rng.normal(size=shape).astype(np.float32))
        for name, shape in config.array_shapes().items()
    }
    return config, arrays


@pytest.mark.slow
@pytest.mark.parametrize("make", [play.mini, random_model])
def test_values(make, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Tokens, and all layers to 1e-4."""
    config, arrays = make()
    model = play.script("model", {"config": config.to_options()}, arrays)
    code = (DOCS / "_static" / "elmo.js").read_text("utf-8") + model
    code += (
        f"const model = new Elmo(Elmo.read(Elmo.files.model)), texts = {json.dumps(TEXTS)};"
    )
    result = """JSON.stringify(texts.map((text) => {
        const tokens = Elmo.tokenize(text).map(({ token }) => token);
        return [tokens, model.layers(tokens).map((layer) => layer.map((x) => [...x]))];
    }))"""
    if node := shutil.which("node"):
        path = tmp_path / "values.js"
        path.write_text(f"{code}\nconsole.log({result});", "utf-8")
        output = subprocess.run(
            [node, path], check=True, capture_output=True, text=True
        ).stdout
    else:
        output = request.getfixturevalue("browser").evaluate(f"{{ {code}\n{result} }}")
    save_model(tmp_path, config, arrays)
    layer = ElmoEmbeddingLayer(str(tmp_path), "layers", split="words")
    expected = layer.encode(TEXTS, verbose=0)
    for text, (tokens, layers), values in zip(
        TEXTS, json.loads(output), expected, strict=True
    ):
        assert tokens == tokenize(text)
        found = np.array(layers).swapaxes(0, 1)  # (time, n_layers + 1, D)
        np.testing.assert_allclose(found, values, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_eight_bits_lose_little() -> None:
    """Vectors of the top layer keep their directions."""
    layers = [ElmoEmbeddingLayer("mini", "layers", split="words"), None]
    layers[1] = play.mini_layer(output_mode="layers")
    exact, found = (np.concatenate(x.encode(TEXTS, verbose=0))[:, -1] for x in layers)
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(found, axis=1)
    cosines = (exact * found).sum(axis=1) / lengths
    difference = np.abs(exact - found).max() / np.abs(exact).max()
    print(f"least cosine {cosines.min():.4f}, largest difference {difference:.1%}")
    assert cosines.min() > 0.99


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, built with the settings of the documentation."""
    pytest.importorskip("sphinx")
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    (source / "gallery").mkdir()
    (source / "gallery" / "word_senses.md").write_text("# Senses\n", "utf-8")
    shutil.copy(DOCS / "play.md", source)
    tree = "# Start\n\n```{toctree}\nplay\ngallery/word_senses\n```\n"
    (source / "index.md").write_text(tree, "utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "-c", str(DOCS)]
    subprocess.run([*command, str(source), str(built)], check=True)
    return built / "play.html"


STATE = """(() => {
    const lists = ["context", "static"].map((name) => part(name).innerText);
    const here = document.getElementById("play-here").style.transform;
    const word = document.querySelector("#play-words :checked + span").innerText;
    return [word, ...lists, here];
})()"""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_page(browser: Chromium, page: Path, width: int, scheme: str) -> None:
    """A word's neighbors in context change with the sentence, the others do not."""
    browser.open(page, width, 900, scheme)
    browser.wait_for("part('app').page && !part('results').hidden")
    states = []
    for text in ("She struck a match.", "They won the match.", "A good match!"):
        browser.evaluate(f"part('text').value = {text!r}")
        browser.evaluate("part('text').dispatchEvent(new Event('input'))")
        browser.wait_for(f"part('app').page.text === {text!r}")
        states.append(browser.evaluate(STATE))
    words, contexts, statics, places = zip(*states, strict=True)
    assert words == ("match",) * 3
    assert (len(set(contexts)), len(set(statics)), len(set(places))) == (3, 1, 3)
    assert statics[0].startswith("1.00\nmatch")
    assert contexts[0].count("\n") > 8
    # By keys: from the sentence over the picks to the words, and to the next word.
    browser.evaluate("part('text').focus()")
    while browser.evaluate("document.activeElement.type") != "radio":
        browser.press("Tab", 9)
    browser.press("ArrowLeft", 37)
    assert browser.evaluate(STATE)[0] == "good"
    assert not browser.evaluate("part('no-map').hidden")
    browser.evaluate("part('picks').querySelector('button').click()")
    browser.evaluate("part('others').click()")
    word, *_ = browser.evaluate(STATE)
    marks = browser.evaluate(
        "[...part('context').querySelectorAll('mark')].map((x) => x.innerText)"
    )
    assert len(set(marks)) == len(marks) == 8
    assert word not in marks
    browser.evaluate("part('text').value = '...'; part('app').page.read()")
    assert browser.evaluate("part('results').hidden")
    assert browser.complaints() == []
    assert {url.split(":")[0] for url in browser.requests()} <= {"file", "data"}
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.slow
def test_stored_vectors_are_what_the_page_computes(browser: Chromium, page: Path) -> None:
    """Of words in some of the sentences, typed again: rounding aside."""
    browser.open(page, 1280, 900)
    browser.wait_for("!!part('app').page")
    cosines = browser.evaluate("""(() => {
        const { corpus, model } = part("app").page;
        return corpus.rows.filter((_, i) => i % 1000 === 0).flatMap((item) => {
            const k = item.sentence.tokens.findIndex(({ index }) => index === item.index);
            const tokens = item.sentence.tokens.map(({ token }) => token);
            const type = { row: corpus.types.indexOf(item.token) };
            const dynamic = corpus.inside("context", model.layers(tokens).at(-1)[k]);
            const fixed = corpus.inside("static", model.tokenVector(item.token));
            return [corpus.ranked("context", [item], dynamic)[0].cosine,
                    corpus.ranked("static", [type], fixed)[0].cosine];
        });
    })()""")
    assert len(cosines) > 20
    np.testing.assert_allclose(cosines, 1, atol=5e-3)
