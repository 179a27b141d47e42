"""Which collections can follow a run that moved to another project (RUN-38)."""

from __future__ import annotations

from sqlalchemy import Connection, Integer, Row, case, cast, func, select

from lineal.core.records import EdgeKind
from lineal.db import full_names
from lineal.db.conditions import LIVE_VERSION
from lineal.db.lineage import FIRST_LOGGED
from lineal.db.schema import collections, edges, entities, projects, runs, versions


def produced_collections(
    connection: Connection, run: int, project_id: int
) -> list[Row[tuple[int, str, str, int, int, int]]]:
    """Return collections elsewhere with live versions that this run was the first to log.

    Rows: `id`, `name`, `full_name`, `project_id`, `live` (its live versions), `home` (those of
    them whose first producer is a run of the project).
    """
    logged_to = (
        select(versions.c.collection_id)
        .join(edges, edges.c.version_id == versions.c.id)
        .where(edges.c.run_id == run, edges.c.kind == EdgeKind.LOGGED)
    )
    candidates = select(versions.c.id).where(versions.c.collection_id.in_(logged_to))
    first = (
        FIRST_LOGGED.add_columns(edges.c.version_id)
        .where(edges.c.version_id.in_(candidates))  # else the edges of all runs are read
        .group_by(edges.c.version_id)
        .subquery()
    )
    produced = (
        select(versions.c.collection_id)
        .join(first, first.c.version_id == versions.c.id)
        .join(edges, edges.c.id == first.c.edge_id)
        .where(edges.c.run_id == run, LIVE_VERSION)
    )
    is_home = case((runs.c.project_id == project_id, 1), else_=0)
    query = (
        select(
            collections.c.id,
            collections.c.name,
            full_names.COLLECTION.label("full_name"),
            collections.c.project_id,
            func.count().label("live"),
            cast(func.sum(is_home), Integer).label("home"),
        )
        .join(projects, projects.c.id == collections.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
        .join(versions, versions.c.collection_id == collections.c.id)
        .outerjoin(first, first.c.version_id == versions.c.id)
        .outerjoin(edges, edges.c.id == first.c.edge_id)
        .outerjoin(runs, runs.c.id == edges.c.run_id)
        .where(
            collections.c.id.in_(produced),
            collections.c.project_id != project_id,
            LIVE_VERSION,
        )
        .group_by(collections.c.id, projects.c.id, entities.c.id)
        .order_by(collections.c.id)
    )
    return list(connection.execute(query))
