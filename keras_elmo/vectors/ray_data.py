"""Adds vectors to a dataset of Ray Data, on a cluster."""

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
from keras_elmo.weights.locate import remote_address
from keras_elmo.weights.named_models import MODELS

# If a worker fails, its current task is repeated.
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

    Ray computes the vectors when the result is read or written. Each worker loads the layer
    once and embeds parts of the dataset. Ray replaces a worker that fails and repeats its
    part: rows are neither lost nor duplicated. If the whole job fails, the writer
    determines what has been written; see :doc:`/corpora_on_a_cluster`.

    Reading and writing need a free CPU, so workers never get all CPUs: a cluster needs at
    least ``num_cpus + 1``.

    Args:
        dataset: A ``ray.data.Dataset``.
        source: As for :func:`~keras_elmo.compute_features`. Each worker reads it, so a path
            must exist on all machines, and a URL or named model is downloaded into each
            machine's cache. The weights of a layer, or of an
            :class:`~keras_elmo.ElmoConfig` (random), are put into Ray's object store once.
        column: The column of the texts, strings or bytes in UTF-8.
        output_column: The name of the new column. The other columns stay unchanged.
        layers: As for :func:`~keras_elmo.compute_features`.
        pooled: As for :func:`~keras_elmo.compute_features`.
        dtype: As for :func:`~keras_elmo.compute_features`.
        on_error: What to do with bad rows: rows whose text is missing, not a string, not
            UTF-8 or longer than ``max_tokens``. ``"fail"`` ends the job with an error that
            lists some of them, when it reaches them. ``"repair"`` keeps the first
            ``max_tokens`` tokens, puts U+FFFD for bytes that are not UTF-8, or keeps a
            sentence without tokens; the text column stays unchanged. ``"skip"`` leaves the
            rows out. The logger ``keras_elmo`` of each worker warns about each.
        max_tokens: Rows with more tokens are bad.
        batch_size: The most sentences in a batch. If a worker fails, a few dozen batches
            are repeated.
        token_budget: The most steps in a batch, as for
            :func:`~keras_elmo.compute_features`.
        concurrency: The number of workers, which start at once; fewer if the cluster has no
            room for them yet. By default Ray Data starts with one, and adds others while
            rows wait and its plan of the CPUs and GPUs allows it.
        num_cpus: The CPUs that Ray reserves for a worker and, rounded up, its threads. Each
            worker holds the weights, so a few workers with several CPUs need less memory
            than many with one.
        num_gpus: The GPUs per worker.
        split: How texts are split into tokens, as for
            :func:`~keras_elmo.compute_features`. ``"space"`` is any white space.

    Returns:
        A ``ray.data.Dataset`` with the rows in order, if Ray Data preserves it
        (``DataContext.execution_options.preserve_order``). The new column has tensors of
        dtype ``dtype``: (tokens, n_layers + 1, D), of different lengths; without the second
        axis for one layer or a mix; without the first if pooled, and then of the same
        shape.

    Raises:
        TypeError: ``dataset`` is not a Ray dataset, or an argument has a wrong type.
        ValueError: An argument is out of its range, or the dataset is known to lack the
            column. When the result is read, Ray raises the same errors, and errors for bad
            rows and for vectors that are not finite in ``dtype``.
        ImportError: Ray Data is not installed.
        SourceError: The source could not be loaded; for names and paths, Ray raises it when
            the result is read.

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
            f"{type(dataset).__name__}. Create one, for example ray.data.read_text(PATH)."
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
    # Reading a block to find the columns could take long.
    columns = dataset.columns(fetch_if_missing=False)
    if columns is not None:
        check_columns(columns, column, output_column)
    n_rows = BATCHES_IN_A_TASK * batch_size
    # Ray restarts the workers of such a pool and repeats their tasks without limit. If CPUs
    # are few, it adds none beyond the least size, because it reserves some for each step
    # from reading to writing.
    n_that_fit = _n_that_fit(ray.nodes(), num_cpus, num_gpus)
    if not n_that_fit:
        logger.warning(
            "The cluster has no room for a worker with num_cpus=%s and num_gpus=%s, and "
            "another CPU to read and write. The job waits for them.",
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
            "embed_dataset: Ray Data is not installed. Install it on all machines: pip "
            "install 'keras-elmo[ray]'. On a single machine, use compute_features."
        ) from error
    return ray


def _check_amount(name: str, value: Any, above: bool) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not (0 < value < math.inf or (value == 0 and not above)):
        least = "above 0" if above else "from 0 on"
        raise ValueError(f"{name} must be a number {least}; got {value!r}.")


def _n_that_fit(nodes: list[Any], num_cpus: float, num_gpus: float) -> int:
    """How many workers fit on machines, with one CPU left to read and write."""
    n_workers, n_cpus = 0, 0.0
    for node in nodes:
        if node["Alive"]:
            cpus = node["Resources"].get("CPU", 0.0)
            by_gpu = node["Resources"].get("GPU", 0.0) // num_gpus if num_gpus else math.inf
            n_workers += int(min(cpus // num_cpus, by_gpu))
            n_cpus += cpus
    return min(n_workers, int(max(n_cpus - 1, 0) // num_cpus))


def _for_workers(source: Any, options: Options, ray: Any) -> Any:
    """A source that workers on other machines can load."""
    if isinstance(source, (ElmoConfig, ElmoEmbeddingLayer)):
        layer = embedding_layer(source, options.output_mode)
        # Once for all workers: as an argument, each of them would get a copy.
        return ray.put(layer)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            "source must be a name, a path, a URL, an ElmoConfig or an ElmoEmbeddingLayer; "
            f"got {source!r:.200}."
        )
    name = os.fspath(source)
    if name in MODELS or remote_address(name) is not None:
        return name
    # Workers have other working directories.
    return str(Path(name).expanduser().absolute())
