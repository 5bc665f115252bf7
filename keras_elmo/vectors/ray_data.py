"""Corpora on a cluster: a dataset of Ray Data in, the same with vectors out."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import Any

from keras_elmo.backends import needs_tensorflow
from keras_elmo.config import ElmoConfig
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.text.reader import OnError
from keras_elmo.types import Split, check_positive_integer
from keras_elmo.vectors.options import Layers, Options, Pooled
from keras_elmo.vectors.ray_worker import Worker, check_columns
from keras_elmo.vectors.vectors import embedding_layer
from keras_elmo.weights.named_models import MODELS

# A task is what a worker that dies has to do again.
BATCHES_IN_A_TASK = 16

logger = logging.getLogger("keras_elmo")


def embed_dataset(
    dataset: Any,
    source: Any,
    *,
    column: str = "text",
    output_column: str = "embedding",
    layers: Layers = "all",
    pooled: Pooled = None,
    dtype: str = "float32",
    on_error: OnError = "fail",
    max_tokens: int = 10_000,
    batch_size: int = 128,
    token_budget: int = 16384,
    concurrency: int | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    split: Split | None = None,
) -> Any:
    """Embeds the sentences of a Ray Data dataset, on all machines of a cluster.

    Nothing is computed before the result is read or written. Then each worker loads the
    layer once, and embeds parts of the dataset as they come. A worker that dies is
    replaced, and the part that it was at is done again: rows are neither lost nor doubled.
    If the whole job dies, what has been written depends on the writer; see
    :doc:`/corpora_on_a_cluster`.

    Without free CPUs next to the workers' nothing could be read or written, so the workers
    never get all of them; a cluster needs ``num_cpus + 1`` at least.

    Args:
        dataset: A ``ray.data.Dataset``.
        source: As for :func:`~keras_elmo.compute_features`. Each worker reads it, so a path
            must be there on all machines, and a URL or the name of a model is downloaded
            into each machine's cache. The weights of a layer, or of an
            :class:`~keras_elmo.ElmoConfig`, which makes random ones, are put into Ray's
            object store once.
        column: The column with the texts, strings or bytes in UTF-8.
        output_column: The name of the new column. The others stay as they are.
        layers: As for :func:`~keras_elmo.compute_features`.
        pooled: As there.
        dtype: As there.
        on_error: What to do with bad rows: those whose text is missing, not a string, not
            UTF-8 or longer than ``max_tokens``. ``"fail"`` ends the job with an error that
            lists some of them, when it comes to them. ``"repair"`` keeps the first
            ``max_tokens`` tokens, U+FFFD for bytes that are not UTF-8, or a sentence
            without tokens; the text column stays as it is. ``"skip"`` leaves the rows out.
            The logger ``keras_elmo`` of each worker warns of each.
        max_tokens: More tokens make a row bad.
        batch_size: The most sentences in a batch. A worker that dies has to do the rows of
            a few dozen batches again.
        token_budget: The most steps in a batch, as for
            :func:`~keras_elmo.compute_features`.
        concurrency: How many workers, which start at once; fewer if the cluster does not
            have room for so many yet. By default Ray Data starts with one, and adds others
            while rows wait for them and its own plan of the CPUs and GPUs allows it.
        num_cpus: The CPUs of a worker: what Ray reserves for it, and, rounded up, how many
            threads it runs. Each worker holds the weights, so a few with several CPUs each
            need less memory than many with one.
        num_gpus: The GPUs of a worker.
        split: How texts are split into tokens, as for
            :func:`~keras_elmo.compute_features`. ``"space"`` is white space of any kind.

    Returns:
        A ``ray.data.Dataset`` with the rows in their order, as far as Ray Data keeps it
        (``DataContext.execution_options.preserve_order``). The new column has tensors of
        dtype ``dtype``: (tokens, n_layers + 1, D), each of its own length; without the
        second axis for one layer or a mix; without the first if pooled, and then all of
        the same shape.

    Raises:
        TypeError: ``dataset`` is not one, or an argument has a wrong type.
        ValueError: An argument is out of its range, or the dataset is known to lack the
            column. When the result is read, Ray raises such errors, and those of bad rows
            and of vectors that are not finite in ``dtype``.
        ImportError: Ray Data is not installed.
        SourceError: The source could not be loaded; for names and paths, when the result is
            read.

    Example:
        .. code-block:: python

            from keras_elmo.vectors import embed_dataset

            sentences = ray.data.read_text("corpus/")
            vectors = embed_dataset(sentences, "mini", pooled=True)
            vectors.write_parquet("vectors/")
    """
    needs_tensorflow("embed_dataset", "Use compute_features, which needs no Ray.")
    ray = _load_ray()
    if not isinstance(dataset, ray.data.Dataset):
        raise TypeError(
            f"dataset must be a ray.data.Dataset; got {dataset!r:.100} of type "
            f"{type(dataset).__name__}. Make one, for instance by ray.data.read_text(PATH)."
        )
    options = Options(
        layers=layers,
        pooled=pooled,
        dtype=dtype,
        column=column,
        on_error=on_error,
        max_tokens=max_tokens,
        batch_size=batch_size,
        token_budget=token_budget,
        split=split,
    ).for_source(source)
    if concurrency is not None:
        check_positive_integer("concurrency", concurrency)
    _check_amount("num_cpus", num_cpus, above=True)
    _check_amount("num_gpus", num_gpus, above=False)
    # Reading one block to learn the columns might take long.
    columns = dataset.columns(fetch_if_missing=False)
    if columns is not None:
        check_columns(columns, column, output_column)
    n_rows = BATCHES_IN_A_TASK * batch_size
    # Ray restarts workers of such a pool, and does their tasks again, any number of times.
    # It adds none beyond the least size where CPUs are few, because it sets some aside for
    # each step from reading to writing.
    n_that_fit = _n_that_fit(ray.nodes(), num_cpus, num_gpus)
    if not n_that_fit:
        logger.warning(
            "The cluster has no room for a worker with num_cpus=%s and num_gpus=%s, and "
            "another CPU to read and write: the job waits until it has.",
            num_cpus,
            num_gpus,
        )
    n_at_once = max(min(concurrency or 1, n_that_fit), 1)
    workers = ray.data.ActorPoolStrategy(min_size=n_at_once, max_size=concurrency)
    return dataset.repartition(target_num_rows_per_block=n_rows).map_batches(
        Worker,
        fn_constructor_args=(
            _for_workers(source, options, ray),
            options,
            output_column,
            math.ceil(num_cpus),
            num_gpus > 0,
        ),
        batch_size=n_rows,
        batch_format="pyarrow",
        compute=workers,
        num_cpus=num_cpus,
        num_gpus=num_gpus or None,
    )


def _load_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(
            "embed_dataset: Ray Data is not installed. Install it on all machines (pip "
            "install 'keras-elmo[ray]'); on one, compute_features works without."
        ) from error
    return ray


def _check_amount(name: str, value: Any, above: bool) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not (0 < value < math.inf or (value == 0 and not above)):
        least = "above 0" if above else "from 0 on"
        raise ValueError(f"{name} must be a number {least}; got {value!r}.")


def _n_that_fit(nodes: list[Any], num_cpus: float, num_gpus: float) -> int:
    """How many workers machines have room for, with one CPU left to read and write."""
    n_workers, n_cpus = 0, 0.0
    for node in nodes:
        if node["Alive"]:
            cpus = node["Resources"].get("CPU", 0.0)
            by_gpu = node["Resources"].get("GPU", 0.0) // num_gpus if num_gpus else math.inf
            n_workers += int(min(cpus // num_cpus, by_gpu))
            n_cpus += cpus
    return min(n_workers, int(max(n_cpus - 1, 0) // num_cpus))


def _for_workers(source: Any, options: Options, ray: Any) -> Any:
    """What workers on other machines can load the layer from."""
    if isinstance(source, (ElmoConfig, ElmoEmbeddingLayer)):
        layer = embedding_layer(source, options.output_mode)
        # Once for all workers: as their argument it would go to each of them.
        return ray.put(layer)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            "source must be a name, a path, a URL, an ElmoConfig or an ElmoEmbeddingLayer; "
            f"got {source!r:.200}."
        )
    name = os.fspath(source)
    if name in MODELS or "://" in name:
        return name
    # Workers have other working directories.
    return str(Path(name).expanduser().absolute())
