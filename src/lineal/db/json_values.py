"""JSON as the database keeps it, which may hold NaN and infinities."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

FLOAT_KEY = "$float"
"""NaN and infinities are stored as `{"$float": "nan"}`."""
_SHOWN_MOST = 60
"""Characters of a damaged record."""

_json = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False)


def json_text(value: Any) -> str:
    """Write JSON that both databases can query; NaN and infinities become small objects."""
    try:
        return _json.encode(value)
    except ValueError:
        return _json.encode(_finite(value))


class NoJson(ValueError):
    """A record holds something else."""


def json_value(text: str | bytes) -> Any:
    """Read what `json_text` wrote; psycopg hands over bytes. Raises NoJson."""
    if isinstance(text, bytes):
        text = text.decode()
    try:
        value = json.loads(text, object_hook=_restore_float if FLOAT_KEY in text else None)
    except (ValueError, RecursionError) as error:
        raise NoJson(f"{text[:_SHOWN_MOST]!r}, which is no JSON ({error})") from error
    if type(value) is dict:  # of 100,000 runs the keys are the same: kept once, not in each
        return {sys.intern(key): item for key, item in value.items()}
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT_KEY: str(value)}
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _restore_float(value: dict[str, Any]) -> Any:
    name = value.get(FLOAT_KEY) if len(value) == 1 else None
    return float(name) if name in ("nan", "inf", "-inf") else value  # a user may have such a key
