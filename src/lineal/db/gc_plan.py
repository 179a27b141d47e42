"""What a sweep would find, counted without touching anything: sums over every blob there is.

Each blob gets the rank of the strongest thing that needs it (`LIVE` first). A segment has the rank
of the best manifest it is in, so that the many pairs are read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    union,
    union_all,
)

from lineal.core.gc import Amount, Reason
from lineal.db import full_names
from lineal.db.blobs import CONDEMNED, STORED, has_state
from lineal.db.conditions import LIVE_VERSION
from lineal.db.drafts import UNFINISHED, is_under_way
from lineal.db.engine import batches, listed
from lineal.db.gc import is_undone_no_more
from lineal.db.schema import (
    blobs,
    drafts,
    manifest_segments,
    manifests,
    run_files,
    runs,
    segment_blobs,
    segments,
    versions,
)

REASONS = tuple(Reason)
"""A rank is an index into it."""
_RANK = {reason: rank for rank, reason in enumerate(REASONS)}


class Survivors:
    """What is left after a sweep at a moment: a CTE for each link of the chain."""

    def __init__(
        self, connection: Connection, *, cutoff: datetime, now: datetime, doomed: Sequence[int] = ()
    ) -> None:
        """cutoff: what was deleted later can still be undone.

        doomed: live versions that are deleted and released by the same sweep.
        """
        is_live: ColumnElement[bool] = LIVE_VERSION
        if doomed:
            is_live = and_(is_live, versions.c.id.not_in(listed(connection, doomed)))
        self.is_live = is_live
        self.is_undoable = versions.c.deleted_at > cutoff
        self.is_draft = is_under_way(now)
        self.run_rank = case(
            (runs.c.deleted_at.is_(None), _RANK[Reason.RUN_FILE]),
            (runs.c.deleted_at > cutoff, _RANK[Reason.UNDO]),
        )
        self.manifests = self._manifests()
        self.segments = self._segments()

    def _manifests(self) -> CTE:
        rank = case((self.is_live, _RANK[Reason.LIVE]), else_=_RANK[Reason.UNDO])
        of_versions = select(versions.c.manifest_id.label("id"), rank.label("rank")).where(
            versions.c.manifest_id.is_not(None), or_(self.is_live, self.is_undoable)
        )
        of_drafts = select(drafts.c.manifest_id, literal(_RANK[Reason.DRAFT])).where(
            drafts.c.manifest_id.is_not(None), self.is_draft
        )
        return union_all(of_versions, of_drafts).cte("surviving_manifests")

    def _segments(self) -> CTE:
        return (
            select(
                manifest_segments.c.segment_id.label("id"),
                func.min(self.manifests.c.rank).label("rank"),
            )
            .join(self.manifests, self.manifests.c.id == manifest_segments.c.manifest_id)
            .group_by(manifest_segments.c.segment_id)
            .cte("surviving_segments")
        )

    def needs_of(self, chosen: CTE) -> CompoundSelect[Any]:
        """Return the ids of those blobs (`chosen.blob_id`) that are needed; for few of them."""
        # a step of its own, for else SQLite tries every segment with every blob
        pairs = (
            select(segment_blobs.c.blob_id.label("id"), segment_blobs.c.segment_id)
            .join(chosen, chosen.c.blob_id == segment_blobs.c.blob_id)
            .distinct()
            .cte("pairs")
        )
        in_segments = select(pairs.c.id).where(pairs.c.segment_id.in_(select(self.segments.c.id)))
        in_runs = (
            select(run_files.c.blob_id)
            .join(runs, runs.c.id == run_files.c.run_id)
            .where(run_files.c.blob_id.in_(select(chosen.c.blob_id)), self.run_rank.is_not(None))
        )
        return union(in_segments, in_runs)

    def needs(self) -> CTE:
        """Return (id, rank) of the blobs that are needed."""
        of_segments = select(segment_blobs.c.blob_id.label("id"), self.segments.c.rank).join(
            self.segments, self.segments.c.id == segment_blobs.c.segment_id
        )
        of_runs = (
            select(run_files.c.blob_id, self.run_rank)
            .join(runs, runs.c.id == run_files.c.run_id)
            .where(self.run_rank.is_not(None))
        )
        uses = union_all(of_segments, of_runs).subquery("uses")
        return (
            select(uses.c.id, func.min(uses.c.rank).label("rank"))
            .group_by(uses.c.id)
            .cte("needed_blobs")
        )


# --- sums ---------------------------------------------------------------------------------------


def amounts(connection: Connection, survivors: Survivors) -> dict[Reason | None, Amount]:
    """Return stored blobs by what needs them; None: nothing does."""
    needs = survivors.needs()
    query = (
        select(needs.c.rank, func.count(), func.coalesce(func.sum(blobs.c.size_bytes), 0))
        .select_from(blobs)
        .outerjoin(needs, needs.c.id == blobs.c.id)
        .where(has_state(STORED))
        .group_by(needs.c.rank)
    )
    return {
        None if rank is None else REASONS[rank]: Amount(count, int(size))
        for rank, count, size in connection.execute(query)
    }


def condemned_amount(connection: Connection) -> Amount:
    query = select(func.count(), func.coalesce(func.sum(blobs.c.size_bytes), 0)).where(
        has_state(CONDEMNED)
    )
    count, size = connection.execute(query).one()
    return Amount(count, int(size))


def unneeded_counts(connection: Connection, survivors: Survivors) -> tuple[int, int]:
    """Count (manifests, segments) that go."""
    kept = select(survivors.manifests.c.id)
    lost_manifests = select(func.count()).where(manifests.c.id.not_in(kept))
    lost_segments = select(func.count()).where(
        segments.c.id.not_in(select(survivors.segments.c.id))
    )
    return (
        connection.execute(lost_manifests).scalar_one(),
        connection.execute(lost_segments).scalar_one(),
    )


def release_amount(connection: Connection, cutoff: datetime) -> Amount:
    """Return how many versions are released, and the sum of their sizes."""
    query = select(func.count(), func.coalesce(func.sum(versions.c.size_bytes), 0)).where(
        is_undone_no_more(versions, cutoff)
    )
    count, size = connection.execute(query).one()
    return Amount(count, int(size))


def sizes_of(connection: Connection, ids: Sequence[int]) -> int:
    query = select(func.coalesce(func.sum(versions.c.size_bytes), 0))
    return int(
        connection.execute(query.where(versions.c.id.in_(listed(connection, ids)))).scalar_one()
    )


def run_count(connection: Connection, cutoff: datetime) -> int:
    query = select(func.count()).where(is_undone_no_more(runs, cutoff))
    return int(connection.execute(query).scalar_one())


def expired_draft_count(connection: Connection, now: datetime) -> int:
    query = select(func.count()).where(
        drafts.c.manifest_id.is_not(None),
        drafts.c.state.in_(UNFINISHED),
        drafts.c.expires_at <= now,
    )
    return int(connection.execute(query).scalar_one())


def earliest(connection: Connection, cutoff: datetime, now: datetime) -> dict[Reason, datetime]:
    """Return the earliest deletion that can be undone, and the earliest end of a draft."""
    deleted = [
        connection.execute(select(func.min(table.c.deleted_at)).where(table.c.deleted_at > cutoff))
        for table in (versions, runs)
    ]
    moments = [moment for moment in (found.scalar() for found in deleted) if moment is not None]
    ends = connection.execute(
        select(func.min(drafts.c.expires_at)).where(
            drafts.c.manifest_id.is_not(None), is_under_way(now)
        )
    ).scalar()
    found: dict[Reason, datetime] = {}
    if moments:
        found[Reason.UNDO] = min(moments)
    if ends is not None:
        found[Reason.DRAFT] = ends
    return found


# --- of some versions ---------------------------------------------------------------------------


def parts(
    connection: Connection, survivors: Survivors, version_ids: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """Return (bytes that go, bytes that stay) of the content of a few versions."""
    own = (
        select(versions.c.id.label("version_id"), segment_blobs.c.blob_id)
        .join(manifest_segments, manifest_segments.c.manifest_id == versions.c.manifest_id)
        .join(segment_blobs, segment_blobs.c.segment_id == manifest_segments.c.segment_id)
        .where(versions.c.id.in_(version_ids))
        .distinct()
        .cte("own")
    )
    stays = survivors.needs_of(own).subquery("stays")
    size = blobs.c.size_bytes
    query = (
        select(
            own.c.version_id,
            func.sum(size),
            func.sum(case((stays.c.id.is_not(None), size), else_=0)),
        )
        .join(blobs, blobs.c.id == own.c.blob_id)
        .outerjoin(stays, stays.c.id == own.c.blob_id)
        .where(has_state(STORED))
        .group_by(own.c.version_id)
    )
    return {id: (int(size) - int(stay), int(stay)) for id, size, stay in connection.execute(query)}


def parts_together(
    connection: Connection, survivors: Survivors, version_ids: Sequence[int]
) -> tuple[int, int]:
    """Return (bytes that go, bytes that stay) of many versions; what they share counts once."""
    theirs = (
        select(segment_blobs.c.blob_id)
        .join(manifest_segments, manifest_segments.c.segment_id == segment_blobs.c.segment_id)
        .join(versions, versions.c.manifest_id == manifest_segments.c.manifest_id)
        .where(versions.c.id.in_(listed(connection, version_ids)))
        .distinct()
        .cte("theirs")
    )
    stays = blobs.c.id.in_(survivors.needs_of(theirs))
    sizes = select(
        func.coalesce(func.sum(blobs.c.size_bytes), 0),
        func.coalesce(func.sum(case((stays, blobs.c.size_bytes), else_=0)), 0),
    ).where(blobs.c.id.in_(select(theirs.c.blob_id)), has_state(STORED))
    every, staying = connection.execute(sizes).one()
    return int(every - staying), int(staying)


def sharers(connection: Connection, survivors: Survivors, version_id: int, limit: int) -> list[str]:
    """Return some of the versions, runs and drafts that need content of a version, too."""
    own = (
        select(segment_blobs.c.blob_id)
        .join(manifest_segments, manifest_segments.c.segment_id == segment_blobs.c.segment_id)
        .join(versions, versions.c.manifest_id == manifest_segments.c.manifest_id)
        .where(versions.c.id == version_id)
    )
    return needing(connection, survivors, own, limit)


def needing(
    connection: Connection, survivors: Survivors, blob_ids: Select[Any] | Sequence[int], limit: int
) -> list[str]:
    """Name some of what will still need any of these blobs."""
    its_segments = select(segment_blobs.c.segment_id).where(segment_blobs.c.blob_id.in_(blob_ids))
    holding = select(manifest_segments.c.manifest_id).where(
        manifest_segments.c.segment_id.in_(its_segments)
    )
    of_versions = full_names.named_versions().where(
        versions.c.manifest_id.in_(holding), or_(survivors.is_live, survivors.is_undoable)
    )
    of_runs = full_names.named_run_files().where(
        run_files.c.blob_id.in_(blob_ids), survivors.run_rank.is_not(None)
    )
    of_drafts = full_names.named_drafts().where(
        drafts.c.manifest_id.in_(holding), survivors.is_draft
    )
    names: list[str] = []
    for query in (of_versions, of_runs, of_drafts):
        names += [str(row[0]) for row in connection.execute(query.limit(limit - len(names)))]
        if len(names) >= limit:
            break
    return names


def names_of(connection: Connection, ids: Sequence[int]) -> dict[int, Row[Any]]:
    """Return (id, name, size_bytes) of versions by id."""
    found: dict[int, Row[Any]] = {}
    for batch in batches(ids):
        query = full_names.named_versions(versions.c.id, versions.c.size_bytes)
        for row in connection.execute(query.where(versions.c.id.in_(batch))):
            found[row.id] = row
    return found
