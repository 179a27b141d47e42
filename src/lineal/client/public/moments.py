"""Moments as the public surface shows them."""

from __future__ import annotations

from datetime import datetime


def iso(moment: datetime) -> str:
    """Return ISO-8601 text ending in `Z`; moments are always in UTC."""
    return moment.isoformat().replace("+00:00", "Z")
