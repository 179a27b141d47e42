"""What users say of an artifact, as it can be stored: a description and metadata (MET-1)."""

from __future__ import annotations

import math
from typing import Any

from lineal.client import values
from lineal.errors import Invalid


def described(text: str | None) -> str | None:
    """Return a description as it can be stored; raises TypeError for what is no text."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError(f"description must be text, not a {text.__class__.__name__}")
    return values.text(text)


def clean(metadata: dict[str, Any] | None) -> dict[str, Any]:
    """Copy metadata as JSON: NumPy values converted, NaN to null, infinities refused (MET-1)."""
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict, not a {metadata.__class__.__name__}")
    cleaned = _finite(values.plain(metadata, "metadata"))
    assert isinstance(cleaned, dict)
    return cleaned


def is_changed(metadata: dict[str, Any], cleaned: dict[str, Any]) -> bool:
    """Tell whether it is other metadata than what `clean` made of some before."""
    try:
        return clean(metadata) != cleaned
    except (TypeError, ValueError):
        return True  # to something that `save` will refuse


def _finite(value: Any, path: str = "") -> Any:
    """path: where the value stands, with dots, for the message."""
    if isinstance(value, float):
        if math.isinf(value):
            raise Invalid(
                f"Metadata may not hold infinities, since JSON has no word for them: `{path}` is "
                f"{value}. Keep None or the text '{value}' there"
            )
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {key: _finite(item, _below(path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item, _below(path, place)) for place, item in enumerate(value)]
    return value


def _below(path: str, part: str | int) -> str:
    return f"{path}.{part}" if path else str(part)
