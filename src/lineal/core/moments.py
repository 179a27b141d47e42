"""Moments in messages: in UTC and to the minute, for whoever reads them may be anywhere."""

from __future__ import annotations

from datetime import UTC, datetime


def in_utc(moment: datetime) -> str:
    """Return an aware moment as `2026-01-31 12:00 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
