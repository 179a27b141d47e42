"""What a lineage graph shows of runs and versions, read set by set.

A graph may have ten thousand nodes: only what it shows is read, names of projects and
collections are looked up once for all, and rows are unpacked rather than asked by name. Nodes
are the integers of `db.lineage`: a run's key, a version's id negated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from lineal.core.lineage import LineageNode, run_node, version_node
from lineal.core.records import RunKey, VersionId, VersionState
from lineal.db import schema
from lineal.db.conditions import SOURCE_MEMBERSHIP
from lineal.db.engine import batches, listed
from lineal.db.runs import state_at


def nodes(
    connection: Connection, depths: Mapping[int, int], crashed_before: datetime
) -> dict[int, LineageNode]:
    """Return what a graph shows of nodes, deleted ones too, in the order of `depths`.

    depths: steps from the root by node. What does not exist is absent. A version's number and
    names are those of the collection that it was logged to.
    """
    run_rows = _run_rows(connection, [node for node in depths if node > 0])
    version_rows = _version_rows(connection, [-node for node in depths if node < 0])
    collections = _collection_rows(connection, {row[1] for row in version_rows})
    aliases = _aliases_of(connection, [row[2] for row in version_rows])
    projects = _project_paths(
        connection, {row[1] for row in run_rows} | {row[0] for row in collections.values()}
    )
    found = {
        row[0]: _run_node(row, depths[row[0]], projects, crashed_before) for row in run_rows
    } | {
        -row[0]: _version_node(row, depths[-row[0]], projects, collections, aliases)
        for row in version_rows
    }
    return {node: found[node] for node in depths if node in found}


def _run_node(
    row: Any, depth: int, projects: Mapping[int, str], crashed_before: datetime
) -> LineageNode:
    key, project, run_id, name, job_type, state, heartbeat_at, created_at, deleted_at = row
    return LineageNode(
        run_node(key),
        "run",
        projects[project] + run_id,
        name,
        job_type or "",
        state_at(state, heartbeat_at, crashed_before).value,
        depth,
        deleted_at is not None,
        created_at,
    )


def _version_node(
    row: Any,
    depth: int,
    projects: Mapping[int, str],
    collections: Mapping[int, tuple[int, str, str]],
    aliases: Mapping[int, tuple[str, ...]],
) -> LineageNode:
    id_, collection, membership, number, digest, created_at, deleted_at = row
    project, name, type_ = collections[collection]
    label = f"{name}:v{number}"
    return LineageNode(
        version_node(id_),
        "artifact",
        projects[project] + label,
        label,
        type_,
        _COMMITTED if deleted_at is None else _DELETED,
        depth,
        deleted_at is not None,
        created_at,
        digest,
        aliases.get(membership, ()),
    )


_COMMITTED, _DELETED = VersionState.COMMITTED.value, VersionState.DELETED.value


def _run_rows(connection: Connection, keys: list[int]) -> list[Any]:
    runs = schema.runs.c
    wanted = select(
        runs.id,
        runs.project_id,
        runs.run_id,
        runs.name,
        runs.job_type,
        runs.state,
        runs.heartbeat_at,
        runs.created_at,
        runs.deleted_at,
    )
    return list(connection.execute(wanted.where(runs.id.in_(listed(connection, keys)))).all())


def _version_rows(connection: Connection, ids: list[int]) -> list[Any]:
    versions, memberships = schema.versions.c, schema.memberships.c
    wanted = select(
        versions.id,
        versions.collection_id,
        memberships.id,
        memberships.number,
        versions.digest,
        versions.created_at,
        versions.deleted_at,
    ).join_from(schema.versions, schema.memberships, SOURCE_MEMBERSHIP)
    return list(connection.execute(wanted.where(versions.id.in_(listed(connection, ids)))).all())


def _project_paths(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Return `entity/project/` by project id."""
    projects, entities = schema.projects.c, schema.entities.c
    wanted = select(projects.id, entities.name, projects.name).join_from(
        schema.projects, schema.entities
    )
    return {
        id_: f"{entity}/{project}/"
        for some in batches(ids)
        for id_, entity, project in connection.execute(wanted.where(projects.id.in_(some)))
    }


def _collection_rows(connection: Connection, ids: Iterable[int]) -> dict[int, tuple[int, str, str]]:
    """Return (project id, name, type) by collection id."""
    collections = schema.collections.c
    wanted = select(collections.id, collections.project_id, collections.name, collections.type)
    return {
        id_: (project, name, type_)
        for some in batches(ids)
        for id_, project, name, type_ in connection.execute(wanted.where(collections.id.in_(some)))
    }


def _aliases_of(connection: Connection, memberships: list[int]) -> dict[int, tuple[str, ...]]:
    """Return the aliases of memberships in alphabetical order; those without any are absent."""
    aliases = schema.aliases.c
    wanted = select(aliases.membership_id, aliases.alias).order_by(aliases.alias)
    of_them = aliases.membership_id.in_(listed(connection, memberships))
    found: dict[int, tuple[str, ...]] = {}
    for membership, alias in connection.execute(wanted.where(of_them)):
        found[membership] = (*found.get(membership, ()), alias)
    return found


class End(NamedTuple):
    """One end of an edge to be: its full name, and when and by whom it was deleted, if it was."""

    name: str
    deleted_at: datetime | None
    deleted_by: str | None


def run_end(connection: Connection, run: RunKey) -> End | None:
    """Return what is to be said of a run, deleted ones too; None if there never was one."""
    runs = schema.runs.c
    row = connection.execute(
        select(
            schema.entities.c.name,
            schema.projects.c.name,
            runs.run_id,
            runs.deleted_at,
            runs.deleted_by,
        )
        .select_from(schema.runs.join(schema.projects).join(schema.entities))
        .where(runs.id == run)
    ).one_or_none()
    return None if row is None else End("/".join(row[:3]), row[3], row[4])


def version_end(connection: Connection, version: VersionId) -> End | None:
    """Return the same of a version, by its number in the collection that it was logged to."""
    row = connection.execute(
        select(
            schema.entities.c.name,
            schema.projects.c.name,
            schema.collections.c.name,
            schema.memberships.c.number,
            schema.versions.c.deleted_at,
            schema.versions.c.deleted_by,
        )
        .join_from(schema.versions, schema.memberships, SOURCE_MEMBERSHIP)
        .join(schema.collections, schema.collections.c.id == schema.versions.c.collection_id)
        .join(schema.projects, schema.projects.c.id == schema.collections.c.project_id)
        .join(schema.entities, schema.entities.c.id == schema.projects.c.entity_id)
        .where(schema.versions.c.id == version)
    ).one_or_none()
    return None if row is None else End(f"{'/'.join(row[:3])}:v{row[3]}", row[4], row[5])
