"""A corpus to a file of embeddings, in one pass that can be killed and continued."""

from __future__ import annotations

from typing import Any

from keras_elmo.text.reader import OnError
from keras_elmo.types import PathLike, check_true_or_false
from keras_elmo.vectors.fill import fill
from keras_elmo.vectors.job import Job, Options
from keras_elmo.vectors.partial_file import locked
from keras_elmo.vectors.reader import Embeddings, open_embeddings
from keras_elmo.vectors.scan import chunks
from keras_elmo.vectors.vectors import Layers


def embed_corpus(
    source: Any,
    corpus: Any,
    path: PathLike,
    *,
    layers: Layers = "all",
    pooled: bool = False,
    dtype: str = "float32",
    input_format: str | None = None,
    column: str | None = None,
    on_error: OnError = "fail",
    max_tokens: int = 10_000,
    sentence_keys: bool = False,
    forget_sentences: bool = False,
    batch_size: int = 128,
    token_budget: int = 16384,
    progress: bool = True,
) -> Embeddings:
    """Embeds the sentences of a corpus into a file.

    Interrupted or killed, and called again with the same arguments, it goes on where it
    was, give or take the last seconds, and ends in the same file. Until the file is
    complete its name has ``.part`` behind it. It carries a fingerprint of source, options
    and corpus: to a file of something else nothing is added, and one that is complete is
    opened. Neither the corpus nor the vectors are held in memory; ``sentence_to_index``
    (see ``forget_sentences``) and some fifty bytes for each sentence are.

    HDF5 files are those of AllenNLP's command ``elmo``: datasets ``"0"``, ``"1"`` and so
    on, and ``sentence_to_index``, which holds a JSON object from each sentence to the name
    of its dataset. A NumPy file has the vectors of one token after the other in its rows,
    and beside it ``.offsets.npy`` says where each sentence's begin and end, and
    ``.sentences.jsonl`` which they are. A Parquet file has the columns ``sentence`` and
    ``embedding``.

    Args:
        source: What :class:`~keras_elmo.ElmoEmbeddingLayer` takes as ``source``, such a
            layer, or the path of a model with one in it, saved as a ``.keras`` file.
        corpus: The path of a file with a sentence in each line, its tokens separated by
            white space; of JSON lines or CSV with ``column``; each of them plain or
            compressed by gzip. Or a collection of strings, as for
            :func:`~keras_elmo.text_dataset`.
        path: The file to write: HDF5 (``.hdf5``, ``.h5``), NumPy (``.npy``), or, for pooled
            vectors, Parquet (``.parquet``).
        layers: ``"all"`` for each layer's vectors, from the characters' up; ``"top"`` for
            the last one's; ``"average"`` for their mean; ``"mix"`` for the trained mix of a
            saved layer or a TF1 Hub module.
        pooled: Whether to keep the mean of a sentence's tokens, rather than each token.
        dtype: ``"float32"``, or ``"float16"`` for half the size and three digits.
        input_format: What the corpus file holds, ``"text"``, ``"jsonl"``, ``"csv"`` or
            ``"tsv"``; by default its suffix tells.
        column: The name of the field that holds the text, for JSON lines and CSV.
        on_error: What to do with bad lines: those that are empty, longer than
            ``max_tokens`` or 16 MiB, not UTF-8, or not JSON or CSV with that column.
            ``"fail"`` raises an error, before anything is computed.
            ``"repair"`` puts in their place what can be had: the first ``max_tokens``
            tokens, U+FFFD for bytes that are not UTF-8, or a sentence without tokens.
            ``"skip"`` leaves them out, and later sentences move up. The logger
            ``keras_elmo`` warns of each.
        max_tokens: More tokens make a line bad.
        sentence_keys: Whether the datasets of an HDF5 file are named by their sentences.
            Equal sentences, and those that cannot be such a name, then are bad lines,
            which cannot be repaired.
        forget_sentences: Whether to leave the sentences out of the file.
        batch_size: The most sentences in a batch.
        token_budget: The most steps in a batch, padding included; with it goes the memory
            that is needed. A longer sentence has a batch of its own. Where memory runs
            out, both become smaller by themselves.
        progress: Whether to show a progress bar.

    Returns:
        The file, opened. An array of it is (n_layers + 1, tokens, D), of dtype ``dtype``;
        without the first axis for one layer or a mix, and without the second if pooled.
        Sentences without tokens have no rows, or zeros if pooled.

    Raises:
        TypeError: ``corpus`` is none, or an argument has a wrong type.
        ValueError: An argument is out of its range, or does not fit the others; there are
            bad lines (:class:`~keras_elmo.errors.BadLinesError`); ``path`` was begun with
            something else, is too long a name, or files beside it would write over the
            corpus; the corpus changes while it is read; a vector is not finite in
            ``dtype``; or the backend of Keras is not TensorFlow.
        FileNotFoundError: There is no such corpus, or no directory for ``path``.
        FileExistsError: ``path`` is another file.
        BlockingIOError: Another process is working on ``path``.
        ImportError: Parquet needs pyarrow, which is not installed.
        SourceError: The source cannot be had.
        MemoryError: There is not enough for a single sentence. What is done is kept.
        PermissionError: The directory of ``path`` cannot be written to.
        OSError: The disk has not enough room. What is done is kept.
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
    )
    run_job(Job(source, corpus, path, options), progress)
    return open_embeddings(path)


def run_job(job: Job, progress: bool) -> None:
    """Embeds what is not done yet.

    Args:
        job: What to embed.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: The file was begun with something else, a vector is not finite, or the
            corpus has changed.
        FileExistsError: There is another file of this name.
        BlockingIOError: Another process is working on it.
        OSError: The file cannot be written.
        MemoryError: There is not enough for a single sentence.
    """
    file = job.file
    with locked(file.path):
        if file.is_complete():
            return
        n_done = file.begin()
        fill(
            file,
            file.write_vectors,
            job.embedder(),
            chunks(job.scan, n_done),
            job.scan.n_tokens,
            n_done,
            "Embedding" if progress else None,
        )
