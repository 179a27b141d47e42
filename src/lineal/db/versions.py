"""Versions, and the memberships that give them numbers and aliases in collections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from sys import intern
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy import insert as plain_insert

from lineal.core.digest import PREFIX, Digest
from lineal.core.names import LATEST, version_number
from lineal.core.records import (
    EdgeKind,
    JsonObject,
    MembershipId,
    VersionId,
    VersionRecord,
    VersionState,
)
from lineal.db import collections as collections_db
from lineal.db.conditions import LIVE_MEMBERSHIP, LIVE_VERSION
from lineal.db.engine import batches, insert
from lineal.db.prepared import Prepared
from lineal.db.schema import (
    aliases,
    collections,
    edges,
    entities,
    memberships,
    projects,
    runs,
    version_tags,
    versions,
)

_is_link = memberships.c.collection_id != versions.c.collection_id
_source_membership = memberships.alias("source_membership")
_source = collections.alias("source_collection")
_source_project = projects.alias("source_project")
_source_entity = entities.alias("source_entity")

# of the run that lineage.FIRST_LOGGED finds; one search of an index by version and kind
_sweep = (
    select(runs.c.sweep_id)
    .join(edges, edges.c.run_id == runs.c.id)
    .where(edges.c.version_id == versions.c.id, edges.c.kind == EdgeKind.LOGGED)
    .order_by(edges.c.id)
    .limit(1)
    .scalar_subquery()
)


# names of their own, so that a query may join the tables themselves
_own_aliases = aliases.alias("own_aliases")
_own_tags = version_tags.alias("own_tags")
_BUT_METADATA = [
    null().label(column.name) if column is versions.c.metadata else column for column in versions.c
]
_BETWEEN_NAMES = "/"
"""In no alias and no tag (ALI-3, TAG-1)."""


class Membership(NamedTuple):
    """A version's place in a collection."""

    id: int
    number: int


# --- reading ------------------------------------------------------------------------------------


def listing(*, with_metadata: bool = True) -> Select[Any]:
    """Return the select behind every look at versions: one row per membership.

    with_metadata: without it the column is NULL, and the records have none; it may be megabytes.
    """
    own = versions.c if with_metadata else _BUT_METADATA
    return (
        select(
            *own,
            memberships.c.id.label("membership_id"),
            memberships.c.number,
            memberships.c.removed_at,
            case((_is_link, memberships.c.created_at)).label("linked_at"),
            entities.c.name.label("entity"),
            projects.c.name.label("project"),
            collections.c.name.label("collection"),
            _source_membership.c.number.label("source_number"),
            _source.c.name.label("source_collection"),
            _source.c.type,
            _source_project.c.name.label("source_project"),
            _source_entity.c.name.label("source_entity"),
            _sweep.label("sweep_id"),
            _joined(_own_aliases.c.alias, _own_aliases.c.membership_id == memberships.c.id).label(
                "aliases"
            ),
            _joined(_own_tags.c.tag, _own_tags.c.version_id == versions.c.id).label("tags"),
        )
        .select_from(memberships)
        .join(versions, versions.c.id == memberships.c.version_id)
        .join(collections, collections.c.id == memberships.c.collection_id)
        .join(projects, projects.c.id == collections.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
        .join(
            _source_membership,
            and_(
                _source_membership.c.version_id == versions.c.id,
                _source_membership.c.collection_id == versions.c.collection_id,
            ),
        )
        .join(_source, _source.c.id == versions.c.collection_id)
        .join(_source_project, _source_project.c.id == _source.c.project_id)
        .join(_source_entity, _source_entity.c.id == _source_project.c.entity_id)
    )


def _joined(name: Column[str], belongs: ColumnElement[bool]) -> ScalarSelect[str]:
    """Return the names that belong to a row of `listing` as one text, NULL if there are none."""
    return select(func.aggregate_strings(name, _BETWEEN_NAMES)).where(belongs).scalar_subquery()


def _parted(joined: str | None) -> tuple[str, ...]:
    return () if joined is None else tuple(sorted(joined.split(_BETWEEN_NAMES)))


def records(rows: Iterable[Row[Any]]) -> list[VersionRecord]:
    """Turn rows of `listing` into records; of names that many have each is kept once."""
    return [
        VersionRecord(
            id=VersionId(row.id),
            membership_id=MembershipId(row.membership_id),
            entity=intern(row.entity),
            project=intern(row.project),
            collection=intern(row.collection),
            number=row.number,
            aliases=_parted(row.aliases),
            source_entity=intern(row.source_entity),
            source_project=intern(row.source_project),
            source_collection=intern(row.source_collection),
            source_number=row.source_number,
            type=intern(row.type),
            state=VersionState.DELETED if row.deleted_at else VersionState.COMMITTED,
            digest=Digest(row.digest),
            compat_digest=row.compat_digest,
            size_bytes=row.size_bytes,
            entry_count=row.entry_count,
            description=row.description,
            metadata={} if row.metadata is None else row.metadata,
            tags=_parted(row.tags),
            history_step=row.history_step,
            created_at=row.created_at,
            updated_at=row.updated_at,
            deleted_at=row.deleted_at,
            deleted_by=row.deleted_by,
            sweep_id=row.sweep_id,
            ttl_seconds=row.ttl_seconds,
            released_at=row.released_at,
            linked_at=row.linked_at,
        )
        for row in rows
    ]


# Statements of the path that every logged version takes.
_BY_MEMBERSHIP = Prepared(listing().where(memberships.c.id == bindparam("membership")))
_BY_ID = Prepared(
    listing().where(
        versions.c.id == bindparam("version"),
        memberships.c.collection_id == versions.c.collection_id,
    )
)
_SAME_CONTENT = Prepared(
    select(versions.c.id)
    .where(
        versions.c.collection_id == bindparam("collection"),
        versions.c.digest == bindparam("content"),
        LIVE_VERSION,
    )
    .order_by(versions.c.id.desc())
    .limit(1)
    .with_for_update()
)
_ADD = Prepared(plain_insert(versions).returning(versions.c.id))
_ADD_MEMBERSHIP = Prepared(plain_insert(memberships).returning(memberships.c.id))
_LIVE_MEMBERSHIP = Prepared(
    select(memberships.c.id, memberships.c.number).where(
        memberships.c.collection_id == bindparam("collection"),
        memberships.c.version_id == bindparam("version"),
        memberships.c.removed_at.is_(None),
    )
)


def _record(rows: Iterable[Row[Any]]) -> VersionRecord | None:
    return next(iter(records(rows)), None)


def by_membership(connection: Connection, membership_id: int) -> VersionRecord | None:
    """Return a version as seen in one collection, also a deleted one or by a removed link."""
    return _record(_BY_MEMBERSHIP.rows(connection, membership=membership_id))


def by_id(connection: Connection, version_id: int) -> VersionRecord | None:
    """Return a version as seen in its source collection, also a deleted one."""
    return _record(_BY_ID.rows(connection, version=version_id))


def by_ids(
    connection: Connection, version_ids: Iterable[int], *, with_metadata: bool = True
) -> dict[int, VersionRecord]:
    """Return versions as seen in their source collections, deleted ones included."""
    found: dict[int, VersionRecord] = {}
    for batch in batches(version_ids):
        query = listing(with_metadata=with_metadata).where(
            versions.c.id.in_(batch), memberships.c.collection_id == versions.c.collection_id
        )
        for record in records(connection.execute(query).all()):
            found[record.id] = record
    return found


def by_memberships(
    connection: Connection, membership_ids: Iterable[int], *, with_metadata: bool = True
) -> dict[int, VersionRecord]:
    """Return versions as seen in the collections of their memberships, by membership."""
    found: dict[int, VersionRecord] = {}
    for batch in batches(membership_ids):
        query = listing(with_metadata=with_metadata).where(memberships.c.id.in_(batch))
        for record in records(connection.execute(query).all()):
            found[record.membership_id] = record
    return found


def links(connection: Connection, version_id: int) -> list[VersionRecord]:
    """Return a version as seen through each of its links."""
    query = listing().where(
        versions.c.id == version_id,
        memberships.c.collection_id != versions.c.collection_id,
        memberships.c.removed_at.is_(None),
        projects.c.deleted_at.is_(None),
    )
    return records(connection.execute(query.order_by(memberships.c.id)))


def live_members(connection: Connection, collection_id: int) -> list[VersionRecord]:
    """Return all live versions and links of a collection at once: as many as there are."""
    query = listing().where(memberships.c.collection_id == collection_id, LIVE_MEMBERSHIP)
    return records(connection.execute(query))


def resolve(connection: Connection, collection_id: int, ref: str) -> VersionRecord | None:
    """Find what `vN`, an alias or a digest means in a collection; deleted versions included.

    An alias may look like a digest, and goes first. `latest` falls back to the highest live
    number where nobody set it (ALI-4).
    """
    here = listing().where(
        memberships.c.collection_id == collection_id, memberships.c.removed_at.is_(None)
    )
    number = version_number(ref)
    if number is not None:
        return _record(connection.execute(here.where(memberships.c.number == number)))
    named = here.join(aliases, aliases.c.membership_id == memberships.c.id).where(
        # said of the alias too, or it is looked for beside every version of the collection
        aliases.c.collection_id == collection_id,
        aliases.c.alias == ref,
    )
    found = _record(connection.execute(named))
    if found is not None or not (ref == LATEST or _is_digest(ref)):
        return found
    newest = here.where(LIVE_MEMBERSHIP).order_by(memberships.c.number.desc()).limit(1)
    if ref != LATEST:
        wanted = ref if ref.startswith(PREFIX) else PREFIX + ref
        newest = newest.where(or_(versions.c.digest == wanted, versions.c.compat_digest == ref))
    return _record(connection.execute(newest))


def _is_digest(ref: str) -> bool:
    """Tell `sha256:…`, 64 hex digits and W&B's 32 hex digits from an alias."""
    plain = ref.removeprefix(PREFIX)
    return len(plain) in (32, 64) and all(digit in "0123456789abcdef" for digit in plain)


def same_content(connection: Connection, collection_id: int, digest: Digest) -> int | None:
    """Return the newest live version with this digest (X-2: any, not only the latest)."""
    found = _SAME_CONTENT.value(connection, collection=collection_id, content=digest)
    return None if found is None else int(found)


def manifest_id(connection: Connection, version_id: int) -> int | None:
    """Return the manifest of a version, None if it was released or there is no such version."""
    return connection.execute(
        select(versions.c.manifest_id).where(versions.c.id == version_id)
    ).scalar()


def live_numbers(connection: Connection, collection_id: int, limit: int) -> list[int]:
    """Return the highest numbers of live versions in a collection."""
    query = (
        select(memberships.c.number)
        .join(versions, versions.c.id == memberships.c.version_id)
        .where(memberships.c.collection_id == collection_id, LIVE_MEMBERSHIP)
        .order_by(memberships.c.number.desc())
    )
    return list(connection.execute(query.limit(limit)).scalars())


# --- writing ------------------------------------------------------------------------------------


def add(
    connection: Connection,
    values: Mapping[str, Any],
    now: datetime,
    *,
    wanted_number: int | None = None,
) -> tuple[int, Membership]:
    """Insert a version and its membership with the next number; returns its id and that."""
    version_id = int(_ADD.value(connection, **values))
    membership = add_membership(
        connection, values["collection_id"], version_id, now, wanted_number=wanted_number
    )
    return version_id, membership


def add_membership(
    connection: Connection,
    collection_id: int,
    version_id: int,
    now: datetime,
    *,
    wanted_number: int | None = None,
) -> Membership:
    """Give a version the next number of a collection, which the caller has locked."""
    number = collections_db.next_number(connection, collection_id, now, wanted=wanted_number)
    membership_id = _ADD_MEMBERSHIP.value(
        connection,
        collection_id=collection_id,
        version_id=version_id,
        number=number,
        created_at=now,
    )
    return Membership(membership_id, number)


def lock(connection: Connection, version_id: int) -> bool:
    """Keep a version from being deleted until the transaction ends; False if it is by now.

    To be linked, that is: who changes its row after this would wait for others that did the same.
    """
    query = select(versions.c.id).where(versions.c.id == version_id, LIVE_VERSION)
    return connection.execute(query.with_for_update(read=True)).scalar() is not None


def live_membership(
    connection: Connection, collection_id: int, version_id: int
) -> Membership | None:
    """Return the place of a version in a collection, None if it is not there or was unlinked."""
    row = _LIVE_MEMBERSHIP.row(connection, collection=collection_id, version=version_id)
    return None if row is None else Membership(*row)


def collection_of(connection: Connection, membership_id: int) -> int:
    return int(
        connection.execute(
            select(memberships.c.collection_id).where(memberships.c.id == membership_id)
        ).scalar_one()
    )


def removed_at(connection: Connection, membership_id: int) -> datetime | None:
    """Return when a link was removed, None if it is there."""
    moment: datetime | None = connection.execute(
        select(memberships.c.removed_at).where(memberships.c.id == membership_id)
    ).scalar_one()
    return moment


def remove_membership(connection: Connection, membership_id: int, now: datetime) -> None:
    """Unlink; the number stays taken."""
    connection.execute(
        update(memberships).where(memberships.c.id == membership_id).values(removed_at=now)
    )


def metadata_to_change(connection: Connection, version_id: int) -> JsonObject:
    """Return the metadata, which nobody else changes until the transaction ends."""
    query = select(versions.c.metadata).where(versions.c.id == version_id)
    return connection.execute(query.with_for_update(key_share=True)).scalar() or {}


def change(connection: Connection, version_id: int, values: Mapping[str, Any]) -> bool:
    """Change a live version; False if it is deleted by now."""
    statement = update(versions).where(versions.c.id == version_id, LIVE_VERSION)
    return connection.execute(statement.values(**values)).rowcount > 0


def add_tags(connection: Connection, version_id: int, tags: Iterable[str]) -> None:
    rows = [{"version_id": version_id, "tag": tag} for tag in tags]
    if rows:
        connection.execute(insert(connection, version_tags).on_conflict_do_nothing(), rows)


def remove_tags(connection: Connection, version_id: int, tags: Iterable[str]) -> None:
    chosen = and_(version_tags.c.version_id == version_id, version_tags.c.tag.in_(list(tags)))
    connection.execute(version_tags.delete().where(chosen))
