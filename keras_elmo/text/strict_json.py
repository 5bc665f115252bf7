"""JSON in files that others wrote."""

from __future__ import annotations

import json
from typing import Any


def parse_json(data: str | bytes) -> Any:
    """Reads JSON that says one thing.

    Args:
        data: The text, or its bytes in UTF-8, UTF-16 or UTF-32.

    Returns:
        Its value.

    Raises:
        ValueError: It is not JSON, nested too deeply, or an object has a name twice, of
            which programs take now the first, now the last.
    """
    try:
        return json.loads(data, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"JSON that has {twice!r:.100} twice")
    return result
