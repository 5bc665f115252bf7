"""Named models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class NamedModel:
    """A trained model that you can use by its name.

    Attributes:
        name: The name, such as ``"mini"``.
        weights_url: The URL of the HDF5 file; ``None`` if it comes with the package.
        options_url: The URL of ``options.json``; ``None`` if it comes with the package.
        size: The size of the HDF5 file in bytes; ``None`` if not known.
        sha256: The SHA-256 of the HDF5 file in hexadecimal; ``None`` if not known.
        description: The sizes and the training text.
        license: The license, or the terms of its authors.
        citation: The paper to cite.
        language: The language of the training text.
        n_parameters: The number of parameters; ``None`` if not known.
        output_dim: The size of a token's vector; ``None`` if not known.
        corpus: The training text.
    """

    name: str
    weights_url: str | None
    options_url: str | None
    size: int | None
    sha256: str | None
    description: str
    license: str
    citation: str
    language: str = "English"
    n_parameters: int | None = None
    output_dim: int | None = None
    corpus: str = ""

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
        description=f"{n_parameters / 1e6:.1f} million parameters: {layers}, vectors of "
        f"{output_dim}; trained on {corpus}",
        n_parameters=n_parameters,
        output_dim=output_dim,
        corpus=corpus,
        license=_LICENSE,
        citation=_CITATION,
    )


_MINI = NamedModel(
    name="mini",
    weights_url=None,
    options_url=None,
    size=7_962_240,
    sha256="8ad837abf94ee94542dd8a4332502e102950d57b9f8cc669e0c65e6c42645d3d",
    description=(
        "4.0 million parameters: 2 LSTM layers of 384 units projected to 256, 1 highway "
        "layer, vectors of 512; trained on 19 million tokens of IMDB film reviews; its "
        "README.md is the model card"
    ),
    n_parameters=3_966_928,
    output_dim=512,
    corpus="19 million tokens of IMDB film reviews",
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
    )
}
"""The models by name."""


def list_models() -> tuple[NamedModel, ...]:
    """Lists the models that you can use as ``source`` by their names.

    Returns:
        A :class:`~keras_elmo.weights.named_models.NamedModel` for each. ``"mini"`` comes
        with the package; the others are downloaded when a layer first uses them.
    """
    return tuple(MODELS.values())
