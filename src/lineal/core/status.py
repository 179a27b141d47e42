"""What `lineal status` shows of an instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class InstanceStatus(NamedTuple):
    entity: str
    paths: Mapping[str, str]
    """What is where: database, blobs, staging …"""
    sizes: Mapping[str, int]
    """Bytes under each of the paths."""
    counts: Mapping[str, int]
    """projects, runs, collections, versions, blobs, drafts: those that are live"""
    blob_bytes: int
    versions_bytes: int
    """Sum over versions; the difference to `blob_bytes` is what sharing saves."""
