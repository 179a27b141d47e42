"""What garbage collection plans, did and proved; see docs/design/003-deletion.md.

Sizes are bytes, moments are aware and in UTC. Lists of names are cut at `REPORTED_MOST`; the totals
beside them are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lineal.core.digest import Key
from lineal.core.records import VersionId

REPORTED_MOST = 100
"""Versions, blobs or files that a plan or report names."""


class Reason(StrEnum):
    """Why bytes stay; a blob counts for the first that applies."""

    LIVE = "live version"
    RUN_FILE = "file of a run"
    UNDO = "undo period"
    DRAFT = "open draft"


@dataclass(frozen=True, slots=True)
class Amount:
    count: int = 0
    size_bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.count + other.count, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class DoomedVersion:
    """A version that a step takes content or name from."""

    id: VersionId
    name: str
    """`entity/project/collection:vN`"""
    size_bytes: int
    freed_bytes: int
    """Of its content, what this sweep deletes; what two doomed ones share counts for both."""
    shared_bytes: int
    """Of its content, what stays, because something else needs it."""
    shared_with: tuple[str, ...] = ()
    """Some of what needs it."""


@dataclass(frozen=True, slots=True)
class VersionsStep:
    total: Amount = Amount()
    versions: tuple[DoomedVersion, ...] = ()
    """The first `REPORTED_MOST`."""


@dataclass(frozen=True, slots=True)
class Kept:
    reason: Reason
    blobs: Amount
    until: datetime | None = None
    """The earliest moment at which some of it stops being kept, where that is known."""


@dataclass(frozen=True, slots=True)
class CleanupPlan:
    """What a sweep would do now. `freed_bytes` and what is kept add up to all bytes there are."""

    made_at: datetime
    expire: VersionsStep
    """Become tombstones, and can be restored until the undo period ends; see `is_final`."""
    release: VersionsStep
    """Tombstones past the undo period: their content goes."""
    runs: int
    """Deleted runs whose files and lines go."""
    drafts: int
    """Unfinished uploads that expired."""
    manifests: int
    segments: int
    condemn: Amount
    """Blobs that nothing needs once the steps before are done."""
    delete: Amount
    """Blobs condemned by an earlier sweep, whose bytes may still be there."""
    strays: Amount
    """Files that belong to no blob: copies that were never recorded, halves."""
    kept: tuple[Kept, ...]
    fresh_strays: Amount = Amount()
    """Files that belong to no blob yet, and are too young to say that they never will."""
    foreign: tuple[str, ...] = ()
    """Files in the store that Lineal did not write; they are left alone."""
    is_final: bool = False
    """There is no undo period: what expires loses its content in the same sweep."""

    @property
    def freed_bytes(self) -> int:
        return self.condemn.size_bytes + self.delete.size_bytes + self.strays.size_bytes

    @property
    def kept_bytes(self) -> int:
        return sum(kept.blobs.size_bytes for kept in self.kept) + self.fresh_strays.size_bytes

    @property
    def is_empty(self) -> bool:
        versions = self.expire.total.count + self.release.total.count
        blobs = self.condemn.count + self.delete.count + self.strays.count
        rows = self.runs + self.drafts + self.manifests + self.segments
        return not (versions or blobs or rows)


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be deleted; the next sweep tries again."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did."""

    expired: int = 0
    released: int = 0
    runs: int = 0
    drafts: int = 0
    manifests: int = 0
    segments: int = 0
    condemned: Amount = Amount()
    deleted: Amount = Amount()
    """Blobs whose bytes are gone, those condemned earlier included."""
    strays: Amount = Amount()
    compacted_bytes: int = 0
    """By which the database's file shrank."""
    failures: tuple[Failure, ...] = ()
    """The first `REPORTED_MOST`."""
    failed: int = 0
    is_complete: bool = True
    """False when the time was up; what is left is done by the next sweep."""

    @property
    def freed_bytes(self) -> int:
        return self.deleted.size_bytes + self.strays.size_bytes + self.compacted_bytes


@dataclass(frozen=True, slots=True)
class KeptBlob:
    """Bytes that a purge left, because somebody else needs them."""

    key: Key
    size_bytes: int
    needed_by: tuple[str, ...]
    """Some of the versions, run files and drafts that need them."""


@dataclass(frozen=True, slots=True)
class Proof:
    """That content is gone: every key was asked for after its deletion (TTL-1)."""

    what: str
    purged_at: datetime
    versions: tuple[str, ...]
    """The tombstones that stay: `entity/project/collection:vN`."""
    removed: Sequence[Key]
    """The store said of each that it has nothing under it."""
    removed_bytes: int
    kept_total: Amount = Amount()
    kept: tuple[KeptBlob, ...] = ()
    """The first `REPORTED_MOST`."""
    failures: tuple[Failure, ...] = ()
    """Keys that are still there though nothing needs them."""

    @property
    def is_complete(self) -> bool:
        """True when no byte of the content is left anywhere in the store."""
        return not self.kept_total.count and not self.failures


@dataclass(frozen=True, slots=True)
class StorageRow:
    """One project, collection or version, and which stored bytes are there because of it."""

    name: str
    """Full name; `entity/project (run files)` for the files of a project's runs."""
    own_bytes: int = 0
    """Needed by nothing live but this."""
    shared_bytes: int = 0
    """Needed by this and by something live elsewhere; counted in every row that shares it."""
    pending_bytes: int = 0
    """Needed only by tombstones in the undo period, of this among others."""


@dataclass(frozen=True, slots=True)
class StorageReport:
    """Where the bytes are. own + shared + pending + drafts + orphaned = total, exactly."""

    rows: tuple[StorageRow, ...]
    """The largest first."""
    total: Amount
    """All stored blobs."""
    own_bytes: int
    """Needed by exactly one row."""
    shared_bytes: int
    """Needed by several rows, counted once."""
    pending_bytes: int
    draft_bytes: int
    """Needed only by uploads that are not finished."""
    orphaned_bytes: int
    """Needed by nothing: the next sweep deletes them."""
    condemned: Amount = Amount()
    """Blobs that a sweep has given up but whose bytes it has not deleted yet; not in `total`."""
    elsewhere_bytes: int = 0
    """Needed only by things outside of what was asked for."""
    strays: Amount = Amount()
    """Files that belong to no blob and never will: the next sweep deletes them; not in `total`.

    Counted, as the next, only where all projects are asked for.
    """
    fresh_strays: Amount = Amount()
    """Files that belong to no blob yet, as those of an upload under way; not in `total`."""
