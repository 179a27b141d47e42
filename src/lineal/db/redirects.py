"""Old names of what was renamed or moved to another project, and where they lead (RUN-38).

A name leads on only while nothing has it: whoever looks one up looks here second.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select

from lineal.db.engine import insert
from lineal.db.schema import entities, projects, redirects

RUN, COLLECTION = "run", "collection"
"""Kinds of what a name leads to; the target is its primary key, so that it may move again."""


def add(
    connection: Connection, kind: str, project_id: int, name: str, target: int, now: datetime
) -> None:
    """Let a name lead to the target; where it led before is forgotten."""
    statement = insert(connection, redirects).values(
        kind=kind, project_id=project_id, name=name, target_id=target, created_at=now
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["project_id", "kind", "name"],
            set_={"target_id": target, "created_at": now},
        )
    )


def remove(connection: Connection, kind: str, project_id: int, name: str) -> None:
    connection.execute(
        delete(redirects).where(
            redirects.c.kind == kind,
            redirects.c.project_id == project_id,
            redirects.c.name == name,
        )
    )


def target(connection: Connection, kind: str, project_id: int, name: str) -> int | None:
    """Return the primary key of what a name leads to, None if it leads nowhere."""
    return connection.execute(
        select(redirects.c.target_id).where(
            redirects.c.kind == kind,
            redirects.c.project_id == project_id,
            redirects.c.name == name,
        )
    ).scalar()


def target_of_path(
    connection: Connection, kind: str, entity: str, project: str, name: str
) -> int | None:
    """Return where a name of a project leads, also of a project that was deleted."""
    query = (
        select(redirects.c.target_id)
        .join(projects, projects.c.id == redirects.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
        .where(
            redirects.c.kind == kind,
            entities.c.name == entity,
            projects.c.name == project,
            redirects.c.name == name,
        )
    )
    return connection.execute(query).scalar()
