"""``keras-elmo verify``: a module's own graph against the layer."""

from __future__ import annotations

import argparse
import json

from keras_elmo.cli.arguments import DOWNLOADS, add_json, add_quiet, add_source
from keras_elmo.cli.terminal import print_rows

SUMMARY = "compare a TF1 Hub module's outputs with the layer's"
DETAILS = DOWNLOADS
EXAMPLES = ("https://tfhub.dev/google/elmo/3", "path/to/module --json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    either = parser.add_mutually_exclusive_group()
    add_json(either)
    add_quiet(either)


def run(source: str, as_json: bool, quiet: bool) -> None:
    from keras_elmo.hub.verification import TOLERANCE, verify

    found = verify(source)
    if as_json:
        result = {
            "source": source,
            "path": str(found.path),
            "tolerance": TOLERANCE,
            "errors": dict(found.errors),
        }
        print(json.dumps(result, indent=2))
    elif not quiet:
        # Most are not 0, but some are.
        errors = {
            name: f"{x:.1e}" if x else "0" for name, x in sorted(found.errors.items())
        }
        print_rows({"output": "largest difference", **errors})
        print(
            f"\nThe layer computes what the module in {str(found.path)!r} computes: no "
            f"difference is above {TOLERANCE:.0e} of the output's largest value."
        )
