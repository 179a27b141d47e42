"""What keeps a version from being deleted or expiring (X-10, DEL-6, TTL-11), and a project."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, not_, select

from lineal.db.conditions import LIVE_VERSION
from lineal.db.documents import Holds
from lineal.db.engine import batches
from lineal.db.schema import (
    aliases,
    collections,
    edges,
    entities,
    memberships,
    projects,
    runs,
    versions,
)


def is_linked() -> ColumnElement[bool]:
    """Say of a row of `versions` whether a collection of a live project links it."""
    link = memberships.alias("link")
    place, home = collections.alias("link_collection"), projects.alias("link_project")
    return (
        exists()
        .where(
            link.c.version_id == versions.c.id,
            link.c.collection_id != versions.c.collection_id,
            link.c.removed_at.is_(None),
            place.c.id == link.c.collection_id,
            home.c.id == place.c.project_id,
            home.c.deleted_at.is_(None),
        )
        .correlate_except(link, place, home)
    )


def is_protected() -> ColumnElement[bool]:
    """Say of a row of `versions` whether it has a protected alias, at home or as a link."""
    held, name = memberships.alias("held"), aliases.alias("held_alias")
    place, home = collections.alias("held_collection"), projects.alias("held_project")
    return (
        exists()
        .where(
            held.c.version_id == versions.c.id,
            held.c.removed_at.is_(None),
            name.c.membership_id == held.c.id,
            place.c.id == held.c.collection_id,
            home.c.id == place.c.project_id,
            home.c.deleted_at.is_(None),
            Holds(home.c.protected_aliases, name.c.alias),
        )
        .correlate_except(held, name, place, home)
    )


def may_go() -> ColumnElement[bool]:
    return and_(not_(is_linked()), not_(is_protected()))


def links_of(
    connection: Connection, version_ids: Iterable[int], *, outside: int | None = None
) -> list[str]:
    """Return the full names under which versions are linked in live projects.

    outside: leave out the links in this project.
    """
    query = _shown(memberships.c.number).where(
        memberships.c.collection_id != versions.c.collection_id
    )
    if outside is not None:
        query = query.where(projects.c.id != outside)
    found: list[str] = []
    for batch in batches(version_ids):
        rows = connection.execute(query.where(versions.c.id.in_(batch)).order_by(memberships.c.id))
        found += [f"{row[0]}/{row[1]}/{row[2]}:v{row[3]}" for row in rows]
    return found


def runs_elsewhere(connection: Connection, project_id: int, limit: int) -> list[str]:
    """Return live runs of other live projects that used or logged live versions of this one."""
    query = (
        select(entities.c.name, projects.c.name, runs.c.run_id)
        .join(projects, runs.c.project_id == projects.c.id)
        .join(entities, projects.c.entity_id == entities.c.id)
        .where(
            runs.c.id.in_(
                select(edges.c.run_id)
                .join(versions, versions.c.id == edges.c.version_id)
                .join(collections, collections.c.id == versions.c.collection_id)
                .where(collections.c.project_id == project_id, LIVE_VERSION)
            ),
            runs.c.project_id != project_id,
            runs.c.deleted_at.is_(None),
            projects.c.deleted_at.is_(None),
        )
        .order_by(runs.c.id)
        .limit(limit)
    )
    return ["/".join(row) for row in connection.execute(query)]


def protections_of(connection: Connection, version_ids: Iterable[int]) -> list[str]:
    """Return the protected aliases of versions, as `entity/project/name:alias`."""
    query = (
        _shown(aliases.c.alias)
        .join(aliases, aliases.c.membership_id == memberships.c.id)
        .where(Holds(projects.c.protected_aliases, aliases.c.alias))
        .order_by(memberships.c.id, aliases.c.alias)
    )
    found: list[str] = []
    for batch in batches(version_ids):
        rows = connection.execute(query.where(versions.c.id.in_(batch)))
        found += [f"{row[0]}/{row[1]}/{row[2]}:{row[3]}" for row in rows]
    return found


def _shown(what: ColumnElement[Any]) -> Select[Any]:
    """Select (entity, project, collection, what) of the live memberships of versions."""
    return (
        select(entities.c.name, projects.c.name, collections.c.name, what)
        .select_from(memberships)
        .join(versions, versions.c.id == memberships.c.version_id)
        .join(collections, collections.c.id == memberships.c.collection_id)
        .join(projects, projects.c.id == collections.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
        .where(memberships.c.removed_at.is_(None), projects.c.deleted_at.is_(None))
    )
