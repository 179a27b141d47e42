"""The config of a run after the fact: what users see of it, and what they changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lineal.client import values
from lineal.client.values import copied, plain


def visible(config: dict[str, Any]) -> dict[str, Any]:
    """Return what users see of a config: their own, however deep they change it."""
    return {key: copied(value) for key, value in config.items() if not key.startswith("_")}


def changes(before: dict[str, Any], now: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what was set since a config was seen, and the keys that went. Raises TypeError."""
    if not isinstance(now, Mapping):
        raise TypeError(f"The config of a run is a dict, not {now!r}")
    return values.changes(visible(before), {key: plain(value, key) for key, value in now.items()})
