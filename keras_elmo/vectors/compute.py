"""Computes a file of vectors from texts in one resumable pass."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from keras_elmo.errors import NotFiniteError
from keras_elmo.progress import progress_bar
from keras_elmo.text.reader import OnError, kinds_of
from keras_elmo.types import PathLike, Split, check_true_or_false
from keras_elmo.vectors import corpus
from keras_elmo.vectors.corpus import Corpus
from keras_elmo.vectors.embedder import Embedder
from keras_elmo.vectors.embeddings import Embeddings
from keras_elmo.vectors.files import check_apart, check_path, locked
from keras_elmo.vectors.fingerprint import fingerprint
from keras_elmo.vectors.formats import FORMATS, open_embeddings
from keras_elmo.vectors.hdf5_format import HDF5
from keras_elmo.vectors.options import OPTIONS_OF_VECTORS, Layers, Options, Pooled
from keras_elmo.vectors.parquet_format import PARQUET, load_pyarrow
from keras_elmo.vectors.store import Format, Store
from keras_elmo.vectors.vectors import embedding_layer

SECONDS_BETWEEN_RECORDS = 5.0


def compute_features(
    source: Any,
    texts: Any,
    path: PathLike,
    *,
    layers: Layers = "all",
    pooled: Pooled = None,
    dtype: str = "float32",
    input_format: str | None = None,
    column: str | None = None,
    on_error: OnError = "fail",
    max_tokens: int | None = None,
    sentence_keys: bool | None = None,
    forget_sentences: bool = False,
    batch_size: int = 128,
    token_budget: int = 16384,
    progress: bool = True,
    split: Split | None = None,
) -> Embeddings:
    """Computes the vectors of many texts once and writes them to a file.

    If the call is interrupted, the same call resumes it, without at most the last seconds,
    and writes the same file. Until the file is complete, its name ends in ``.part``;
    afterwards, the same call opens it. The file has a fingerprint of the weights, the texts
    and the options, and is refused for others. Neither the texts of a file nor the vectors
    are held in memory.

    The suffix of ``path`` selects the format. :func:`~keras_elmo.vectors.open_embeddings`
    reads all of them:

    - NumPy (``.npy``): an array with a row for each token, or for each text if pooled,
      which ``numpy.load(path, mmap_mode="r")`` reads too. Next to it are ``.offsets.npy``,
      the positions at which texts start and end, ``.sentences.jsonl`` and ``.json``.
    - HDF5 (``.hdf5``, ``.h5``), as AllenNLP's command ``elmo`` wrote it: datasets ``"0"``,
      ``"1"`` and so on, of shape (n_layers + 1, tokens, D), and ``sentence_to_index``, a
      JSON object from each sentence to the name of its dataset.
    - Parquet (``.parquet``), for pooled vectors: the columns ``sentence`` and
      ``embedding``.

    HDF5 and Parquet files are written when all vectors are computed: the disk needs space
    for both.

    Args:
        source: The ``source`` of an :class:`~keras_elmo.ElmoEmbeddingLayer`, such a layer,
            or the path of a ``.keras`` file of a model with one.
        texts: As for :func:`~keras_elmo.text_dataset`: strings in any collection; or a
            ``pathlib.Path``, or several, of text files with one text per line, of JSON
            Lines or CSV with ``column``, of proteins in FASTA, or of words in CoNLL-U or
            CoNLL-2003. Files may be compressed with gzip.
        path: The file to write.
        layers: ``"all"`` for the vectors of each layer, starting with the token vectors;
            ``"top"`` for the last layer; ``"average"`` or ``"sum"`` for the mean or the sum
            of the layers; ``"mix"`` for the trained mix of a saved layer or a TF1 Hub
            module.
        pooled: Whether to keep the mean over a text's tokens instead of each token;
            ``"sum"`` for their sum. The default follows from a layer as ``source``: true
            for ``output_mode="pooled_layers"``.
        dtype: ``"float32"``, or ``"float16"`` for half the size and three digits.
        input_format: The format of files: ``"text"``, ``"jsonl"``, ``"csv"``, ``"tsv"``,
            ``"fasta"``, ``"conllu"`` or ``"conll"``. By default it follows from the suffix.
        column: The field of the text in JSON Lines and CSV; in CoNLL the name or number of
            the column of words, ``"FORM"`` or ``"1"`` by default.
        on_error: What to do with bad lines: lines longer than ``max_tokens`` or 16 MiB, not
            UTF-8, or not of the file's format. ``"fail"`` raises an error that lists them,
            before anything is computed. ``"repair"`` keeps the first ``max_tokens`` tokens,
            puts U+FFFD for bytes that are not UTF-8, or keeps a text without tokens.
            ``"skip"`` leaves them out, and later texts move up. The logger ``keras_elmo``
            warns about each.
        max_tokens: Lines with more tokens are bad, unless the layer's own ``max_tokens`` is
            not larger: the layer then keeps the first tokens, as always. ``None`` for
            10,000, and in FASTA for 50,000 residues.
        sentence_keys: Whether sentences, or their ids in FASTA and CoNLL-U, name the
            datasets of an HDF5 file. ``None`` for the ids if all have one. Equal
            sentences, and sentences that cannot be such a name, are then bad lines that
            cannot be repaired; so are equal ids in any case.
        forget_sentences: Whether to leave the sentences out of the file.
        batch_size: The most texts in a batch.
        token_budget: The most steps in a batch, padding included, which determines the
            memory. A longer text is a batch by itself. If memory runs out, this and
            ``batch_size`` are reduced automatically.
        progress: Whether to show a progress bar.
        split: How texts are split into tokens: ``"space"``, ``"words"`` or ``"character"``,
            as for :func:`~keras_elmo.text_dataset`. The default is that of a layer as
            ``source``, otherwise ``"character"`` for FASTA and ``"space"`` for other files.
            Words of CoNLL are not split.

    Returns:
        The opened file. Texts without tokens have no rows, or zeros if pooled.

    Raises:
        TypeError: The texts are not strings, or an argument has a wrong type.
        ValueError: An argument is out of its range, or does not fit the others; there are
            bad lines (:class:`~keras_elmo.errors.BadLinesError`); a text is missing; the
            texts change while they are read; ``path`` belongs to another job; files next to
            it would overwrite the texts; or a vector is not finite in ``dtype``.
        FileNotFoundError: A text file or the directory of ``path`` does not exist.
        FileExistsError: ``path`` is another file.
        BlockingIOError: Another process is working on ``path``.
        ImportError: Parquet needs pyarrow, which is not installed.
        SourceError: The source could not be loaded.
        MemoryError: There is not enough memory for a single text. Finished work is kept.
        OSError: The directory of ``path`` is not writable, or its disk has too little
            space. Finished work is kept.
    """
    check_true_or_false("progress", progress)
    options = Options(
        layers=layers,
        pooled=pooled,
        dtype=dtype,
        input_format=input_format,
        column=column,
        on_error=on_error,
        max_tokens=max_tokens,
        sentence_keys=sentence_keys,
        forget_sentences=forget_sentences,
        batch_size=batch_size,
        token_budget=token_budget,
        split=split,
    )
    Job(source, texts, path, options).run(progress)
    return open_embeddings(path)


class Job:
    """Texts, a layer and a file, checked before any computation."""

    def __init__(self, source: Any, texts: Any, path: PathLike, options: Options) -> None:
        target = Path(path)
        self.options = options = options.for_source(source)
        kind = _format(target, options)
        for file in texts if isinstance(texts, (list, tuple)) else [texts]:
            if isinstance(file, Path) and file.exists():
                check_apart(target, file)
        kinds = kinds_of(texts, options.input_format)
        self.options = options = options.for_texts(kinds, kind is HDF5)
        self.layer = embedding_layer(source, options.output_mode)
        split = options.split_for(self.layer.split)
        self.corpus = Corpus(texts, options, self.layer.max_tokens, split)
        keys = self.corpus.sentence_keys
        self.options = options = dataclasses.replace(options, sentence_keys=keys)
        self.store = Store(
            target,
            kind,
            self.corpus,
            options,
            options.row_shape(self.layer),
            fingerprint(
                self.layer,
                self.corpus.digest,
                # The order of the sentences depends on these.
                chunks=[corpus.CHUNK_SENTENCES, corpus.CHUNK_TOKENS, corpus.CHUNK_BYTES],
                split=split,
                **{name: getattr(options, name) for name in OPTIONS_OF_VECTORS},
            ),
        )

    def run(self, progress: bool = False) -> bool:
        """Returns whether there was anything to do: false if the file is complete."""
        with locked(self.store.path):
            if self.store.is_complete():
                self.store.clean_up()
                return False
            n_done = self.store.begin()
            try:
                self._fill(n_done, progress)
            except NotFiniteError:
                self.store.discard()  # resuming would fail again
                raise
            self.store.complete()
            return True

    def _fill(self, n_done: int, progress: bool) -> None:
        """Embeds the texts chunk by chunk, the longest of each chunk first."""
        store = self.store
        embedder = Embedder(self.layer, self.options)
        bar = progress_bar(
            "Embedding",
            " tokens",
            int(self.corpus.n_tokens.sum()),
            done=self.corpus.n_tokens_done(n_done),
            shown=progress,
        )
        recorded = time.monotonic()
        with store.opened(), bar:
            try:
                for start, chunk in self.corpus.chunks(n_done):
                    n_before = max(n_done - start, 0)  # of this chunk, by an earlier run
                    for rows, arrays in embedder.batches(chunk, n_before):
                        for i, vectors in zip(rows, arrays, strict=True):
                            store.write(start + int(i), vectors)
                        n_done += len(rows)
                        bar.update(sum(chunk[i].n_tokens for i in rows))
                        if time.monotonic() - recorded >= SECONDS_BETWEEN_RECORDS:
                            store.save_progress(n_done)
                            recorded = time.monotonic()
            finally:
                store.save_progress(n_done)


def _format(path: Path, options: Options) -> Format:
    if path.suffix.lower() not in FORMATS:
        raise ValueError(
            f"path must end in {', '.join(FORMATS)}; got {str(path)!r}. The suffix selects "
            "the format."
        )
    check_path(path)
    kind = FORMATS[path.suffix.lower()]
    if kind is PARQUET:
        if not options.pooled:
            raise ValueError(
                "pooled must be True for a Parquet file, whose rows have the same length. "
                "Write token vectors to a .hdf5 or .npy file."
            )
        load_pyarrow()
    if options.sentence_keys and kind is not HDF5:
        raise ValueError("sentence_keys=True applies only to HDF5: use a .hdf5 file.")
    if options.sentence_keys and options.forget_sentences:
        raise ValueError(
            "sentence_keys=True keeps the sentences, forget_sentences=True does not. Leave "
            "one of them out."
        )
    return kind
