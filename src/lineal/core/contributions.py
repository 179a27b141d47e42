"""What runs contribute to versions of many, as records (ART-44)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from lineal.core.records import DraftId, DraftSpec, VersionId, VersionRecord


class Part(NamedTuple):
    """What one call of a run contributed to a version of many, or finished it with."""

    draft: DraftId
    spec: DraftSpec
    """As it was asked for; `manifest` is that of the call, of one that finished it of all."""
    made_at: datetime
    version: VersionId | None
    """What it became part of; None: nobody has finished it."""
    is_expired: bool
    """It waited longer than a draft may, and its content is gone."""


class Made(NamedTuple):
    """A version that was made of contributions under one id."""

    version: VersionRecord
    as_of: datetime
    """Up to when it took contributions."""
