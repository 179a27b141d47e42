"""Manifests and their segments: what a version has, and which blobs that needs.

Who holds which rows, and why the sweep never takes one that is needed, is said in db/blobs.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from sqlalchemy import BigInteger, Connection, Insert, Text, bindparam, func, select, update
from sqlalchemy import insert as plain_insert

from lineal.core.digest import Digest
from lineal.core.manifest import Entry, ManifestHead, Segment, SegmentHead
from lineal.core.manifest import manifest_head as build_head
from lineal.db.blobs import IS_LIVE, STORED, add_awaited, has_state, of_manifest
from lineal.db.compression import compress, decompress
from lineal.db.engine import batches, each_pair, insert_new
from lineal.db.prepared import Prepared
from lineal.db.schema import blobs, manifest_segments, manifests, segment_blobs, segments
from lineal.errors import IntegrityError

if TYPE_CHECKING:
    from lineal.db.rows import TotalsRow

# Statements of the path that every logged version takes.
_SEGMENT_IDS = (
    select(segments.c.digest, segments.c.id)
    .where(segments.c.digest.in_(bindparam("digests", expanding=True)))
    .with_for_update(read=True, key_share=True)
)
_PAIR_COUNT = Prepared(
    select(func.count()).where(segment_blobs.c.segment_id == bindparam("segment"))
)
_FILL = Prepared(update(segments).where(segments.c.id == bindparam("segment")))
_missing = (
    select(segments.c.digest, segments.c.id)
    .join(manifest_segments, manifest_segments.c.segment_id == segments.c.id)
    .where(manifest_segments.c.manifest_id == bindparam("manifest"), segments.c.content.is_(None))
    .order_by(manifest_segments.c.position)
)
_MISSING_SEGMENTS = Prepared(_missing)
_TOTALS = Prepared(
    select(
        manifests,
        (
            select(func.count())
            .select_from(of_manifest(select(blobs.c.id), ~has_state(STORED)).subquery())
            .scalar_subquery()
            + select(func.count()).select_from(_missing.order_by(None).subquery()).scalar_subquery()
        ).label("unstored_count"),
    ).where(manifests.c.id == bindparam("manifest"))
)
_HELD_MANIFEST = Prepared(
    select(manifests.c.id)
    .where(manifests.c.digest == bindparam("content"))
    .with_for_update(read=True, key_share=True)
)
_ADD_MANIFEST_SEGMENT = Prepared(plain_insert(manifest_segments))


@Prepared
def _add_segments(is_sqlite: bool) -> Insert:
    return insert_new(is_sqlite, segments).returning(segments.c.digest, segments.c.id)


@Prepared
def _add_manifest(is_sqlite: bool) -> Insert:
    return insert_new(is_sqlite, manifests).returning(manifests.c.id)


@Prepared
def _add_pairs(is_sqlite: bool) -> Insert:
    """Pair a segment with the live rows of digests, and hold these rows."""
    digest, _ = each_pair(is_sqlite, bindparam("sizes", type_=Text))
    rows = (
        select(bindparam("segment", type_=BigInteger), blobs.c.id)
        .where(blobs.c.digest.in_(select(digest)), IS_LIVE)
        .with_for_update(read=True, of=blobs)
    )
    return insert_new(is_sqlite, segment_blobs).from_select(["segment_id", "blob_id"], rows)


def ensure_manifest(
    connection: Connection, head: ManifestHead
) -> tuple[int, dict[Digest, int] | None]:
    """Return the id of a manifest, recording it and its segments (still without content).

    And digest → id of its segments in order if all are new, else None: `missing_segments` tells.
    The manifest, if it was there, or else its segments are locked until the transaction ends:
    the sweep takes neither away before a draft points to them. A segment's pairs keep its blobs.
    """
    values = {
        "digest": head.digest,
        "entry_count": head.entry_count,
        "size_bytes": head.size_bytes,
    }
    manifest_id = None
    while manifest_id is None:  # PostgreSQL: GC may take one away between the two statements
        manifest_id = _add_manifest.value(connection, **values)
        if manifest_id is None:
            known = _HELD_MANIFEST.value(connection, content=head.digest)
            if known is not None:
                return int(known), None
    ids, are_new = _ensure_segments(connection, head.segments)
    if head.segments:
        _ADD_MANIFEST_SEGMENT.run_each(
            connection,
            [
                {"manifest_id": manifest_id, "position": position, "segment_id": ids[part.digest]}
                for position, part in enumerate(head.segments)
            ],
        )
    in_order = {part.digest: ids[part.digest] for part in head.segments}
    return int(manifest_id), in_order if are_new else None


def _ensure_segments(
    connection: Connection, heads: Sequence[SegmentHead]
) -> tuple[dict[Digest, int], bool]:
    """Return digest → id of segments, and whether all of them are new."""
    wanted = {head.digest: head for head in heads}
    ids: dict[Digest, int] = {}
    while len(ids) < len(wanted):  # PostgreSQL: GC may take one away between the two statements
        rows = _add_segments.rows_of_each(
            connection,
            [
                {
                    "digest": head.digest,
                    "first_path": head.first_path,
                    "entry_count": head.entry_count,
                    "size_bytes": head.size_bytes,
                }
                for head in sorted(wanted.values(), key=lambda head: head.digest)
                if head.digest not in ids
            ],
        )
        if not ids:
            ids = {Digest(digest): id for digest, id in rows}
            if len(ids) == len(wanted):
                return ids, True
        ids = _segment_ids(connection, wanted)
    return ids, False


def _segment_ids(connection: Connection, digests: Iterable[Digest]) -> dict[Digest, int]:
    """Return the ids of those that are there, and keep them there until the transaction ends."""
    found: dict[Digest, int] = {}
    for batch in batches(digests):
        rows = connection.execute(_SEGMENT_IDS, {"digests": batch})
        found.update((Digest(digest), id) for digest, id in rows)
    return found


def missing_segments(connection: Connection, manifest_id: int) -> dict[Digest, int]:
    """Return digest → id of a manifest's segments whose content was never sent, in order."""
    rows = _MISSING_SEGMENTS.rows(connection, manifest=manifest_id)
    return {Digest(digest): id for digest, id in rows}


def fill_segment(
    connection: Connection, segment_id: int, segment: Segment, entries: Sequence[Entry]
) -> None:
    """Record the content of a segment and which blobs it needs; doing it again changes nothing."""
    needed = {entry.digest: entry.size for entry in entries if entry.ref is None}
    _need(connection, segment_id, needed)
    _FILL.run(connection, segment=segment_id, content=compress(segment.lines))


def _need(connection: Connection, segment_id: int, sizes: Mapping[Digest, int]) -> None:
    """Pair a segment with a live row for each digest, and hold these rows.

    PostgreSQL: a row may be condemned between the two statements. The pairing waits for the
    condemner, sees the new state and leaves the row out; so pairs are counted, and the digest
    gets a new row.
    """
    document = json.dumps(sizes)
    paired = 0
    while paired < len(sizes):
        add_awaited.run(connection, sizes=document)
        paired = _add_pairs.run(connection, segment=segment_id, sizes=document)
        if paired < len(sizes):  # some were paired before, or were condemned this moment
            paired = int(_PAIR_COUNT.value(connection, segment=segment_id))


def manifest_totals(connection: Connection, manifest_id: int) -> TotalsRow:
    """Return digest, entry_count and size_bytes of a manifest, without its segments.

    unstored_count: what still stands between it and its commit, segments and blobs.
    """
    totals = _TOTALS.row(connection, manifest=manifest_id)
    assert totals is not None  # a manifest stays as long as a draft or version has it
    return cast("TotalsRow", totals)


def manifest_head(connection: Connection, manifest_id: int) -> ManifestHead:
    """Return a manifest's list of segments; raises IntegrityError if rows of it are lost."""
    query = (
        select(
            segments.c.digest, segments.c.first_path, segments.c.entry_count, segments.c.size_bytes
        )
        .join(manifest_segments, manifest_segments.c.segment_id == segments.c.id)
        .where(manifest_segments.c.manifest_id == manifest_id)
        .order_by(manifest_segments.c.position)
    )
    digest = connection.execute(
        select(manifests.c.digest).where(manifests.c.id == manifest_id)
    ).scalar()
    head = build_head(
        SegmentHead(Digest(row.digest), row.first_path, row.entry_count, row.size_bytes)
        for row in connection.execute(query)
    )
    if head.digest != digest:
        raise IntegrityError(
            f"The database is damaged: the manifest {digest or manifest_id} is not whole; "
            "`lineal verify` says what else is"
        )
    return head


def segments_among(
    connection: Connection, manifest_id: int, digests: Iterable[Digest]
) -> set[Digest]:
    """Return those of the digests that are segments of a manifest."""
    found: set[Digest] = set()
    for batch in batches(digests):
        query = (
            select(segments.c.digest)
            .join(manifest_segments, manifest_segments.c.segment_id == segments.c.id)
            .where(manifest_segments.c.manifest_id == manifest_id, segments.c.digest.in_(batch))
        )
        found.update(map(Digest, connection.execute(query).scalars()))
    return found


def segment_lines(connection: Connection, digests: Sequence[Digest]) -> dict[Digest, bytes]:
    """Return the canonical lines of the segments that have content; raises IntegrityError."""
    query = select(segments.c.digest, segments.c.content).where(
        segments.c.digest.in_(digests), segments.c.content.is_not(None)
    )
    return {
        Digest(digest): decompress(content, f"manifest segment {digest}")
        for digest, content in connection.execute(query)
    }
