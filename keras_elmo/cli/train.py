"""``keras-elmo train``: a language model on text files."""

from __future__ import annotations

import argparse
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
    add_split,
    add_texts,
)

if TYPE_CHECKING:
    from keras_elmo.config import ElmoConfig
    from keras_elmo.pretraining import TrainingConfig

SUMMARY = "train a model on text files"
DETAILS = (
    "DIR is then a source like any other. It also keeps what is needed to continue after "
    f"an interruption (--resume) or on other texts (--init DIR). {DOWNLOADS}"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_texts(parser)
    add_format(parser, "TEXT")
    add_split(parser, None, "space, and character for FASTA")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the model goes"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="JSON: 'model', the content of an options.json, for a new model, and "
        "'training', the settings of keras_elmo.pretraining.TrainingConfig",
    )
    parser.add_argument(
        "--init", metavar="SOURCE", help=f"continue from a trained model: {SOURCE}"
    )
    add_options(parser, "--init SOURCE")
    parser.add_argument(
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
    train(texts, out, model, training, verbose=not quiet, **options)
    if not quiet:
        print(f"The model is in {str(out)!r}.")


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
