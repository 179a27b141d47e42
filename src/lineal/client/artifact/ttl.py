"""How users write a time to live, and how it is stored (TTL-3, TTL-5)."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

from lineal.errors import Invalid


class ArtifactTTL(Enum):
    """What `ttl` can be beside a duration and None."""

    INHERIT = "inherit"
    """As collection, project or entity say; what a new artifact begins with."""


TTL = timedelta | int | float | str | ArtifactTTL | None
"""A duration, a number of days, `30d`, `12h`, ISO `P30D`; None: never expires; or INHERIT."""


def stored(value: TTL) -> int | None:
    """Return whole seconds, rounded up; 0 for never, None to inherit. Raises Invalid."""
    if value is ArtifactTTL.INHERIT:
        return None
    if isinstance(value, Enum):
        raise Invalid(f"A TTL cannot be {value}; the only such word is ArtifactTTL.INHERIT")
    from lineal.core.retention import ttl_seconds  # 5 ms that few runs need

    return ttl_seconds(value)


def shown(seconds: int | None) -> timedelta | ArtifactTTL | None:
    """Return what a setter would have been given for stored seconds."""
    if seconds is None:
        return ArtifactTTL.INHERIT
    return timedelta(seconds=seconds) if seconds else None
