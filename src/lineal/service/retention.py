"""Which versions may go: retention policies, selections with a preview, aliases that protect.

What a policy lets go becomes a tombstone in the sweep (`gc`); docs/design/003-deletion.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection

from lineal.core import access, names
from lineal.core.access import Action, Actor
from lineal.core.full_names import ArtifactPath
from lineal.core.records import CollectionKind, ProjectRecord
from lineal.core.retention import (
    Deletion,
    Level,
    Policy,
    Preview,
    Selection,
    check,
    selection_from_json,
    selection_to_json,
)
from lineal.db import deletion as deletion_db
from lineal.db import gc_plan
from lineal.db import projects as projects_db
from lineal.db import retention as retention_db
from lineal.db import versions as versions_db
from lineal.errors import Invalid
from lineal.service import deletion, finding
from lineal.service.instance import Instance

PREVIEW_VERSIONS = 100
"""Versions that a preview names; it counts all of them."""


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
        freed = shared = 0
        if ids:  # as if the undo period were over: only then is anything freed
            survivors = gc_plan.Survivors(connection, cutoff=now, now=now, doomed=ids)
            freed, shared = gc_plan.parts_together(connection, survivors, ids)
        shown = versions_db.by_ids(connection, ids[:PREVIEW_VERSIONS], with_metadata=with_metadata)
        is_rated = retention_db.is_rated(connection, selection, scope)
    first = tuple(shown[id] for id in ids[:PREVIEW_VERSIONS])
    return Preview(len(ids), first, bytes_freed=freed, bytes_shared=shared, is_rated=is_rated)


def delete_selected(
    instance: Instance,
    actor: Actor,
    entity: str,
    project: str,
    collection: str | None,
    selection: Selection,
) -> Deletion | None:
    """Hide all versions of a selection as one deletion (DEL-9); None if there are none.

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
        deletion_id = deletion_db.hide_versions(
            connection,
            ids,
            what=json.dumps(what),
            reason=deletion_db.USER,
            actor=actor.name,
            now=now,
        )
        found = deletion_db.lock(connection, deletion_id)
    assert found is not None
    return deletion.record(instance, found)


# --- the small steps ----------------------------------------------------------------------------


def _name(entity: str, project: str, collection: str | None) -> str:
    if collection is None:
        return f"project {entity}/{project}"
    return f"collection {entity}/{project}/{collection}"


def _place(
    connection: Connection, actor: Actor, entity: str, project: str, collection: str | None
) -> tuple[Level, int]:
    if collection is None:
        return Level.PROJECT, projects_db.require(connection, entity, project, actor.name)
    path = ArtifactPath(entity, project, collection)
    row = finding.collection(connection, actor, path)
    if row.kind != CollectionKind.SEQUENCE:
        raise Invalid(
            f"{path.without_ref} holds links only; unlink them, or name the collection they lead to"
        )
    return Level.COLLECTION, int(row.id)


def _scope(level: Level, id: int) -> ColumnElement[bool]:
    if level is Level.COLLECTION:
        return retention_db.within(collection_id=id)
    return retention_db.within(project_id=id)


def _policy(connection: Connection, level: Level, id: int) -> Policy:
    document, found = retention_db.policy_of(connection, level, id)
    return Policy(None if document is None else selection_from_json(document), found)
