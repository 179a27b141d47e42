"""What nothing needs any more: found, locked, looked at again, taken away.

Each function that takes away is one step of one transaction: it locks the candidates it is
given, looks again in a second statement, and acts on those that still are what they were. On
PostgreSQL a statement sees the rows as they were when it began, so a single statement could miss
a draft that committed meanwhile. Rows that somebody holds are skipped: the sweep waits for nobody,
so nobody can wait for it in a circle; what was skipped is found by the next sweep.
(docs/design/003-deletion.md; who holds what is said in db/blobs.py.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, exists, select, update

from lineal.core.gc import Amount
from lineal.db.blobs import AWAITED, CONDEMNED, IS_LIVE, STORED, has_state
from lineal.db.drafts import UNFINISHED, is_under_way
from lineal.db.engine import batches, listed, on_sqlite
from lineal.db.schema import (
    blobs,
    drafts,
    line_chunks,
    manifest_segments,
    manifests,
    run_files,
    runs,
    segment_blobs,
    segments,
    versions,
)

ROWS_AT_ONCE = 10_000
"""Of a statement whose rows are read as they come."""

# --- conditions ---------------------------------------------------------------------------------


def is_undone_no_more(table: Table, cutoff: datetime) -> ColumnElement[bool]:
    """Say of a version or run: deleted before the undo period began, and not released yet."""
    return and_(table.c.deleted_at <= cutoff, table.c.released_at.is_(None))


def is_dead_draft(now: datetime) -> ColumnElement[bool]:
    """Say of a draft that it has a manifest and no use for it: committed, or expired."""
    return and_(drafts.c.manifest_id.is_not(None), ~is_under_way(now))


def _is_unneeded_manifest() -> ColumnElement[bool]:
    return and_(
        ~exists().where(versions.c.manifest_id == manifests.c.id),
        ~exists().where(drafts.c.manifest_id == manifests.c.id),
    )


def _is_unneeded_segment() -> ColumnElement[bool]:
    return ~exists().where(manifest_segments.c.segment_id == segments.c.id)


def is_unneeded_blob() -> ColumnElement[bool]:
    return and_(
        ~exists().where(segment_blobs.c.blob_id == blobs.c.id),
        ~exists().where(run_files.c.blob_id == blobs.c.id),
    )


def _locked(connection: Connection, table: Table, ids: Sequence[int]) -> list[int]:
    """Lock rows that nobody else holds; SQLite's writer holds everything already."""
    if on_sqlite(connection):
        return list(ids)
    found: list[int] = []
    for batch in batches(ids):
        query = select(table.c.id).where(table.c.id.in_(batch)).order_by(table.c.id)
        found += connection.execute(query.with_for_update(skip_locked=True)).scalars()
    return found


def _still(
    connection: Connection, table: Table, ids: Iterable[int], condition: ColumnElement[bool]
) -> list[int]:
    found: list[int] = []
    for batch in batches(ids):
        query = select(table.c.id).where(table.c.id.in_(batch), condition)
        found += connection.execute(query).scalars()
    return found


# --- release ------------------------------------------------------------------------------------


def releasable_versions(
    cutoff: datetime, connection: Connection, *, after: int, limit: int
) -> list[int]:
    """Return ids of versions whose undo period ended, by id."""
    return _releasable(versions, cutoff, connection, after=after, limit=limit)


def releasable_runs(
    cutoff: datetime, connection: Connection, *, after: int, limit: int
) -> list[int]:
    """Return ids of runs whose undo period ended, by id."""
    return _releasable(runs, cutoff, connection, after=after, limit=limit)


def _releasable(
    table: Table, cutoff: datetime, connection: Connection, *, after: int, limit: int
) -> list[int]:
    query = select(table.c.id).where(is_undone_no_more(table, cutoff), table.c.id > after)
    return list(connection.execute(query.order_by(table.c.id).limit(limit)).scalars())


def dead_drafts(now: datetime, connection: Connection, *, after: int, limit: int) -> list[int]:
    query = select(drafts.c.id).where(is_dead_draft(now), drafts.c.id > after)
    return list(connection.execute(query.order_by(drafts.c.id).limit(limit)).scalars())


def release_versions(
    connection: Connection, ids: Sequence[int], cutoff: datetime, now: datetime
) -> int:
    """Take the content from tombstones whose undo period ended; returns how many."""
    mine = _locked(connection, versions, ids)
    ended = _still(connection, versions, mine, is_undone_no_more(versions, cutoff))
    for batch in batches(ended):
        statement = update(versions).where(versions.c.id.in_(batch))
        connection.execute(statement.values(manifest_id=None, released_at=now))
    return len(ended)


def release_runs(
    connection: Connection, ids: Sequence[int], cutoff: datetime, now: datetime
) -> int:
    """Take files and lines from deleted runs whose undo period ended; returns how many."""
    mine = _locked(connection, runs, ids)
    ended = _still(connection, runs, mine, is_undone_no_more(runs, cutoff))
    for batch in batches(ended):
        connection.execute(delete(run_files).where(run_files.c.run_id.in_(batch)))
        connection.execute(delete(line_chunks).where(line_chunks.c.run_id.in_(batch)))
        connection.execute(update(runs).where(runs.c.id.in_(batch)).values(released_at=now))
    return len(ended)


def release_drafts(connection: Connection, ids: Sequence[int], now: datetime) -> int:
    """Take the manifest from drafts that were committed or expired; returns how many expired.

    From then on their nonces protect no file (`nonces`).
    """
    mine = _locked(connection, drafts, ids)
    dead = _still(connection, drafts, mine, is_dead_draft(now))
    expired = _still(connection, drafts, dead, drafts.c.state.in_(UNFINISHED))
    for batch in batches(dead):
        connection.execute(update(drafts).where(drafts.c.id.in_(batch)).values(manifest_id=None))
    return len(expired)


# --- prune --------------------------------------------------------------------------------------


def unneeded_manifests(connection: Connection, *, after: int, limit: int) -> list[int]:
    query = select(manifests.c.id).where(manifests.c.id > after, _is_unneeded_manifest())
    return list(connection.execute(query.order_by(manifests.c.id).limit(limit)).scalars())


def prune_manifests(connection: Connection, ids: Sequence[int]) -> int:
    """Delete manifests that no version and no draft has; returns how many."""
    mine = _locked(connection, manifests, ids)
    unneeded = _still(connection, manifests, mine, _is_unneeded_manifest())
    for batch in batches(unneeded):
        of_them = manifest_segments.c.manifest_id.in_(batch)
        connection.execute(delete(manifest_segments).where(of_them))
        connection.execute(delete(manifests).where(manifests.c.id.in_(batch)))
    return len(unneeded)


def unneeded_segments(
    connection: Connection, *, after: int, limit: int
) -> list[Row[*tuple[Any, ...]]]:
    """Return (id, entry_count) of segments that no manifest has, by id."""
    query = select(segments.c.id, segments.c.entry_count).where(
        segments.c.id > after, _is_unneeded_segment()
    )
    return list(connection.execute(query.order_by(segments.c.id).limit(limit)).all())


def prune_segments(connection: Connection, ids: Sequence[int]) -> int:
    """Delete segments that no manifest has, with their pairs; returns how many."""
    mine = _locked(connection, segments, ids)
    unneeded = _still(connection, segments, mine, _is_unneeded_segment())
    for batch in batches(unneeded):
        connection.execute(delete(segment_blobs).where(segment_blobs.c.segment_id.in_(batch)))
        connection.execute(delete(segments).where(segments.c.id.in_(batch)))
    return len(unneeded)


# --- condemn, and drop when the bytes are gone ---------------------------------------------------


def unneeded_blobs(connection: Connection, *, after: int, limit: int) -> list[int]:
    """Return ids of blobs, stored or awaited, that no segment and no run file has, by id."""
    query = select(blobs.c.id).where(blobs.c.id > after, IS_LIVE, is_unneeded_blob())
    return list(connection.execute(query.order_by(blobs.c.id).limit(limit)).scalars())


def condemn(connection: Connection, ids: Sequence[int], now: datetime) -> Amount:
    """Mark stored blobs that are still unneeded `condemned` (invariant 3); returns their amount.

    Awaited ones have no bytes that a row tells of: they are deleted at once.
    """
    mine = _locked(connection, blobs, ids)
    count = size_bytes = 0
    for batch in batches(mine):
        chosen = and_(blobs.c.id.in_(batch), is_unneeded_blob())
        connection.execute(delete(blobs).where(chosen, has_state(AWAITED)))
        statement = update(blobs).where(chosen, has_state(STORED))
        rows = connection.execute(
            statement.values(state=CONDEMNED, condemned_at=now).returning(blobs.c.size_bytes)
        )
        sizes = list(rows.scalars())
        count, size_bytes = count + len(sizes), size_bytes + sum(sizes)
    return Amount(count, size_bytes)


def condemned(connection: Connection, *, after: int, limit: int) -> list[Row[*tuple[Any, ...]]]:
    """Return (id, digest, nonce, size_bytes) of blobs whose bytes may go, by id."""
    query = select(blobs.c.id, blobs.c.digest, blobs.c.nonce, blobs.c.size_bytes).where(
        blobs.c.id > after, has_state(CONDEMNED)
    )
    return list(connection.execute(query.order_by(blobs.c.id).limit(limit)).all())


def drop(connection: Connection, ids: Iterable[int]) -> set[int]:
    """Forget condemned blobs whose bytes are deleted; returns those that nobody else forgot."""
    dropped: set[int] = set()
    for batch in batches(ids):
        rows = delete(blobs).where(blobs.c.id.in_(batch), has_state(CONDEMNED))
        dropped.update(connection.execute(rows.returning(blobs.c.id)).scalars())
    return dropped


# --- strays -------------------------------------------------------------------------------------


def nonces(
    connection: Connection, wanted: Iterable[str], *, expired_by: datetime | None = None
) -> dict[str, bool]:
    """Say of those that are nonces of drafts whether files under them may still be recorded.

    Whoever records files under a nonce holds the draft's row and finds the manifest there, so
    once a nonce is dead no file under it can become a blob. expired_by: for a plan, as if drafts
    that are expired at this moment were released already.
    """
    found: dict[str, bool] = {}
    for batch in batches(set(wanted)):
        query = select(
            drafts.c.nonce, drafts.c.state, drafts.c.manifest_id, drafts.c.expires_at
        ).where(drafts.c.nonce.in_(batch))
        for nonce, state, manifest_id, expires_at in connection.execute(query):
            is_over = expired_by is not None and expires_at <= expired_by
            is_unfinished = state in UNFINISHED and not is_over
            found[nonce] = is_unfinished and manifest_id is not None
    return found


def recorded(connection: Connection, digests: Iterable[str]) -> set[tuple[str, str]]:
    """Return the (digest, nonce) pairs of these digests that rows tell of, condemned or not."""
    found: set[tuple[str, str]] = set()
    for batch in batches(set(digests)):
        for part in (IS_LIVE, has_state(CONDEMNED)):  # an index for each
            query = select(blobs.c.digest, blobs.c.nonce).where(
                blobs.c.digest.in_(batch), part, blobs.c.nonce.is_not(None)
            )
            found.update((digest, nonce) for digest, nonce in connection.execute(query))
    return found


def recorded_nonces(connection: Connection, nonces: Iterable[str]) -> set[str]:
    """Return those nonces under which rows tell of a blob; looks at every row."""
    wanted = list(nonces)
    if not wanted:
        return set()
    query = select(blobs.c.nonce).where(blobs.c.nonce.in_(wanted)).distinct()
    return set(connection.execute(query).scalars())


# --- the strict path ----------------------------------------------------------------------------


def versions_in(connection: Connection, collection_id: int) -> list[int]:
    """Return the ids of all versions that were logged to a collection, tombstones too."""
    query = select(versions.c.id).where(versions.c.collection_id == collection_id)
    return list(connection.execute(query.order_by(versions.c.id)).scalars())


def content_of(
    connection: Connection, version_ids: Sequence[int]
) -> Iterator[Row[*tuple[Any, ...]]]:
    """Yield (id, digest, nonce, size_bytes) of the stored blobs of versions, each once, by digest.

    In one statement: which blobs are of the versions is not found out anew for each page.
    """
    needed = (
        select(segment_blobs.c.blob_id)
        .join(manifest_segments, manifest_segments.c.segment_id == segment_blobs.c.segment_id)
        .join(versions, versions.c.manifest_id == manifest_segments.c.manifest_id)
        .where(versions.c.id.in_(listed(connection, version_ids)))
    )
    query = select(blobs.c.id, blobs.c.digest, blobs.c.nonce, blobs.c.size_bytes).where(
        blobs.c.id.in_(needed), has_state(STORED)
    )
    in_parts = {"yield_per": ROWS_AT_ONCE}
    yield from connection.execute(query.order_by(blobs.c.digest), execution_options=in_parts)


def release_at_once(connection: Connection, version_ids: Sequence[int], now: datetime) -> None:
    """Take the content from versions whatever the undo period, and from the drafts they came of."""
    for batch in batches(version_ids):
        of_them = and_(versions.c.id.in_(batch), versions.c.released_at.is_(None))
        connection.execute(
            update(versions).where(of_them).values(manifest_id=None, released_at=now)
        )
        connection.execute(
            update(drafts).where(drafts.c.version_id.in_(batch)).values(manifest_id=None)
        )


def still_stored(connection: Connection, ids: Iterable[int]) -> set[int]:
    return set(_still(connection, blobs, ids, has_state(STORED)))
