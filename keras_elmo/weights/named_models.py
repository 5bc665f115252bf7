"""Named models: their addresses, and the pages that these come from.

AllenNLP's list of its own and of contributed models is elmo.html in
github.com/allenai/allennlp-website.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE_DATA = Path(__file__).resolve().parents[1] / "data"
_BASE = "https://allennlp.s3.amazonaws.com/models/elmo"

_BILLION_WORDS = "the 1 Billion Word Benchmark (800 million tokens of news)"

_LICENSE = (
    "No license of their own; AllenNLP: 'We don't impose any restrictions on our models' "
    "(github.com/allenai/allennlp/issues/1462). Made with Apache-2.0 software."
)

_CITATION = (
    "Matthew E. Peters, Mark Neumann, Mohit Iyyer, Matt Gardner, Christopher Clark, Kenton "
    "Lee and Luke Zettlemoyer. 2018. Deep contextualized word representations. In "
    "Proceedings of NAACL-HLT 2018, pages 2227-2237. https://doi.org/10.18653/v1/N18-1202"
)

_NOT_STATED = "Not stated by its authors."

# What AllenNLP's list has too, and cannot be a source.
REFUSED = {
    "transformer": (
        "AllenNLP's Transformer ELMo has a Transformer instead of the LSTMs, which is "
        "another architecture, in an archive for AllenNLP alone."
    ),
}
REFUSED["transformer-elmo"] = REFUSED["transformer"]

# The repository of the Nordic Language Processing Laboratory, whose archives say of
# themselves: "The life-time identifier for this model is:
# http://vectors.nlpl.eu/repository/20/58.zip" (huggingface.co/Word2vec/nlpl_58).
_NLPL = re.compile(r"nlpl:(\d{1,5})")
_NLPL_URL = "http://vectors.nlpl.eu/repository/{}/{}.zip"
# These are in an older part of it: github.com/HIT-SCIR/ELMoForManyLangs
_MANYLANGS = range(136, 180)


@dataclass(frozen=True)
class NamedModel:
    """A trained model that you can use by its name.

    Attributes:
        name: The name, such as ``"mini"``.
        weights_url: The URL of the HDF5 file; ``None`` if it comes with the package.
        options_url: The URL of ``options.json``; ``None`` if it comes with the package.
        size: The size of the HDF5 file in bytes; ``None`` if not known.
        sha256: The SHA-256 of the HDF5 file in hexadecimal; ``None`` if not known.
        language: The language of its training text; ``"proteins"`` for sequences of amino
            acids.
        origin: Who made it.
        description: The sizes and the training text.
        license: The license, or the terms of its authors.
        citation: The paper to cite.
        corpus: The training text; empty if not known.
        n_parameters: The number of parameters; ``None`` if not known.
        output_dim: The size of a token's vector; ``None`` if not known.
        version: The version of the weights, where one name has had several.
    """

    name: str
    weights_url: str | None
    options_url: str | None
    size: int | None
    sha256: str | None
    language: str
    origin: str
    description: str
    license: str
    citation: str
    corpus: str = ""
    n_parameters: int | None = None
    output_dim: int | None = None
    version: int | None = None

    @property
    def embedded_path(self) -> Path | None:
        """The directory of a model that comes with the package; None for others."""
        return _PACKAGE_DATA / self.name if self.weights_url is None else None


def _allennlp(
    name: str,
    shape: str,
    layers: str,
    n_parameters: int,
    output_dim: int,
    corpus: str,
    size: int | None = None,
    sha256: str | None = None,
) -> NamedModel:
    """A model in AllenNLP's layout of files."""
    return NamedModel(
        name=name,
        weights_url=f"{_BASE}/{shape}/elmo_{shape}_weights.hdf5",
        options_url=f"{_BASE}/{shape}/elmo_{shape}_options.json",
        size=size,
        sha256=sha256,
        language="English",
        origin="AllenNLP",
        description=f"{n_parameters / 1e6:.1f} million parameters: {layers}, vectors of "
        f"{output_dim}; trained on {corpus}",
        n_parameters=n_parameters,
        output_dim=output_dim,
        corpus=corpus,
        license=_LICENSE,
        citation=_CITATION,
    )


def _contributed(
    name: str, folder: str, weights: str, options: str, **more: Any
) -> NamedModel:
    """A model with its files in one folder, whose size and checksum are not known."""
    urls = (f"{folder}/{weights}", f"{folder}/{options}")
    corpus = more.get("corpus")
    known = {
        "license": _NOT_STATED,
        "citation": _CITATION,
        "description": f"Trained on {corpus}" if corpus else "See its paper",
    }
    return NamedModel(name, *urls, size=None, sha256=None, **{**known, **more})


_PORTUGUESE = {
    "language": "Portuguese",
    "origin": (
        "Federal University of Goiás: Pedro Vitor Quinta de Castro, Anderson da Silva "
        "Soares, Nádia Félix Felipe da Silva, Rafael Teixeira Sousa, Ayrton Denner da "
        "Silva Amaral"
    ),
}

_MINI = NamedModel(
    name="mini",
    weights_url=None,
    options_url=None,
    size=7_962_240,
    sha256="bf01f76384a79d7edd13ae251acc30576bf1f4453e606d635a4298d2572857ee",
    language="English",
    origin="keras-elmo",
    description=(
        "4.0 million parameters: 2 LSTM layers of 384 units projected to 256, 1 highway "
        "layer, vectors of 512; trained on 20 million tokens of IMDB film reviews; its "
        "README.md is the model card"
    ),
    n_parameters=3_966_928,
    output_dim=512,
    version=3,
    corpus="20 million tokens of IMDB film reviews",
    license="Apache-2.0, as keras-elmo. The reviews it was trained on are not part of it.",
    citation=(
        "Andrew L. Maas, Raymond E. Daly, Peter T. Pham, Dan Huang, Andrew Y. Ng and "
        "Christopher Potts. 2011. Learning Word Vectors for Sentiment Analysis. In "
        "Proceedings of ACL-HLT 2011, pages 142-150. https://aclanthology.org/P11-1015"
    ),
)

MODELS: dict[str, NamedModel] = {
    model.name: model
    for model in (
        _MINI,
        _allennlp(
            "original",
            "2x4096_512_2048cnn_2xhighway",
            "2 LSTM layers of 4096 units projected to 512, 2 highway layers",
            93_600_848,
            1024,
            _BILLION_WORDS,
            size=374_434_792,
            sha256="a6b92b9ccbb13fe489faacd2221c795d4bebe84b75f8aded9d85ea464fa5c994",
        ),
        _allennlp(
            "original-5.5b",
            "2x4096_512_2048cnn_2xhighway_5.5B",
            "2 LSTM layers of 4096 units projected to 512, 2 highway layers",
            93_600_848,
            1024,
            "5.5 billion tokens of Wikipedia and news",
        ),
        _allennlp(
            "medium",
            "2x2048_256_2048cnn_1xhighway",
            "2 LSTM layers of 2048 units projected to 256, 1 highway layer",
            28_027_728,
            512,
            _BILLION_WORDS,
        ),
        _allennlp(
            "small",
            "2x1024_128_2048cnn_1xhighway",
            "2 LSTM layers of 1024 units projected to 128, 1 highway layer",
            13_593_296,
            256,
            _BILLION_WORDS,
            size=54_402_456,
            sha256="747ba97abce8a5f446558369e10bb0f7931437a46867476fdd156f5d7f576229",
        ),
        _contributed(
            "pubmed",
            f"{_BASE}/contributed/pubmed",
            "elmo_2x4096_512_2048cnn_2xhighway_weights_PubMed_only.hdf5",
            "elmo_2x4096_512_2048cnn_2xhighway_options.json",
            language="English",
            origin="AllenNLP: Matthew Peters",
            description="The shape of 'original', trained on PubMed",
            corpus="PubMed",
            license=_LICENSE,
        ),
        _contributed(
            "portuguese",
            f"{_BASE}/contributed/pt/wikipedia",
            "elmo_pt_weights.hdf5",
            "options.json",
            corpus="Wikipedia",
            **_PORTUGUESE,
        ),
        _contributed(
            "portuguese-brwac",
            f"{_BASE}/contributed/pt/brwac",
            "elmo_pt_weights_dgx1.hdf5",
            "options.json",
            corpus="the Brazilian web corpus brWaC",
            **_PORTUGUESE,
        ),
        # Also in github.com/allenai/allennlp-website/pull/117.
        _contributed(
            "japanese",
            "https://exawizardsallenlp.blob.core.windows.net/data",
            "weights.hdf5",
            "options.json",
            language="Japanese",
            origin="ExaWizards: Enkhbold Bataa, Joshua Wu",
            citation=(
                "Enkhbold Bataa and Joshua Wu. 2019. https://aclanthology.org/P19-1458"
            ),
        ),
        # github.com/t-systems-on-site-services-gmbh/german-elmo-model, and its issue 2.
        _contributed(
            "german",
            "https://github.com/t-systems-on-site-services-gmbh/german-elmo-model"
            "/releases/download/files_1",
            "weights.hdf5",
            "options.json",
            language="German",
            origin="T-Systems on site services: Philip May",
            corpus="963 million tokens of Wikipedia, its talk pages included",
            license="BSD-2-Clause",
        ),
        # github.com/stefan-it/plur
        _contributed(
            "basque",
            "https://schweter.eu/cloud/eu-elmo",
            "weights.hdf5",
            "options.json",
            language="Basque",
            origin="Stefan Schweter",
            corpus="73 million tokens of Wikipedia, OPUS and the Leipzig Corpora",
        ),
        # github.com/mheinzinger/SeqVec names rostlab.org/~deepppi/seqvec.zip, which is gone
        # (github.com/labstructbioinf/rossmann-toolbox/issues/14). This is the copy of the
        # same group's github.com/sacdallago/bio_embeddings.
        _contributed(
            "seqvec",
            "http://data.bioembeddings.com/public/embeddings/embedding_models/seqvec",
            "weights.hdf5",
            "options.json",
            language="proteins",
            origin="Rostlab",
            description=(
                "SeqVec: vectors of 1024 for each amino acid, trained on the protein "
                "sequences of UniRef50"
            ),
            corpus="the protein sequences of UniRef50",
            output_dim=1024,
            license="MIT, as its repository",
            citation=(
                "Michael Heinzinger, Ahmed Elnaggar, Yu Wang, Christian Dallago, Dmitrii "
                "Nechaev, Florian Matthes and Burkhard Rost. 2019. Modeling aspects of the "
                "language of life through transfer-learning protein sequences. BMC "
                "Bioinformatics 20, 723. https://doi.org/10.1186/s12859-019-3220-8"
            ),
        ),
    )
}
"""The models by name."""


def list_models(language: str | None = None) -> tuple[NamedModel, ...]:
    """Lists the models that you can use as ``source`` by their names.

    Models of the NLPL repository have no names: use their numbers, as ``"nlpl:136"``.

    Args:
        language: List only the models of this language, such as ``"German"``; ``None`` for
            all.

    Returns:
        A :class:`~keras_elmo.weights.named_models.NamedModel` for each. ``"mini"`` comes
        with the package; the others are downloaded when a layer first uses them.

    Raises:
        ValueError: There is no model of the language.
    """
    models = tuple(MODELS.values())
    if language is None:
        return models
    found = [m for m in models if m.language.casefold() == str(language).casefold()]
    if not found:
        languages = ", ".join(sorted({model.language for model in models}))
        raise ValueError(
            f"language: no named model has the language {language!r:.100}. There are "
            f"models of {languages}; for others, see vectors.nlpl.eu/repository and use "
            "the number of a model there, as 'nlpl:136'."
        )
    return tuple(found)


def address_of(name: str) -> str:
    """The URL of a model by its number at NLPL; every other name as it is."""
    number = _NLPL.fullmatch(name)
    if number is None:
        return name
    return _NLPL_URL.format(11 if int(number[1]) in _MANYLANGS else 20, number[1])


def near_names(name: str) -> str:
    """A sentence with the names that someone may have meant."""
    if name in REFUSED:
        return REFUSED[name]
    near = difflib.get_close_matches(name.casefold(), MODELS, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return f"There are {', '.join(MODELS)}."
