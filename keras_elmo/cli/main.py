"""The command ``keras-elmo``: describes, converts, trains and uses models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from keras_elmo.cli.convert_arguments import add_convert
from keras_elmo.cli.embed_arguments import add_embed
from keras_elmo.cli.models_arguments import add_models
from keras_elmo.cli.shared_arguments import add_command
from keras_elmo.cli.train_arguments import add_evaluate, add_train
from keras_elmo.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Its arguments; by default those of the process.

    Returns:
        The exit code: 0; 1 after an error; others of ``embed`` where it is not complete.

    Raises:
        SystemExit: The arguments are wrong (code 2), or ask for help or the version
            (code 0).
    """
    arguments = vars(_parser().parse_args(argv))
    run = arguments.pop("run")
    from keras_elmo.errors import SourceError

    try:
        code: int | None = run(**arguments)
    except (SourceError, OSError, InputError) as error:
        print(f"keras-elmo: error: {error}", file=sys.stderr)
        return 1
    return code or 0


class _Version(argparse.Action):
    """Prints the version, which costs the import of the library only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from keras_elmo import __version__

        print(f"keras-elmo {__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "keras-elmo",
        description="Describes, converts, verifies, trains and uses ELMo models.",
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        default=argparse.SUPPRESS,
        help="print the version",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = partial(add_command, commands)

    add_models(add)
    add_convert(add)
    add_embed(add)
    add_train(add)
    add_evaluate(add)
    return parser


if __name__ == "__main__":
    sys.exit(main())
