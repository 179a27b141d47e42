"""What metadata, a TTL, an exit code and `on_unchanged` may be, wherever they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, get_args

from lineal.core import names
from lineal.core.records import EXIT_CODE_MAX, OnUnchanged
from lineal.errors import Invalid

LONGEST_TTL = timedelta(days=365_000)
"""A thousand years: moments beyond the year 9999 have no name."""
METADATA_MAX_BYTES = 1 << 20
"""MET-1 leaves the limit to us: what a page can still show and a database still index."""


def check_ttl(seconds: int, type: str) -> None:
    """Raise Invalid unless versions of this type can have this TTL (TTL-10)."""
    if type == names.HISTORY_TYPE:
        raise Invalid(f"Artifacts of type `{names.HISTORY_TYPE}` cannot have a TTL")
    check_seconds(seconds)


def check_seconds(ttl_seconds: int) -> None:
    """Raise Invalid unless it can be counted from any moment."""
    if not 0 <= ttl_seconds <= LONGEST_TTL.total_seconds():
        raise Invalid(f"A TTL is at most {LONGEST_TTL.days:,} days, and never negative")


def check_exit_code(exit_code: int) -> None:
    """Raise Invalid unless a process can end with it."""
    if abs(exit_code) > EXIT_CODE_MAX:
        raise Invalid(f"Exit code {exit_code} is too large; no process ends with more than 32 bits")


def check_metadata(metadata: Mapping[str, Any] | None) -> None:
    """Raise Invalid unless it is a JSON object of at most 1 MiB (MET-1)."""
    if metadata is None:
        return
    try:
        size = len(json.dumps(metadata))
    except (TypeError, ValueError) as error:
        raise Invalid(f"Metadata must be a JSON object: {error}") from error
    if size > METADATA_MAX_BYTES:
        raise Invalid(
            f"Metadata has {size} bytes as JSON, at most {METADATA_MAX_BYTES} are allowed; "
            "put large values into a file of the artifact"
        )


def check_on_unchanged(choice: str) -> None:
    """Raise Invalid unless it says what to do with content that is there already (SEM-3)."""
    known = get_args(OnUnchanged)
    if choice not in known:
        raise Invalid(f"on_unchanged cannot be {choice!r}; use {', '.join(known)}")
