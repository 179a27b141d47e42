"""What ought to be there, in plain Python: versions, drafts, runs, and when each lets go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

UNDO = timedelta(days=7)
DRAFT_TTL = timedelta(hours=72)
GRACE = timedelta(days=7)
PROTECTED = "prod"


@dataclass
class Version:
    id: int
    membership: int
    collection: str
    number: int
    files: dict[str, bytes]
    created_at: datetime
    ttl: timedelta | None = None
    aliases: set[str] = field(default_factory=set)
    link: int | None = None
    """Membership of its link."""
    unlinked_at: datetime | None = None
    deleted_at: datetime | None = None
    is_released: bool = False
    is_exempt: bool = False
    """It was restored although the policy lets it go."""

    @property
    def is_live(self) -> bool:
        return self.deleted_at is None

    @property
    def is_kept(self) -> bool:
        return self.link is not None or PROTECTED in self.aliases

    def is_over(self, now: datetime) -> bool:
        """Say whether its time has come, were it not linked or protected."""
        if self.ttl is None:
            return False
        ends = self.created_at + self.ttl
        if self.unlinked_at is not None:
            ends = max(ends, self.unlinked_at + GRACE)
        return ends <= now


@dataclass
class Draft:
    id: int
    collection: str
    files: dict[str, bytes]
    expires_at: datetime


@dataclass
class Run:
    key: int
    run_id: str
    files: dict[str, bytes] = field(default_factory=dict)
    deleted_at: datetime | None = None
    is_released: bool = False


class Model:
    def __init__(self) -> None:
        self.versions: dict[int, Version] = {}
        self.drafts: dict[int, Draft] = {}
        self.runs: dict[int, Run] = {}
        self.keep_last: int | None = None
        """Retention policy of all collections."""

    def live(self, collection: str | None = None) -> list[Version]:
        return [
            version
            for version in self.versions.values()
            if version.is_live and collection in (None, version.collection)
        ]

    def delete(self, version: Version, now: datetime) -> None:
        """Deleting takes the aliases; they come back with it."""
        version.deleted_at = now

    def restore(self, version: Version, aliases: set[str], now: datetime) -> None:
        """What the next sweep would take never expires any more, or is exempt from policies."""
        version.deleted_at = None
        version.aliases = aliases
        if version.is_over(now):
            version.ttl = None
        if version in self.let_go():
            version.is_exempt = True

    def put_alias(self, version: Version, alias: str) -> None:
        for other in self.versions.values():
            if other.collection == version.collection:
                other.aliases.discard(alias)
        version.aliases.add(alias)

    def sweep(self, now: datetime) -> None:
        for version in self.live():
            if version.is_over(now) and not version.is_kept:
                version.deleted_at = now
        for version in self.let_go():
            if not version.is_exempt:
                version.deleted_at = now
        self.release(now)

    def let_go(self) -> list[Version]:
        found: list[Version] = []
        if self.keep_last is not None:
            for collection in {version.collection for version in self.live()}:
                newest = sorted(self.live(collection), key=lambda version: -version.number)
                found += [each for each in newest[self.keep_last :] if not each.is_kept]
        return found

    def release(self, now: datetime) -> None:
        """End what can be restored no more, and drafts that expired; a purge does this, too."""
        for thing in (*self.versions.values(), *self.runs.values()):
            if thing.deleted_at is not None and thing.deleted_at + UNDO <= now:
                thing.is_released = True
        for id in [id for id, draft in self.drafts.items() if draft.expires_at <= now]:
            del self.drafts[id]

    def needed(self) -> set[bytes]:
        """Return the contents that live things and restorable ones have."""
        return set(self._contents())

    def _contents(self) -> Iterator[bytes]:
        for thing in (*self.versions.values(), *self.runs.values()):
            if not thing.is_released:
                yield from thing.files.values()

    def in_drafts(self) -> set[bytes]:
        return {data for draft in self.drafts.values() for data in draft.files.values()}
