"""Reads JSON in untrusted files."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

_LARGEST = 1 << 26  # bytes, or characters of a text


def parse_json(data: str | bytes) -> Any:
    """Reads JSON; raises ValueError if it is too large, nested too deeply or ambiguous.

    JSON is ambiguous if an object repeats a name: some programs read the first, others the
    last value.
    """
    if len(data) > _LARGEST:
        raise ValueError(f"JSON of over {_LARGEST:,} bytes")
    try:
        return json.loads(data, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"JSON that has {twice!r:.100} twice")
    return result
