"""What is to be embedded, how, and into which file: checked before anything is done."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, get_args

from keras_elmo.text.reader import OnError, read_sentences
from keras_elmo.types import (
    PathLike,
    check_one_of,
    check_positive_integer,
    check_true_or_false,
)
from keras_elmo.vectors.embedder import Embedder
from keras_elmo.vectors.fingerprint import fingerprint
from keras_elmo.vectors.hdf5_file import Hdf5Embeddings
from keras_elmo.vectors.layout import Layout
from keras_elmo.vectors.names import check_apart, check_directory, check_name
from keras_elmo.vectors.numpy_file import NumpyEmbeddings
from keras_elmo.vectors.parquet_file import ParquetEmbeddings, load_pyarrow
from keras_elmo.vectors.scan import CHUNK_BYTES, CHUNK_SENTENCES, CHUNK_TOKENS, scan_corpus
from keras_elmo.vectors.vectors import Layers, Vectors, embedding_layer

DTYPES = ("float32", "float16")
SUFFIXES = {
    ".hdf5": Hdf5Embeddings,
    ".h5": Hdf5Embeddings,
    ".npy": NumpyEmbeddings,
    ".parquet": ParquetEmbeddings,
}

EmbeddingsFile = Hdf5Embeddings | NumpyEmbeddings | ParquetEmbeddings


@dataclasses.dataclass(frozen=True)
class Options:
    """How a corpus is embedded; the arguments of :func:`~keras_elmo.vectors.embed_corpus`.

    Raises:
        ValueError: One is out of its range.
    """

    layers: Layers = "all"
    pooled: bool = False
    dtype: str = "float32"
    input_format: str | None = None
    column: str | None = None
    on_error: OnError = "fail"
    max_tokens: int = 10_000
    sentence_keys: bool = False
    forget_sentences: bool = False
    batch_size: int = 128
    token_budget: int = 16384

    def __post_init__(self) -> None:
        check_one_of("dtype", self.dtype, DTYPES)
        check_one_of("on_error", self.on_error, get_args(OnError))
        for name in ("max_tokens", "batch_size", "token_budget"):
            check_positive_integer(name, getattr(self, name))
        for name in ("sentence_keys", "forget_sentences"):
            check_true_or_false(name, getattr(self, name))

    @property
    def vectors(self) -> Vectors:
        """Which vectors are kept."""
        return Vectors(self.layers, self.pooled)


class Job:
    """A corpus, a layer and a file.

    Args:
        source: As for :func:`~keras_elmo.vectors.embed_corpus`.
        corpus: As there.
        path: As there.
        options: How.

    Raises:
        TypeError: ``corpus`` is none.
        ValueError: They do not fit each other, or there are bad lines.
        FileNotFoundError: There is no such corpus, or no directory for the file.
        ImportError: pyarrow is not installed.
        SourceError: The source cannot be had.
    """

    def __init__(self, source: Any, corpus: Any, path: PathLike, options: Options) -> None:
        self.options = options
        target = Path(path)
        make_file = _kind_of_file(target, options)
        if isinstance(corpus, (str, Path)):
            if corpus == "":
                raise ValueError("corpus: the name of the file is empty. Name one.")
            corpus = Path(corpus)
            check_apart(target, corpus)
        read = functools.partial(
            read_sentences,
            corpus,
            name="corpus",
            input_format=options.input_format,
            column=options.column,
            on_error=options.on_error,
        )
        read()  # what is wrong with the corpus is an error before the layer is loaded
        vectors = options.vectors
        self.layer = embedding_layer(source, vectors)
        limits = (options.max_tokens, self.layer.max_tokens or options.max_tokens)
        self.scan = scan_corpus(
            read(max_tokens=min(limits)), options.on_error, options.sentence_keys
        )
        keeps_sentences = not options.forget_sentences
        self.layout = Layout(
            self.scan,
            vectors,
            vectors.token_shape(self.layer),
            options.dtype,
            keeps_sentences,
            options.sentence_keys,
            fingerprint(
                self.layer,
                self.scan.digest,
                layers=options.layers,
                pooled=options.pooled,
                dtype=options.dtype,
                sentence_keys=options.sentence_keys,
                forget_sentences=options.forget_sentences,
                # The order in which sentences are done depends on these.
                chunks=[CHUNK_SENTENCES, CHUNK_TOKENS, CHUNK_BYTES],
            ),
        )
        self.file: EmbeddingsFile = make_file(target, self.layout)

    def embedder(self) -> Embedder:
        """What computes the vectors."""
        options = self.options
        return Embedder(
            self.layer,
            options.vectors,
            options.dtype,
            options.batch_size,
            options.token_budget,
        )


def _kind_of_file(path: Path, options: Options) -> Any:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"path must end in {', '.join(SUFFIXES)}; got {str(path)!r}. The suffix says "
            "what kind of file is written."
        )
    check_directory(path)
    check_name(path)
    kind = SUFFIXES[suffix]
    if kind is ParquetEmbeddings and not options.pooled:
        raise ValueError(
            "pooled must be True for a Parquet file, whose rows are of one length. Write "
            "vectors of tokens to a .hdf5 or .npy file."
        )
    if options.sentence_keys and kind is not Hdf5Embeddings:
        raise ValueError("sentence_keys=True is for HDF5; use it with a .hdf5 file.")
    if options.sentence_keys and options.forget_sentences:
        raise ValueError(
            "sentence_keys=True keeps the sentences, forget_sentences=True does not. Leave "
            "one of them out."
        )
    if kind is ParquetEmbeddings:
        load_pyarrow()
    return kind
