"""Configuration of the documentation, built by Sphinx."""

from __future__ import annotations

import doctest
import importlib.util
import os
import re
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from fontTools import subset
from sphinx.application import Sphinx
from sphinx.util import inspect, logging
from sphinx.writers.html5 import HTML5Translator

# Before TensorFlow is imported: its start-up messages are no part of a documentation build.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent.parent))

import keras

import keras_elmo

_LOGGER = logging.getLogger(__name__)

sys.path.insert(0, str(Path(__file__).parent))  # the extensions "notebooks" and "play"
_PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
URLS = tomllib.loads(_PYPROJECT.read_text("utf-8"))["project"]["urls"]

project = "keras-elmo"
author = "The keras-elmo developers"
project_copyright = "The keras-elmo developers"
version = release = keras_elmo.__version__

extensions = [
    "myst_nb",
    "notebooks",
    "notfound.extension",
    "play",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_sitemap",
    "sphinxext.opengraph",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nitpicky = True

# Pages are Markdown (MyST). Notebooks show the outputs that they were saved with; a test
# runs them and compares.
myst_enable_extensions = ["deflist", "dollarmath"]
nb_execution_mode = "off"

html_theme = "furo"
# Equations are MathML, made when the pages are built: nothing is fetched to show them.
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
pygments_dark_style = "github-dark"
html_title = f"keras-elmo {version}"
html_theme_options = {
    "footer_icons": [
        {"name": "Source", "url": URLS["Homepage"], "html": "Source", "class": ""}
    ],
    "top_of_page_buttons": ["view"],  # a download of the page as a notebook
}
html_show_sphinx = False

# What search engines and messengers read.
html_baseurl = os.environ.get(
    "READTHEDOCS_CANONICAL_URL", f"{URLS['Documentation']}/en/latest/"
)
sitemap_url_scheme = "{link}"
sitemap_excludes = ["404.html", "genindex.html", "py-modindex.html", "search.html"]
ogp_site_url = html_baseurl
ogp_image = "_images/word_senses.png"
ogp_social_cards = {"enable": False}

# Copied code has neither prompts nor output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# A page for each name that docs/api/index.md lists; those with docstrings are its members.

autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
# By these names, and not by what they stand for, types appear on the pages.
autodoc_type_aliases = {
    **{
        name: f"~keras_elmo.types.{name}"
        for name in (
            "Arrays",
            "EngineName",
            "FineTune",
            "InputMode",
            "OutputMode",
            "PathLike",
            "Shape",
            "Stateful",
            "Tensor",
        )
    },
    "ElmoConfig": "~keras_elmo.ElmoConfig",
    "Layers": "~keras_elmo.vectors.options.Layers",
    "Pooled": "~keras_elmo.vectors.options.Pooled",
    "OnError": "~keras_elmo.text.reader.OnError",
    "Model": "~keras_elmo.weights.sources.Model",
    "ArrayLike": "~numpy.typing.ArrayLike",
    "DTypeLike": "~numpy.typing.DTypeLike",
}
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Call arguments", "params_style")]

# Links. Those between the pages are checked; the network is left alone, and pages that
# pictures of the gallery lead to are not built by the checker.
linkcheck_ignore = [r"https?://", r"\w+\.html$"]

# References to other projects

# The inventories come from the network. A build must pass without it, so they are fetched
# only when asked for, and names of other projects need not be resolved. Those that can be
# become links. Our own names are all checked.
intersphinx_mapping = {}
if os.environ.get("KERAS_ELMO_DOCS_ONLINE") or os.environ.get("READTHEDOCS"):
    intersphinx_mapping = {
        "numpy": ("https://numpy.org/doc/stable", None),
        "python": ("https://docs.python.org/3", None),
    }
nitpick_ignore_regex = [
    ("py:.*", r"(collections|keras|numpy|os|pathlib|ray|sklearn|tensorflow|typing)\..*"),
    ("py:class", r"(bool|dict|float|int|None|object|str|tuple|NDArray|np\.float32)"),
    ("py:exc", r"(OSError|TypeError|ValueError)"),
]

# Code on the pages

# Unlike the default, messages of exceptions are compared too.
doctest_default_flags = (
    doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.DONT_ACCEPT_TRUE_FOR_1
)
# Every page starts with the same random weights, in a folder of its own.
doctest_global_setup = """
import os, tempfile
_home, _folder = os.getcwd(), tempfile.TemporaryDirectory()
os.chdir(_folder.name)
import keras, logging
keras.utils.set_random_seed(0)
# A page makes more models than a program does; TensorFlow warns of each one's tracing.
logging.getLogger("tensorflow").setLevel("ERROR")
"""
doctest_global_cleanup = """
os.chdir(_home)
_folder.cleanup()
"""


def setup(app: Sphinx) -> None:
    app.connect("build-finished", _math_font)
    app.add_html_math_renderer("mathml", (_equation, None), (_equation, None))
    app.connect("autodoc-process-signature", _signature)
    # Before and after napoleon, which reads "One thing: another" as the type "One thing".
    app.connect("autodoc-process-docstring", partial(_replace, ":", "\0"), priority=400)
    app.connect("autodoc-process-docstring", partial(_replace, "\0", ":"), priority=600)


def _math_font(app: Sphinx, error: Exception | None) -> None:
    """Writes what equations need of STIX Two Math, which a package of the extra has."""
    package = importlib.util.find_spec("ziamath")
    if package and package.origin and app.builder.name == "html" and not error:
        font = Path(package.origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"
        characters = (
            "--unicodes=20-7E,A0-FF,370-3FF,2000-22FF,2308-230B,27E8-27E9,1D400-1D7FF"
        )
        file = app.outdir / "_static" / "math.woff2"
        subset.main([str(font), characters, "--flavor=woff2", f"--output-file={file}"])


def _equation(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Writes an equation, by Docutils' converter."""
    is_block = isinstance(node, nodes.math_block)
    # The converter knows \ldots, and puts the index of an accented letter below it, unless
    # letter and accent are a group of more than one thing.
    tex = re.sub(r"\\dots\b", r"\\ldots", node.astext())
    tex = re.sub(r"(\\(?:hat|over\w+arrow)\{\w+\})(?=[_^])", r"{\1{}}", tex)
    try:
        mathml = latex2mathml.tex2mathml(tex, as_block=is_block)
    except MathError as error:
        _LOGGER.warning("%r cannot be converted: %s", tex, error, location=node)
        mathml = translator.encode(tex)
    translator.body.append(f'<div class="equation">{mathml}</div>' if is_block else mathml)
    raise nodes.SkipNode


def _signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Shows the arguments of layers, and type aliases by their names."""
    if what == "class" and issubclass(obj, keras.Layer):
        # Keras gives every layer a __new__(*args, **kwargs), which autodoc would show.
        signature = "(**kwargs)"
        if "__init__" in vars(obj):
            arguments = inspect.signature(
                obj.__init__,
                bound_method=True,
                type_aliases=app.config.autodoc_type_aliases,
            )
            signature = inspect.stringify_signature(
                arguments, show_return_annotation=False, unqualified_typehints=True
            )
    return _with_aliases(signature), _with_aliases(returns)


def _with_aliases(annotations: str | None) -> str | None:
    """Names the aliases that Sphinx spells out: those in unions, and NumPy's."""
    if annotations is None:
        return None
    annotations = re.sub(r"TypeAliasForwardRef\('(.+?)'\)", r"\1", annotations)
    array = r"~?numpy\.ndarray\[tuple\[.*?\], ~?numpy\.dtype\[(.+?)\]\]"
    return re.sub(array, r"~numpy.typing.NDArray[\1]", annotations)


def _replace(
    old: str,
    new: str,
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    lines: list[str],
) -> None:
    if what in ("attribute", "data", "property"):
        lines[:1] = [line.replace(old, new) for line in lines[:1]]
