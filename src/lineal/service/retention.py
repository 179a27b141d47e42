"""How long versions live: TTL of each level, retention policies, selections with a preview.

What expires becomes a tombstone in the sweep (`gc`), never here; docs/design/003-deletion.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, Row

from lineal.core import access, names
from lineal.core.access import Action, Actor
from lineal.core.records import (
    LONGEST_TTL,
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
from lineal.core.retention import (
    NEVER_SECONDS,
    Deletion,
    EffectiveTtl,
    Expiring,
    Level,
    Policy,
    Preview,
    Selection,
    check,
    selection_from_json,
    selection_to_json,
)
from lineal.db import collections as collections_db
from lineal.db import deletion as deletion_db
from lineal.db import lists as lists_db
from lineal.db import projects as projects_db
from lineal.db import retention as retention_db
from lineal.db import ttl as ttl_db
from lineal.db import versions as versions_db
from lineal.errors import Invalid, NotFound
from lineal.service import deletion
from lineal.service.artifacts import check_ttl
from lineal.service.catalog import find_collection
from lineal.service.instance import Instance
from lineal.service.projects import is_still_to_come

ANY_TYPE = ""
PREVIEW_VERSIONS = 100
"""Versions that a preview names; it counts all of them."""

# --- time to live -------------------------------------------------------------------------------


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
        found = versions_db.by_membership(connection, membership_id)
        if found is None:
            raise NotFound(f"No version {membership_id} (you are {actor.name})")
        if found.is_link:
            raise Invalid(
                f"{found.path} is a link, and linked versions do not expire; unlink it first, then "
                f"set the TTL of {found.source_path}"
            )
        if seconds is not None:
            check_ttl(seconds, found.type)
        if found.deleted_at is not None or not versions_db.lock(connection, found.id):
            raise deletion.gone(
                connection, versions_db.by_membership(connection, membership_id) or found
            )
        ttl_db.set_ttl(connection, Level.VERSION, found.id, seconds)
        versions_db.change(connection, found.id, {"updated_at": instance.clock.now()})
        changed = versions_db.by_membership(connection, membership_id)
    assert changed is not None
    return changed


def set_collection_ttl(
    instance: Instance, actor: Actor, collection_id: CollectionId, seconds: int | None
) -> CollectionRecord:
    """Set the TTL of versions of a collection that say nothing themselves.

    Raises NotFound, Invalid for a collection of links, which do not expire.
    """
    access.require(actor, Action.WRITE, f"collection {collection_id}")
    if seconds is not None:
        check_ttl(seconds, ANY_TYPE)
    with instance.database.writing() as connection:
        row = collections_db.by_id(connection, collection_id)
        if row is None:
            raise NotFound(f"No collection {collection_id} (you are {actor.name})")
        if seconds is not None and row.kind != CollectionKind.SEQUENCE:
            entity, project, name = collections_db.full_name(connection, collection_id)
            raise Invalid(
                f"{entity}/{project}/{name} holds links only, and linked versions do not expire; "
                "set the TTL of the collections they lead to"
            )
        ttl_db.set_ttl(connection, Level.COLLECTION, collection_id, seconds)
        return lists_db.collection(connection, collection_id)


def set_project_ttl(
    instance: Instance, actor: Actor, entity: str, project: str, seconds: int | None
) -> ProjectRecord:
    """Set the TTL where neither version nor collection says anything. Raises NotFound."""
    access.require(actor, Action.ADMINISTER, f"project {entity}/{project}")
    if seconds is not None:
        check_ttl(seconds, ANY_TYPE)
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
        check_ttl(seconds, ANY_TYPE)
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
    access.require(actor, Action.READ, f"project {entity}/{project or ''}".rstrip("/"))
    before = instance.clock.now() + min(within, LONGEST_TTL)
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


def protect_aliases(
    instance: Instance, actor: Actor, entity: str, project: str, aliases: Sequence[str]
) -> ProjectRecord:
    """Set the aliases whose versions neither expire nor can be deleted (TTL-12, DEL-6).

    Raises NotFound, Invalid for `latest`, which would keep one version of everything for ever.
    """
    access.require(actor, Action.ADMINISTER, f"project {entity}/{project}")
    wanted = names.aliases(list(aliases))
    if names.LATEST in wanted:
        raise Invalid(f"`{names.LATEST}` cannot be protected: it moves by itself")
    with instance.database.writing() as connection:
        project_id = projects_db.require(connection, entity, project, actor.name)
        projects_db.protect(connection, project_id, wanted)
        return projects_db.record(connection, project_id)


# --- policies -----------------------------------------------------------------------------------


def policy(
    instance: Instance, actor: Actor, entity: str, project: str, collection: str | None = None
) -> Policy:
    """Return the retention policy that applies, and whether the project or the collection says so.

    A collection's own takes the place of its project's (DEL-11). Raises NotFound.
    """
    access.require(actor, Action.READ, _name(entity, project, collection))
    with instance.database.reading() as connection:
        return _policy(connection, *_place(connection, actor, entity, project, collection))


def set_policy(
    instance: Instance,
    actor: Actor,
    entity: str,
    project: str,
    collection: str | None,
    selection: Selection | None,
) -> Policy:
    """Set which versions every sweep may delete; None removes the policy.

    Returns what applies now. Raises NotFound, Denied, Invalid for a policy that selects all.
    """
    action = Action.ADMINISTER if collection is None else Action.DELETE
    access.require(actor, action, _name(entity, project, collection))
    document = None if selection is None else selection_to_json(check(selection))
    with instance.database.writing() as connection:
        level, id = _place(connection, actor, entity, project, collection)
        if selection is not None:  # a key that no database can look up is refused here, not later
            retention_db.selected(selection, _scope(level, id), instance.clock.now())
        retention_db.set_policy(connection, level, id, document)
        return _policy(connection, level, id)


# --- selections ---------------------------------------------------------------------------------


def preview(
    instance: Instance,
    actor: Actor,
    entity: str,
    project: str,
    collection: str | None,
    selection: Selection,
    *,
    by_policy: bool = False,
    with_metadata: bool = True,
) -> Preview:
    """Say what `delete_selected` would delete now, and what that would free (DEL-9).

    by_policy: what the selection would let go as a policy. with_metadata: as in VersionQuery.
    Raises NotFound, Invalid for a selection that says nothing.
    """
    access.require(actor, Action.READ, _name(entity, project, collection))
    check(selection)
    now = instance.clock.now()
    with instance.database.reading() as connection:
        scope = _scope(*_place(connection, actor, entity, project, collection))
        query = retention_db.selected(selection, scope, now, by_policy=by_policy)
        ids = retention_db.selected_ids(connection, query)
        freed, shared = retention_db.bytes_of(connection, query, now) if ids else (0, 0)
        shown = versions_db.by_ids(connection, ids[:PREVIEW_VERSIONS], with_metadata=with_metadata)
    first = tuple(shown[id] for id in ids[:PREVIEW_VERSIONS])
    return Preview(len(ids), first, bytes_freed=freed, bytes_shared=shared)


def delete_selected(
    instance: Instance,
    actor: Actor,
    entity: str,
    project: str,
    collection: str | None,
    selection: Selection,
) -> Deletion | None:
    """Hide all versions of a selection as one act, however many (DEL-9); None if there are none.

    Linked and protected versions are never selected. Their bytes go with the sweep. Doing it
    again finds nothing. Raises NotFound, Denied, Invalid.
    """
    place = _name(entity, project, collection)
    access.require(actor, Action.DELETE, place)
    check(selection)
    now = instance.clock.now()
    with instance.database.writing() as connection:
        scope = _scope(*_place(connection, actor, entity, project, collection))
        query = retention_db.selected(selection, scope, now)
        ids = retention_db.selected_ids(connection, query)
        if not ids:
            return None
        what = {"in": place.partition(" ")[2], **selection_to_json(selection)}
        act = deletion_db.hide_versions(
            connection,
            ids,
            what=json.dumps(what),
            reason=deletion_db.USER,
            actor=actor.name,
            now=now,
        )
        found = deletion_db.lock(connection, act)
    assert found is not None
    return deletion.record(instance, found)


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
        return f"link {deletion_db.links_of(connection, [version_id])[0]}"
    if found["is_protected"]:
        return f"alias {deletion_db.protections_of(connection, [version_id])[0]}"
    return None


def _name(entity: str, project: str, collection: str | None) -> str:
    if collection is None:
        return f"project {entity}/{project}"
    return f"collection {entity}/{project}/{collection}"


def _place(
    connection: Connection, actor: Actor, entity: str, project: str, collection: str | None
) -> tuple[Level, int]:
    if collection is None:
        return Level.PROJECT, projects_db.require(connection, entity, project, actor.name)
    row = find_collection(connection, actor, entity, project, collection)
    if row.kind != CollectionKind.SEQUENCE:
        raise Invalid(
            f"{entity}/{project}/{collection} holds links only; unlink them, or name the "
            "collection they lead to"
        )
    return Level.COLLECTION, int(row.id)


def _scope(level: Level, id: int) -> ColumnElement[bool]:
    if level is Level.COLLECTION:
        return retention_db.within(collection_id=id)
    return retention_db.within(project_id=id)


def _policy(connection: Connection, level: Level, id: int) -> Policy:
    document, found = retention_db.policy_of(connection, level, id)
    return Policy(None if document is None else selection_from_json(document), found)
