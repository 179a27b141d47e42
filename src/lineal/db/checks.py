"""The invariants as queries: each returns what contradicts it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)

from lineal.core.records import EdgeKind, Stream
from lineal.db import damage, full_names
from lineal.db.blobs import CONDEMNED, STORED, has_state
from lineal.db.conditions import LIVE_MEMBERSHIP, LIVE_VERSION, SOURCE_MEMBERSHIP
from lineal.db.full_names import named_collections, named_run_files, named_versions
from lineal.db.schema import (
    alias_moves,
    aliases,
    blobs,
    collections,
    drafts,
    edges,
    entities,
    line_chunks,
    manifest_segments,
    manifests,
    memberships,
    projects,
    run_files,
    runs,
    segment_blobs,
    segments,
    versions,
)

_USERS_MOST = 5
"""Versions, and run files, that are named for one blob."""


def violations(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Yield (invariant, where, what) for everything the rows alone can tell."""
    yield from damage.of_values(connection)
    for invariant, query in _queries():
        for where, what in connection.execute(query):
            yield invariant, str(where), str(what)


@functools.cache
def _queries() -> list[tuple[str, Select[Any]]]:
    """Return each invariant with the query of (where, what) that contradicts it."""
    return [*_of_versions(), *_of_numbers(), *_of_aliases(), *_of_blobs(), *_of_runs()]


def _of_versions() -> Iterator[tuple[str, Select[Any]]]:
    # step by step: a thousand versions may share most of their million blobs
    unstored = (
        select(
            segment_blobs.c.segment_id,
            func.min(blobs.c.digest).label("digest"),
            func.min(blobs.c.state).label("state"),
        )
        .join(blobs, blobs.c.id == segment_blobs.c.blob_id)
        .where(~has_state(STORED))
        .group_by(segment_blobs.c.segment_id)
        .cte("unstored")
    )
    lacking = (
        select(
            manifest_segments.c.manifest_id,
            func.min(unstored.c.digest).label("digest"),
            func.min(unstored.c.state).label("state"),
        )
        .join(unstored, unstored.c.segment_id == manifest_segments.c.segment_id)
        .group_by(manifest_segments.c.manifest_id)
        .cte("lacking")
    )
    version_blobs = (
        named_versions(lacking.c.digest + " is " + lacking.c.state)
        .join(lacking, lacking.c.manifest_id == versions.c.manifest_id)
        .where(LIVE_VERSION)
    )
    yield "a committed version references only stored blobs", version_blobs
    unsent = (
        named_versions(segments.c.digest + " has no content")
        .join(manifest_segments, manifest_segments.c.manifest_id == versions.c.manifest_id)
        .join(segments, segments.c.id == manifest_segments.c.segment_id)
        .where(LIVE_VERSION, segments.c.content.is_(None))
    )
    yield "a committed version has its whole manifest", unsent
    released = named_versions(versions.c.digest + " has no manifest").where(
        LIVE_VERSION, versions.c.manifest_id.is_(None)
    )
    yield "a live version has content", released
    other = (
        named_versions(manifests.c.digest + " is not its digest")
        .join(manifests, manifests.c.id == versions.c.manifest_id)
        .where(manifests.c.digest != versions.c.digest)
    )
    yield "a version has the manifest of its digest", other
    listed = (
        select(func.coalesce(func.sum(segments.c.entry_count), 0))
        .join(manifest_segments, manifest_segments.c.segment_id == segments.c.id)
        .where(manifest_segments.c.manifest_id == manifests.c.id)
        .scalar_subquery()
    )
    partial = (
        named_versions(
            _text(listed) + " of " + _text(manifests.c.entry_count) + " entries are listed"
        )
        .join(manifests, manifests.c.id == versions.c.manifest_id)
        .where(or_(listed != manifests.c.entry_count, versions.c.entry_count != listed))
    )
    yield "a version lists as many entries as it has", partial
    other_size = (
        named_versions(
            _text(versions.c.size_bytes) + " bytes instead of " + _text(manifests.c.size_bytes)
        )
        .join(manifests, manifests.c.id == versions.c.manifest_id)
        .where(versions.c.size_bytes != manifests.c.size_bytes)
    )
    yield "a version has the size of its manifest", other_size


def _of_numbers() -> Iterator[tuple[str, Select[Any]]]:
    homeless = (
        named_collections(literal("the number of ") + versions.c.digest + " is lost")
        .join(versions, versions.c.collection_id == collections.c.id)
        .where(~exists().where(SOURCE_MEMBERSHIP))
    )
    yield "a version has a number in its collection", homeless
    highest = func.max(memberships.c.number)
    given_again = (
        named_collections(literal("number ") + _text(highest))
        .join(memberships, memberships.c.collection_id == collections.c.id)
        .group_by(collections.c.id, projects.c.id, entities.c.id)
        .having(highest >= collections.c.next_number)
    )
    yield "a version number is never given twice", given_again


def _of_aliases() -> Iterator[tuple[str, Select[Any]]]:
    last_move = (
        select(alias_moves.c.after_number)
        .where(
            alias_moves.c.collection_id == aliases.c.collection_id,
            alias_moves.c.alias == aliases.c.alias,
        )
        .order_by(alias_moves.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    unrecorded = _placed_aliases("moved without a record").where(
        last_move.is_distinct_from(memberships.c.number)
    )
    yield "every move of an alias is recorded", unrecorded
    later = alias_moves.alias("later")
    lost = (
        named_collections(literal("alias ") + alias_moves.c.alias + " went without a record")
        .join(alias_moves, alias_moves.c.collection_id == collections.c.id)
        .where(
            alias_moves.c.after_number.is_not(None),
            ~exists().where(
                later.c.collection_id == alias_moves.c.collection_id,
                later.c.alias == alias_moves.c.alias,
                later.c.id > alias_moves.c.id,
            ),
            ~exists().where(
                aliases.c.collection_id == alias_moves.c.collection_id,
                aliases.c.alias == alias_moves.c.alias,
            ),
        )
    )
    yield "every move of an alias is recorded", lost
    dead = (
        _placed_aliases("is on a deleted version")
        .join(versions, versions.c.id == memberships.c.version_id)
        .where(~LIVE_MEMBERSHIP)
    )
    yield "an alias is on a live version", dead
    foreign = _placed_aliases("is on another collection").where(
        memberships.c.collection_id != aliases.c.collection_id
    )
    yield "an alias is on a version of its collection", foreign


def _placed_aliases(what: str) -> Select[Any]:
    """Select (collection, what is wrong) of aliases, joined with the membership each is on."""
    return (
        named_collections(literal("alias ") + aliases.c.alias + f" {what}")
        .join(aliases, aliases.c.collection_id == collections.c.id)
        .join(memberships, memberships.c.id == aliases.c.membership_id)
    )


def _of_blobs() -> Iterator[tuple[str, Select[Any]]]:
    reused = (
        select(blobs.c.nonce + " " + func.min(blobs.c.digest), _text(func.count()) + " rows")
        .where(blobs.c.nonce.is_not(None))
        .group_by(blobs.c.nonce, blobs.c.digest)
        .having(func.count() > 1)
    )
    yield "a storage key is never reused", reused
    run_blobs = (
        named_run_files(blobs.c.digest + " is " + blobs.c.state)
        .join(blobs, blobs.c.id == run_files.c.blob_id)
        .where(~has_state(STORED))
    )
    yield "a run file has its bytes", run_blobs
    held_after_all = select(blobs.c.digest, literal("is condemned and needed")).where(
        has_state(CONDEMNED),
        exists().where(segment_blobs.c.blob_id == blobs.c.id)
        | exists().where(run_files.c.blob_id == blobs.c.id),
    )
    yield "a condemned blob is never referenced again", held_after_all


def _of_runs() -> Iterator[tuple[str, Select[Any]]]:
    """Rows of theirs that are counted elsewhere, and would be missed by nothing else."""
    asked = (
        select(drafts.c.version_id, func.count(drafts.c.run_id.distinct()).label("count"))
        .where(drafts.c.version_id.is_not(None), drafts.c.run_id.is_not(None))
        .group_by(drafts.c.version_id)
        .cte("asked")
    )
    said = (  # what a rewound run logged may be its copy's by now: that is one edge, too
        select(func.count())
        .where(edges.c.version_id == versions.c.id, edges.c.kind == EdgeKind.LOGGED)
        .scalar_subquery()
    )
    forgotten = (
        named_versions(_text(asked.c.count - said) + " of " + _text(asked.c.count) + " are lost")
        .join(asked, asked.c.version_id == versions.c.id)
        .where(said < asked.c.count)
    )
    yield "a version has the runs that logged it", forgotten
    stored = (
        select(line_chunks.c.run_id, func.sum(line_chunks.c.line_count).label("count"))
        .where(line_chunks.c.stream == Stream.HISTORY)
        .group_by(line_chunks.c.run_id)
        .cte("stored")
    )
    count = func.coalesce(stored.c.count, 0)
    short = (
        select(full_names.RUN, _text(count) + " lines instead of " + _text(runs.c.history_count))
        .select_from(runs)
        .join(projects, projects.c.id == runs.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
        .outerjoin(stored, stored.c.run_id == runs.c.id)
        .where(runs.c.released_at.is_(None), count != runs.c.history_count)
    )
    yield "a run has its whole history", short


def _text(number: ColumnElement[Any]) -> ColumnElement[str]:
    return cast(number, Text)


def segments_with_content(connection: Connection, *, after: int, limit: int) -> list[Row[Any]]:
    query = select(segments).where(segments.c.id > after, segments.c.content.is_not(None))
    return list(connection.execute(query.order_by(segments.c.id).limit(limit)).all())


def chunks_of_lines(connection: Connection, *, after: int, limit: int) -> list[Row[Any]]:
    """Return chunks of lines with the full name of their run."""
    query = (
        select(line_chunks, full_names.RUN.label("name"))
        .join(runs, runs.c.id == line_chunks.c.run_id)
        .join(projects, projects.c.id == runs.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
        .where(line_chunks.c.id > after)
    )
    return list(connection.execute(query.order_by(line_chunks.c.id).limit(limit)).all())


def blob_digests(connection: Connection, segment_ids: Sequence[int]) -> dict[int, set[str]]:
    """Return the digests of the blobs that each of a few segments is paired with."""
    found: dict[int, set[str]] = {id: set() for id in segment_ids}
    query = (
        select(segment_blobs.c.segment_id, blobs.c.digest)
        .join(blobs, blobs.c.id == segment_blobs.c.blob_id)
        .where(segment_blobs.c.segment_id.in_(segment_ids))
    )
    for id, digest in connection.execute(query):
        found[id].add(digest)
    return found


def stored_blobs(connection: Connection, *, after: int, limit: int) -> list[Row[Any]]:
    columns = (blobs.c.id, blobs.c.digest, blobs.c.size_bytes, blobs.c.nonce)
    query: Select[Any] = select(*columns).where(blobs.c.id > after, has_state(STORED))
    return list(connection.execute(query.order_by(blobs.c.id).limit(limit)).all())


def is_stored(connection: Connection, blob_id: int, nonce: str) -> bool:
    """Say whether a blob that `stored_blobs` returned is still stored, and under the same key."""
    same = select(blobs.c.id).where(
        blobs.c.id == blob_id, blobs.c.nonce == nonce, has_state(STORED)
    )
    return connection.execute(same).first() is not None


def versions_with_blob(connection: Connection, blob_id: int) -> dict[str, int]:
    """Return some of the live versions that need a blob, each with a segment that names it."""
    query = (
        named_versions(segment_blobs.c.segment_id)
        .join(manifest_segments, manifest_segments.c.manifest_id == versions.c.manifest_id)
        .join(segment_blobs, segment_blobs.c.segment_id == manifest_segments.c.segment_id)
        .where(segment_blobs.c.blob_id == blob_id, LIVE_VERSION)
        .limit(_USERS_MOST)
    )
    return {row.name: row.segment_id for row in connection.execute(query)}


def run_files_with_blob(connection: Connection, blob_id: int) -> list[str]:
    """Return some of the files of runs that need a blob."""
    query = named_run_files().where(run_files.c.blob_id == blob_id).limit(_USERS_MOST)
    return list(connection.execute(query).scalars())


def segment_with_content(connection: Connection, segment_id: int) -> Row[Any] | None:
    query = select(segments).where(segments.c.id == segment_id, segments.c.content.is_not(None))
    return connection.execute(query).first()
