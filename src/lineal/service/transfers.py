"""What moves between client and instance: segments of manifests, and word of blobs.

Bytes themselves go straight to the store; here is only said what is missing, what has arrived
and where things are. Permission is checked here for every way to a byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.digest import Digest, storage_key, storage_keys
from lineal.core.manifest import (
    Entry,
    ManifestHead,
    Segment,
    SegmentHead,
    check_digest,
    check_segment,
)
from lineal.core.moments import in_utc
from lineal.core.records import DraftId, RunKey, VersionId
from lineal.core.transfers import Location, Upload
from lineal.db import blobs as blobs_db
from lineal.db import drafts as drafts_db
from lineal.db import manifests as manifests_db
from lineal.db import run_files as run_files_db
from lineal.db import versions as versions_db
from lineal.db.engine import batches
from lineal.errors import Conflict, Gone, IntegrityError, NotFound
from lineal.service.instance import Instance

if TYPE_CHECKING:
    from lineal.db.rows import AwaitedBlob, DraftRow, TotalsRow

PAGE_BLOBS = 50_000
"""Uploads listed per query; each looks through all new blobs of the manifest."""
PAGE_SEGMENTS = 16
"""Segments read per query: some 16,000 entries, 3 MB."""

CheckedSegment = tuple[Segment, list[Entry]]

# --- sending ------------------------------------------------------------------------------------


def find_draft(
    instance: Instance, connection: Connection, actor: Actor, draft_id: DraftId
) -> DraftRow:
    """Return a draft, finished ones too; raises NotFound, Gone when it expired unfinished."""
    draft = drafts_db.by_id(connection, draft_id)
    if draft is None:
        raise NotFound(f"No draft {draft_id} (you are {actor.name})")
    require_unexpired(draft, instance.clock.now())
    return draft


def lock_draft(instance: Instance, connection: Connection, draft_id: DraftId) -> DraftRow:
    """Return a draft that the sweep lets live until the transaction ends; Gone if it did not.

    What is read outside the transaction may be out of date: the sweep takes a draft's manifest
    and files only after it changed this row.
    """
    draft = drafts_db.by_id(connection, draft_id, lock=True)
    assert draft is not None  # drafts are never deleted
    require_unexpired(draft, instance.clock.now())
    return draft


def manifest_of(draft: DraftRow) -> int:
    """Return the manifest of a draft that did not expire."""
    assert draft.manifest_id is not None
    return draft.manifest_id


def is_expired(draft: DraftRow, now: datetime) -> bool:
    """Say whether an unfinished draft protects nothing any more (invariant 4)."""
    return draft.state == drafts_db.OPEN and is_late(draft, now)


def is_late(draft: DraftRow, now: datetime) -> bool:
    """Say whether nothing of an unfinished draft is kept for sure, also of a contribution."""
    return bool(draft.expires_at <= now or draft.manifest_id is None)


def require_unexpired(draft: DraftRow, now: datetime) -> None:
    """An expired draft protects nothing (invariant 4), so its bytes may be going already."""
    if is_expired(draft, now):
        raise Gone(f"Draft {draft.id} expired on {in_utc(draft.expires_at)}; log it again")


def check_segments(segments: Sequence[Segment]) -> list[CheckedSegment]:
    """Read segments and check all that their heads say; outside of any transaction."""
    return [(segment, check_segment(segment)) for segment in segments]


def _draft(instance: Instance, actor: Actor, draft_id: DraftId) -> DraftRow:
    access.require(actor, Action.WRITE, f"draft {draft_id}")
    with instance.database.reading() as connection:
        return find_draft(instance, connection, actor, draft_id)


def put_segments(
    instance: Instance, actor: Actor, draft_id: DraftId, segments: Sequence[Segment]
) -> None:
    """Take segments that `begin` called missing; sending one again changes nothing.

    Raises NotFound, Gone, IntegrityError (one that is not what its head says; then none is taken).
    """
    _draft(instance, actor, draft_id)
    checked = check_segments(segments)
    with instance.database.writing() as connection:
        draft = lock_draft(instance, connection, draft_id)
        if draft.state == drafts_db.OPEN:  # otherwise it is complete
            fill(connection, manifests_db.missing_segments(connection, manifest_of(draft)), checked)


def fill(
    connection: Connection, missing: dict[Digest, int], segments: Sequence[CheckedSegment]
) -> tuple[Digest, ...]:
    """Record those of the segments that a manifest lacks; returns what it lacks still.

    missing: digest → id of what it lacks now; what is recorded is taken out.
    """
    for segment, entries in segments:
        segment_id = missing.pop(segment.head.digest, None)
        if segment_id is not None:
            manifests_db.fill_segment(connection, segment_id, segment, entries)
    return tuple(missing)


def missing_blobs(instance: Instance, actor: Actor, draft_id: DraftId) -> Iterator[Upload]:
    """Yield one upload per blob that is not stored yet, each once, in no useful order.

    Raises NotFound or Gone with the first.
    """
    draft = _draft(instance, actor, draft_id)
    if draft.manifest_id is None:  # it was committed, and the version's content was let go
        return
    after = 0
    while True:
        with instance.database.reading() as connection:
            rows = blobs_db.awaited(connection, draft.manifest_id, after=after, limit=PAGE_BLOBS)
        yield from _uploads(rows, draft.nonce)
        if len(rows) < PAGE_BLOBS:
            return
        after = rows[-1].id


def first_uploads(
    connection: Connection, manifest_id: int, nonce: str, *, most: int
) -> tuple[Upload, ...] | None:
    """Return what `missing_blobs` would yield if that is not more than so many, else None."""
    rows = blobs_db.awaited(connection, manifest_id, limit=most + 1)
    return None if len(rows) > most else tuple(_uploads(rows, nonce))


def _uploads(rows: Sequence[AwaitedBlob], nonce: str) -> Iterator[Upload]:
    keys = storage_keys([digest for _, digest, _ in rows], nonce)
    for (_, digest, size_bytes), key in zip(rows, keys, strict=True):
        yield Upload(digest, size_bytes, key)


def confirm(instance: Instance, actor: Actor, draft_id: DraftId, sent: Sequence[Upload]) -> None:
    """Make blobs durable and known, so that a later attempt need not send them (SEM-13).

    The store is asked for each. Raises NotFound, Gone, Conflict if one is not there or has another
    size.
    """
    draft = _draft(instance, actor, draft_id)
    digests = [upload.digest for upload in sent]
    keys = storage_keys(digests, draft.nonce)
    for upload, size in zip(sent, instance.store.sync(keys), strict=True):
        if size != upload.size:
            raise Conflict(f"Blob {upload.digest} was not sent whole; send it again")
    with instance.database.writing() as connection:
        locked = lock_draft(instance, connection, draft_id)
        if locked.state != drafts_db.OPEN or locked.nonce != draft.nonce:
            return  # committed, or opened anew: the files looked at are not its files any more
        now = instance.clock.now()
        blobs_db.mark_stored(connection, digests, draft_id=draft.id, nonce=draft.nonce, now=now)


def stored_now(instance: Instance, draft: DraftRow, rows: Sequence[AwaitedBlob]) -> list[Digest]:
    """Return those of a draft's awaited blobs whose bytes are in the store, made durable."""
    sizes = instance.store.sync(storage_keys([digest for _, digest, _ in rows], draft.nonce))
    return [
        Digest(digest)
        for (_, digest, size_bytes), size in zip(rows, sizes, strict=True)
        if size == size_bytes
    ]


def complete(
    instance: Instance,
    connection: Connection,
    locked: DraftRow,
    stored: Sequence[Digest],
    *,
    nonce: str,
) -> TotalsRow:
    """Make a draft's blobs known as stored, and return the totals of its manifest.

    locked: the draft as it is in this transaction; stored: its blobs whose bytes were found in
    the store under this nonce. Raises Conflict if bytes or segments are still not stored: no
    version references such (invariant 1).
    """
    if locked.nonce == nonce:  # else it was opened anew meanwhile: the files are not its own
        now = instance.clock.now()
        blobs_db.mark_stored(connection, stored, draft_id=locked.id, nonce=nonce, now=now)
    totals = manifests_db.manifest_totals(connection, manifest_of(locked))
    if totals.unstored_count:
        raise Conflict(
            f"Draft {locked.id} cannot be committed: {totals.unstored_count} of its segments and "
            "blobs are not stored; send what `missing_blobs` lists and commit again"
        )
    return totals


# --- reading ------------------------------------------------------------------------------------


def manifest(instance: Instance, actor: Actor, version_id: VersionId) -> ManifestHead:
    """Return the list of a version's segments; Gone if its content was released."""
    access.require(actor, Action.READ, f"version {version_id}")
    with instance.database.reading() as connection:
        return manifests_db.manifest_head(connection, _manifest_id(connection, actor, version_id))


def read_segments(
    instance: Instance, actor: Actor, version_id: VersionId, heads: Sequence[SegmentHead]
) -> Iterator[Segment]:
    """Yield segments of a version in the order asked; raises IntegrityError for a damaged one.

    Whoever adds to a version asks for them one by one: the list of all is not read each time.
    """
    access.require(actor, Action.READ, f"version {version_id}")
    asked = [head.digest for head in heads]
    with instance.database.reading() as connection:
        manifest_id = _manifest_id(connection, actor, version_id)
        own = manifests_db.segments_among(connection, manifest_id, asked)
    foreign = [digest for digest in asked if digest not in own]
    if foreign:
        raise NotFound(f"Version {version_id} has no segment {foreign[0]}")
    return segments(instance, heads)


def _manifest_id(connection: Connection, actor: Actor, version_id: VersionId) -> int:
    found = versions_db.manifest_id(connection, version_id)
    if found is not None:
        return found
    version = versions_db.by_id(connection, version_id)
    if version is None:
        raise NotFound(f"No version {version_id} (you are {actor.name})")
    raise Gone(f"The content of {version.path} was released and cannot come back")


def segments(instance: Instance, heads: Sequence[SegmentHead]) -> Iterator[Segment]:
    """Yield segments in the order asked; for callers that may read them.

    Raises IntegrityError for one that is missing, has no content yet, or is damaged.
    """
    for page in batches(heads, PAGE_SEGMENTS):
        with instance.database.reading() as connection:
            lines = manifests_db.segment_lines(connection, [head.digest for head in page])
        for head in page:
            if head.digest not in lines:
                raise IntegrityError(f"Manifest segment {head.digest} is missing")
            segment = Segment(head, lines[head.digest])
            check_digest(segment)
            yield segment


def locate(
    instance: Instance, actor: Actor, version_id: VersionId, digests: Sequence[Digest]
) -> dict[Digest, Location]:
    """Say where blobs of a version are; those that are not its own are left out.

    A digest alone opens nothing: who may read one version must not read the bytes of another.
    A deleted version answers until it is released.
    """
    access.require(actor, Action.READ, f"version {version_id}")
    with instance.database.reading() as connection:
        rows = blobs_db.stored_of_version(connection, version_id, digests)
    return _locations(instance, rows)


def locate_run_files(
    instance: Instance, actor: Actor, run: RunKey, digests: Sequence[Digest]
) -> dict[Digest, Location]:
    """Say where blobs of a run's files are; others are left out, as by `locate`."""
    access.require(actor, Action.READ, f"run {run}")
    with instance.database.reading() as connection:
        rows = run_files_db.stored(connection, run, digests)
    return _locations(instance, rows)


def _locations(
    instance: Instance, rows: Sequence[tuple[Digest, int, str]]
) -> dict[Digest, Location]:
    """Say where blobs are; rows: the digest, size in bytes and nonce of each."""
    keys = [storage_key(digest, nonce) for digest, _, nonce in rows]
    found = {}
    for (digest, size, _), key, place in zip(rows, keys, instance.store.places(keys), strict=True):
        if place is None:
            found[digest] = Location(digest, size, key)
        elif place.pack_offset is None:
            found[digest] = Location(digest, size, key, path=place.path)
        else:
            found[digest] = Location(digest, size, key, pack=place.path, offset=place.pack_offset)
    return found


def births(
    instance: Instance, actor: Actor, version_id: VersionId, digests: Sequence[Digest]
) -> dict[Digest, VersionId]:
    """Say which version first stored the blobs that a version has, where that is known.

    Left out are bytes that came as a file of a run, or by a draft that was never committed.
    Source: SEM-4.
    """
    access.require(actor, Action.READ, f"version {version_id}")
    with instance.database.reading() as connection:
        found = blobs_db.births(connection, version_id, digests)
    return {digest: VersionId(born) for digest, born in found.items()}
