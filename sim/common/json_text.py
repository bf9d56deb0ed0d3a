"""What commands print for programs."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite


def json_text(value: object) -> str:
    """Return nested values as JSON for programs; a figure that is no number, or has no end, is null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(part) for part in value]
    return value
