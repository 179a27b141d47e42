"""What counts as a number where people write one: `true` does not, though Python says so."""

from __future__ import annotations

import math


def is_finite(value: object) -> bool:
    """Say whether it is a number that a float can hold: no NaN, no infinity, not 10**400."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_within(value: object, least: float, most: float) -> bool:
    """Say whether it is a number, of whatever library, from the least to the most."""
    if isinstance(value, bool | str):
        return False
    try:
        return bool(least <= value <= most)  # type: ignore[operator]  # the error says so
    except (TypeError, ValueError):  # of arrays
        return False


def is_whole(value: object, *, least: int | None = None) -> bool:
    return (
        isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)
    )
