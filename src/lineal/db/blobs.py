"""Blobs: what is stored, or awaited, or condemned.

What keeps what is a chain of rows: draft or version → manifest → segment → pair → blob. Whoever
adds a link holds the row it points to until the transaction ends, and looks at its state; the
sweep (db/gc.py) takes a row away only if it holds it and then finds no link to it. On SQLite the
write lock does the same. A condemned row is never used again, the same content gets a new one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    Insert,
    Row,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    exists,
    literal,
    literal_column,
    select,
    union,
    update,
)

from lineal.core.digest import Digest
from lineal.db.engine import batches, each_pair, each_text, insert_new
from lineal.db.prepared import NO_LIMIT, Prepared
from lineal.db.schema import blobs, drafts, manifest_segments, segment_blobs, versions

if TYPE_CHECKING:
    from lineal.db.rows import AwaitedBlob

AWAITED, STORED, CONDEMNED = "awaited", "stored", "condemned"


def has_state(state: str) -> ColumnElement[bool]:
    """Compare with a constant in the statement: some indexes hold blobs of one state only.

    With a parameter SQLite plans a statement anew each time it is run, which takes four times as
    long as a blob is looked up.
    """
    return blobs.c.state == literal_column(f"'{state}'")


IS_LIVE = blobs.c.condemned_at.is_(None)
"""Not told by the state, which changes once more for each blob, and with it its indexes would."""
IS_STORED = and_(has_state(STORED), IS_LIVE)
"""SQLite finds a digest by its index, which leaves out condemned rows, only where both are said."""
IS_LOST = and_(has_state(AWAITED), blobs.c.stored_at.is_not(None))
"""It was stored once; `verify` found that it is not any more."""

LOCATED_MOST = 5_000
"""Digests that travel as one JSON document."""

T = TypeVar("T")
Query = TypeVar("Query", bound=Select[Any])


# Statements of the path that every logged version takes.
_NEEDED = (
    select(segment_blobs.c.blob_id)
    .join(manifest_segments, manifest_segments.c.segment_id == segment_blobs.c.segment_id)
    .where(manifest_segments.c.manifest_id == bindparam("manifest"))
)
_others = manifest_segments.alias("others")
_NEW = _NEEDED.where(  # a version's blobs are all stored, but for those that were lost since
    ~exists()
    .where(_others.c.segment_id == manifest_segments.c.segment_id)
    .where(versions.c.manifest_id == _others.c.manifest_id)
)
_IS_NEEDED = _NEEDED.where(segment_blobs.c.blob_id == blobs.c.id).exists()


def of_manifest(query: Select[Any], is_unstored: ColumnElement[bool]) -> CompoundSelect[Any]:
    """Narrow a query to blobs of a manifest that are not stored."""
    new = query.where(blobs.c.id.in_(_NEW), is_unstored)
    return union(new, query.where(IS_LOST, _IS_NEEDED))


_AWAITED = Prepared(  # in this shape SQLite never begins with the blobs of all other manifests
    of_manifest(
        select(blobs.c.id, blobs.c.digest, blobs.c.size_bytes).where(
            blobs.c.id > bindparam("after")
        ),
        has_state(AWAITED),
    )
    .order_by("id")
    .limit(bindparam("most", type_=BigInteger))
)


@Prepared
def add_awaited(is_sqlite: bool) -> Insert:
    """Add rows for digests that have none; in order, so that two writers do not deadlock."""
    digest, size = each_pair(is_sqlite, bindparam("sizes", type_=Text))
    rows = select(digest, size, literal(AWAITED)).where(digest.is_not(None)).order_by(digest)
    return insert_new(is_sqlite, blobs).from_select(["digest", "size_bytes", "state"], rows)


@Prepared
def _held(is_sqlite: bool) -> Select[Any]:
    """Select the live rows of digests, and hold them."""
    chosen = each_text(is_sqlite, bindparam("digests", type_=Text))
    query = select(blobs.c.digest, blobs.c.id, blobs.c.state)
    return (
        query.where(blobs.c.digest.in_(chosen), IS_LIVE)
        .order_by(blobs.c.digest)
        .with_for_update(of=blobs)
    )


_STORE = Prepared(update(blobs).where(blobs.c.id == bindparam("blob")))


@Prepared
def _stored_of_version(is_sqlite: bool) -> Select[Any]:
    return _of_version(select(blobs.c.digest, blobs.c.size_bytes, blobs.c.nonce), is_sqlite)


@Prepared
def _births(is_sqlite: bool) -> Select[Any]:
    born = select(blobs.c.digest, drafts.c.version_id).join(drafts, drafts.c.id == blobs.c.draft_id)
    return _of_version(born.where(drafts.c.version_id.is_not(None)), is_sqlite)


def _of_version(query: Query, is_sqlite: bool) -> Query:
    """Narrow a query to stored blobs of a version that are among some digests."""
    belongs = (
        select(segment_blobs.c.blob_id)
        .join(manifest_segments, manifest_segments.c.segment_id == segment_blobs.c.segment_id)
        .join(versions, versions.c.manifest_id == manifest_segments.c.manifest_id)
        .where(versions.c.id == bindparam("version"), segment_blobs.c.blob_id == blobs.c.id)
    )
    chosen = each_text(is_sqlite, bindparam("digests", type_=Text))
    return query.where(blobs.c.digest.in_(chosen), IS_STORED, belongs.exists())


@Prepared
def _mark_stored(is_sqlite: bool) -> Update:
    chosen = each_text(is_sqlite, bindparam("digests", type_=Text))
    return update(blobs).where(blobs.c.digest.in_(chosen), has_state(AWAITED), IS_LIVE)


def reuse(connection: Connection, digests: Iterable[Digest]) -> dict[Digest, int]:
    """Return the ids of those that are stored, and keep them so until the transaction ends."""
    found: dict[Digest, int] = {}
    for batch in batches(digests):
        query = (
            select(blobs.c.digest, blobs.c.id)
            .where(blobs.c.digest.in_(batch), IS_STORED)
            .with_for_update(read=True)
        )
        found.update((Digest(digest), id) for digest, id in connection.execute(query))
    return found


def insert_stored(
    connection: Connection, sent: Mapping[Digest, tuple[int, str]], now: datetime
) -> dict[Digest, int]:
    """Record blobs whose bytes are stored: sizes and nonces; returns their ids.

    Of one that was stored already, that one's.
    """
    ids: dict[Digest, int] = {}
    for batch in batches(sorted(sent), LOCATED_MOST):
        sizes = json.dumps({digest: sent[digest][0] for digest in batch})
        rows: Sequence[Row[*tuple[Any, ...]]] = ()
        while len(rows) < len(batch):  # PostgreSQL: GC may take one away between the two statements
            add_awaited.run(connection, sizes=sizes)
            rows = _held.rows(connection, digests=json.dumps(batch))
        stored = [
            {"blob": id, "state": STORED, "nonce": sent[Digest(digest)][1], "stored_at": now}
            for digest, id, state in rows
            if state == AWAITED
        ]
        if stored:
            _STORE.run_each(connection, stored)
        ids.update((Digest(row.digest), row.id) for row in rows)
    return ids


def any_stored(connection: Connection) -> bool:
    """Tell whether any bytes are stored that somebody may use."""
    return connection.execute(select(blobs.c.id).where(IS_STORED).limit(1)).first() is not None


def mark_lost(connection: Connection, blob_id: int, nonce: str) -> None:
    """Await the bytes of a blob anew: whoever logs the same content sends them again."""
    connection.execute(
        update(blobs)
        .where(blobs.c.id == blob_id, has_state(STORED), blobs.c.nonce == nonce)
        .values(state=AWAITED, nonce=None)
    )


def stored_of_version(
    connection: Connection, version_id: int, digests: Iterable[Digest]
) -> list[tuple[Digest, int, str]]:
    """Return (digest, size_bytes, nonce) of those that belong to a version and are stored."""
    found: list[tuple[Digest, int, str]] = []
    for batch in batches(digests, LOCATED_MOST):
        rows = _stored_of_version.rows(connection, version=version_id, digests=json.dumps(batch))
        found += [(Digest(row[0]), row[1], row[2]) for row in rows]
    return found


def births(connection: Connection, version_id: int, digests: Iterable[Digest]) -> dict[Digest, int]:
    """Return which version stored each of these blobs of a version first, where it is known."""
    found: dict[Digest, int] = {}
    for batch in batches(digests, LOCATED_MOST):
        rows = _births.rows(connection, version=version_id, digests=json.dumps(batch))
        found.update((Digest(row[0]), row[1]) for row in rows)
    return found


def awaited(
    connection: Connection, manifest_id: int, *, after: int = 0, limit: int | None = None
) -> Sequence[AwaitedBlob]:
    """Return a manifest's blobs that are not stored, by id."""
    most = NO_LIMIT if limit is None else limit
    rows = _AWAITED.rows(connection, manifest=manifest_id, after=after, most=most)
    return cast("Sequence[AwaitedBlob]", rows)


def mark_stored(
    connection: Connection, digests: Iterable[Digest], *, draft_id: int, nonce: str, now: datetime
) -> None:
    """Record that awaited blobs are stored under a draft's nonce; others are left alone."""
    values = {"state": STORED, "nonce": nonce, "draft_id": draft_id, "stored_at": now}
    for batch in batches(sorted(digests), LOCATED_MOST):
        _mark_stored.run(connection, **values, digests=json.dumps(batch))
