"""How long versions live: the TTL of each level, and what will expire (TTL-1…TTL-14).

What expires becomes a tombstone in the sweep (`gc`), never here; docs/design/003-deletion.md.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, Row

from lineal.core import access, limits
from lineal.core.access import Action, Actor
from lineal.core.records import (
    CollectionId,
    CollectionKind,
    CollectionRecord,
    MembershipId,
    Page,
    PageRequest,
    ProjectRecord,
    VersionId,
    VersionRecord,
)
from lineal.core.retention import NEVER_SECONDS, EffectiveTtl, Expiring, Level
from lineal.db import collections as collections_db
from lineal.db import projects as projects_db
from lineal.db import protection
from lineal.db import retention as retention_db
from lineal.db import ttl as ttl_db
from lineal.db import versions as versions_db
from lineal.errors import Invalid, NotFound
from lineal.service import finding
from lineal.service.instance import Instance
from lineal.service.projects import is_still_to_come


def effective_ttl(instance: Instance, actor: Actor, version_id: VersionId) -> EffectiveTtl:
    """Say when a version expires, which level decides, and what suspends it (TTL-8, TTL-11).

    Raises NotFound.
    """
    access.require(actor, Action.READ, f"version {version_id}")
    with instance.database.reading() as connection:
        row = ttl_db.ttl_of(connection, version_id)
        if row is None:
            raise NotFound(f"No version {version_id} (you are {actor.name})")
        suspended_by = _suspended_by(connection, row, version_id)
    level, seconds = _nearest(row)
    if seconds in (None, NEVER_SECONDS):
        return EffectiveTtl(None, level, None)
    return EffectiveTtl(timedelta(seconds=seconds), level, row.expires, suspended_by)


def set_version_ttl(
    instance: Instance, actor: Actor, membership_id: MembershipId, seconds: int | None
) -> VersionRecord:
    """Set the TTL of one version: None inherits, 0 is never; it counts from its creation (TTL-6).

    Raises Denied (TTL-9), Gone, Invalid for a link (TTL-3) or a history artifact.
    """
    access.require(actor, Action.WRITE, f"version {membership_id}")
    with instance.database.writing() as connection:
        found = finding.membership(connection, actor, membership_id)
        if found.is_link:
            raise Invalid(
                f"{found.path} is a link, and linked versions do not expire; unlink it first, then "
                f"set the TTL of {found.source_path}"
            )
        if seconds is not None:
            limits.check_ttl(seconds, found.type)
        changed = {"ttl_seconds": seconds, "updated_at": instance.clock.now()}
        is_live = versions_db.change(connection, found.id, changed)
        found = finding.membership(connection, actor, membership_id)
        if not is_live:
            raise finding.gone_version(connection, found)
        return found


def set_collection_ttl(
    instance: Instance, actor: Actor, collection_id: CollectionId, seconds: int | None
) -> CollectionRecord:
    """Set the TTL of versions of a collection that say nothing themselves.

    Raises NotFound, Invalid for a collection of links, which do not expire.
    """
    access.require(actor, Action.WRITE, f"collection {collection_id}")
    if seconds is not None:
        limits.check_seconds(seconds)
    with instance.database.writing() as connection:
        row = finding.collection_by_id(connection, actor, collection_id)
        if seconds is not None and row.kind != CollectionKind.SEQUENCE:
            entity, project, name = collections_db.full_name(connection, collection_id)
            raise Invalid(
                f"{entity}/{project}/{name} holds links only, and linked versions do not expire; "
                "set the TTL of the collections they lead to"
            )
        ttl_db.set_ttl(connection, Level.COLLECTION, collection_id, seconds)
        return collections_db.record(connection, collection_id)


def set_project_ttl(
    instance: Instance, actor: Actor, entity: str, project: str, seconds: int | None
) -> ProjectRecord:
    """Set the TTL where neither version nor collection says anything. Raises NotFound."""
    access.require(actor, Action.ADMINISTER, f"project {entity}/{project}")
    if seconds is not None:
        limits.check_seconds(seconds)
    with instance.database.writing() as connection:
        project_id = projects_db.require(connection, entity, project, actor.name)
        ttl_db.set_ttl(connection, Level.PROJECT, project_id, seconds)
        return projects_db.record(connection, project_id)


def entity_ttl(instance: Instance, actor: Actor, entity: str) -> int | None:
    """Return the default TTL of an entity in seconds: None or 0 is never (TTL-7).

    Your own entity may have nothing yet. Raises NotFound for another that is unknown.
    """
    access.require(actor, Action.READ, f"entity {entity}")
    with instance.database.reading() as connection:
        if is_still_to_come(connection, actor, entity):
            return None
        entity_id = projects_db.require_entity(connection, entity, actor.name)
        return ttl_db.entity_ttl(connection, entity_id)


def set_entity_ttl(instance: Instance, actor: Actor, entity: str, seconds: int | None) -> None:
    """Set the default TTL of an entity, for existing versions too (TTL-7).

    Your own entity is made if need be. Raises NotFound for another that is unknown.
    """
    access.require(actor, Action.ADMINISTER, f"entity {entity}")
    if seconds is not None:
        limits.check_seconds(seconds)
    with instance.database.writing() as connection:
        if is_still_to_come(connection, actor, entity):
            projects_db.ensure_entity(connection, entity, instance.clock.now())
        entity_id = projects_db.require_entity(connection, entity, actor.name)
        ttl_db.set_ttl(connection, Level.ENTITY, entity_id, seconds)


def expiring(
    instance: Instance,
    actor: Actor,
    entity: str,
    project: str | None,
    within: timedelta,
    page: PageRequest,
) -> Page[Expiring]:
    """List the versions that expire within a time unless something changes, the soonest first.

    project: None for all of the entity. Those whose time is over are first: the next sweep takes
    them (TTL-14). Raises NotFound.
    """
    what = f"entity {entity}" if project is None else f"project {entity}/{project}"
    access.require(actor, Action.READ, what)
    before = instance.clock.now() + min(within, limits.LONGEST_TTL)
    with instance.database.reading() as connection:
        if project is None and is_still_to_come(connection, actor, entity):
            return Page((), None, 0)
        if project is None:
            scope = retention_db.within(
                entity_id=projects_db.require_entity(connection, entity, actor.name)
            )
        else:
            scope = retention_db.within(
                project_id=projects_db.require(connection, entity, project, actor.name)
            )
        return ttl_db.expiring(connection, before, scope, page)


# --- the small steps ----------------------------------------------------------------------------


def _nearest(row: Row[tuple[object, ...]]) -> tuple[Level, int | None]:
    for level in ttl_db.TABLES:
        seconds = row._mapping[str(level)]
        if seconds is not None:
            return level, seconds
    return Level.NONE, None


def _suspended_by(
    connection: Connection, row: Row[tuple[object, ...]], version_id: VersionId
) -> str | None:
    found = row._mapping
    if found["is_linked"]:
        return f"link {protection.links_of(connection, [version_id])[0]}"
    if found["is_protected"]:
        return f"alias {protection.protections_of(connection, [version_id])[0]}"
    return None
