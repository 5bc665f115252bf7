"""``keras-elmo verify``: a module's own graph against the layer."""

from __future__ import annotations

import json

from keras_elmo.hub.verification import TOLERANCE, verify


def show_verification(source: str, as_json: bool, quiet: bool) -> None:
    """Verifies a module and prints the error of each output.

    Args:
        source: A TF1 Hub module: its directory or archive, or its handle.
        as_json: Whether to print JSON.
        quiet: Whether to print nothing.

    Raises:
        VerificationError: An output differs.
        SourceError: The source cannot be had, or is no module.
    """
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
        print(f"{'output':24}largest difference")
        for name, error in sorted(found.errors.items()):
            print(f"{name:24}{error:.1e}")
        print(
            f"\nThe layer computes what the module in {str(found.path)!r} computes: no "
            f"difference is above {TOLERANCE:.0e} of the output's largest value."
        )
