"""``keras-elmo train``: a language model on text files."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_elmo.cli.arguments import (
    DOWNLOADS,
    SOURCE,
    UsageError,
    add_flag,
    add_format,
    add_options,
    add_quiet,
    add_source,
    add_split,
    add_texts,
)
from keras_elmo.cli.terminal import Bar, is_terminal

if TYPE_CHECKING:
    import keras

    from keras_elmo.config import ElmoConfig
    from keras_elmo.pretraining import TrainingConfig

SUMMARY = "train a model on text files"
DETAILS = (
    "DIR is then a source like any other. It also keeps what is needed to continue after "
    f"an interruption (--resume) or on other texts (--init DIR). {DOWNLOADS}"
)
EXAMPLES = (
    "texts/ --config config.json --out my_elmo",
    "texts/ --config config.json --out my_elmo --resume",
    "'law/*.txt' --init mini --split words --out law_elmo",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_texts(parser)
    add_format(parser, "TEXT")
    add_split(parser, None, "space, and character for FASTA")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the model goes"
    )
    model = parser.add_argument_group("the model and its training")
    model.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="JSON: 'model', the content of an options.json, for a new model, and "
        "'training', the settings of keras_elmo.pretraining.TrainingConfig",
    )
    add_source(model, "--init", f"continue from a trained model: {SOURCE}")
    add_options(model, "--init SOURCE")
    model.add_argument(
        "--vocabulary",
        metavar="FILE",
        help="the words to predict, one in a line (default: those of --init if it has any, "
        "else the most frequent of the texts)",
    )
    add_flag(
        parser,
        "--resume",
        help="continue where an earlier run into DIR stopped, if there was one",
    )
    add_flag(parser, "--tensorboard", help="write logs to DIR/tensorboard")
    add_quiet(parser)


def run(
    texts: Sequence[str],
    out: Path,
    config: Path | None,
    init: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    if config is None and init is None:
        raise UsageError("--init must name a model to start from, or --config a new one")
    from keras_elmo.pretraining import TrainingConfig, train

    shape, training = (None, TrainingConfig()) if config is None else read_config(config)
    model = shape or init
    if model is None or (shape is not None and init is not None):
        raise ValueError(
            f"--config: {str(config)!r} has {'a' if shape else 'no'} 'model', and --init "
            f"is {'there too' if init else 'missing'}. Choose either a new model or one to "
            "start from."
        )
    if quiet or not is_terminal(sys.stderr):
        train(texts, out, model, training, verbose=not quiet, **options)
    else:
        with contextlib.ExitStack() as stack:
            bar = _bar(training, stack)
            train(texts, out, model, training, verbose=False, callbacks=[bar], **options)
    if not quiet:
        print(f"The model is in {str(out)!r}.")


def _bar(training: TrainingConfig, stack: contextlib.ExitStack) -> keras.callbacks.Callback:
    """Shows a bar over all steps until ``stack`` ends."""
    import keras

    n_tokens = training.batch_size * training.window_steps  # of a step
    bar = Bar("Training", " tokens", training.n_steps * n_tokens)

    def begin(epoch: int, logs: object) -> None:
        if earlier := epoch * training.log_steps * n_tokens - bar.n:
            bar.update(earlier)

    def end(batch: int, logs: dict[str, float]) -> None:
        bar.set_description(f"Training (perplexity {logs['perplexity']:,.1f})")
        bar.update(n_tokens)

    return keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: stack.enter_context(bar),
        on_epoch_begin=begin,
        on_train_batch_end=end,
    )


def read_config(path: Path) -> tuple[ElmoConfig | None, TrainingConfig]:
    """Reads the file of ``--config``: either part may be missing."""
    from keras_elmo.config import ElmoConfig
    from keras_elmo.pretraining import TrainingConfig
    from keras_elmo.text.strict_json import parse_json

    try:
        content = parse_json(path.read_bytes())
        if not isinstance(content, dict) or not content.keys() <= {"model", "training"}:
            raise ValueError("expected an object with 'model' and 'training' in it.")
        shape = ElmoConfig.from_options(content["model"]) if "model" in content else None
        return shape, TrainingConfig.from_dict(content.get("training", {}))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"--config: {str(path)!r} is not a configuration: {error!s:.1000}"
        ) from error
