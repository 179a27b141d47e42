"""Entities and projects: found by name, made when first written to (RUN-5)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from lineal.core.moments import in_utc
from lineal.core.records import Page, PageRequest, ProjectId, ProjectRecord
from lineal.db.engine import insert, on_sqlite
from lineal.db.fields import text_field
from lineal.db.orders import fetch_page, parse_order
from lineal.db.schema import entities, projects
from lineal.errors import Gone, NotFound, ProjectNotFound
from lineal.nearest import NEAR_MISSES_MOST, near_misses

if TYPE_CHECKING:
    from lineal.db.rows import ProjectRow

_FIND = (
    select(projects)
    .join(entities, projects.c.entity_id == entities.c.id)
    .where(entities.c.name == bindparam("entity"), projects.c.name == bindparam("project"))
)
_FIND_LOCKED = _FIND.with_for_update(of=projects)


def ensure(connection: Connection, entity: str, project: str, now: datetime) -> int:
    """Return the id of a project, making it and its entity if need be; safe under races.

    Raises Gone for one that was deleted: what is in it must not mix with what comes.
    """
    found = find(connection, entity, project)
    if found is not None:
        return found
    entity_id = ensure_entity(connection, entity, now)
    connection.execute(
        insert(connection, projects)
        .values(entity_id=entity_id, name=project, created_at=now)
        .on_conflict_do_nothing(index_elements=["entity_id", "name"])
    )
    return require(connection, entity, project, entity)


def ensure_entity(connection: Connection, entity: str, now: datetime) -> int:
    """Return the id of an entity, making it if need be; safe under races."""
    connection.execute(
        insert(connection, entities)
        .values(name=entity, created_at=now)
        .on_conflict_do_nothing(index_elements=["name"])
    )
    query = select(entities.c.id).where(entities.c.name == entity)
    return int(connection.execute(query).scalar_one())


def find(connection: Connection, entity: str, project: str) -> int | None:
    """Return the id of a project that is not deleted."""
    row = find_row(connection, entity, project)
    return None if row is None or row.deleted_at is not None else int(row.id)


def find_row(connection: Connection, entity: str, project: str) -> ProjectRow | None:
    """Return the row of a project, deleted ones too."""
    row = connection.execute(_FIND, {"entity": entity, "project": project}).one_or_none()
    return cast("ProjectRow | None", row)


def hold(connection: Connection, *ids: int) -> None:
    """Let nobody delete projects until the transaction ends (SQLite: already so).

    To be called before a run or collection of them is locked, as whoever deletes one does.
    """
    if on_sqlite(connection):
        return
    own = select(projects.c.id).where(projects.c.id.in_(set(ids))).order_by(projects.c.id)
    connection.execute(own.with_for_update(read=True, key_share=True)).all()


def require_row(
    connection: Connection, entity: str, project: str, actor_name: str, *, lock: bool = False
) -> ProjectRow:
    """Return the row of a project, deleted ones too; lock: until the transaction ends.

    Raises ProjectNotFound saying what is called alike.
    """
    query = _FIND_LOCKED if lock else _FIND
    found = connection.execute(query, {"entity": entity, "project": project}).one_or_none()
    if found is None:
        raise _not_found(connection, entity, project, actor_name)
    return cast("ProjectRow", found)


def owners(connection: Connection) -> list[str]:
    """Return the names of entities that have projects; of many, `NEAR_MISSES_MOST`."""
    query = (
        select(entities.c.name)
        .join(projects, projects.c.entity_id == entities.c.id)
        .where(projects.c.deleted_at.is_(None))
        .distinct()
    )
    return list(connection.scalars(query.order_by(entities.c.name).limit(NEAR_MISSES_MOST)).all())


def find_entity(connection: Connection, entity: str) -> int | None:
    return connection.execute(select(entities.c.id).where(entities.c.name == entity)).scalar()


def require(connection: Connection, entity: str, project: str, actor_name: str) -> int:
    """Return the id of a project; raises Gone, or ProjectNotFound saying what is called alike."""
    found = find_row(connection, entity, project)
    if found is not None and found.deleted_at is not None:
        path = f"{entity}/{project}"
        raise Gone(
            f"Project {path} was deleted on {in_utc(found.deleted_at)} by {found.deleted_by}; "
            f"restore it with `lineal project restore {shlex.quote(path)}`, or use another name"
        )
    if found is None:
        raise _not_found(connection, entity, project, actor_name)
    return int(found.id)


def require_entity(connection: Connection, entity: str, actor_name: str) -> int:
    """Return the id of an entity, or raise NotFound that says what is called alike."""
    found = find_entity(connection, entity)
    if found is None:
        raise NotFound(
            f"No entity {entity} (you are {actor_name}){_near_entities(connection, entity)}"
        )
    return found


def protect(connection: Connection, project_id: int, names: Sequence[str]) -> None:
    """Set the aliases whose versions neither expire nor can be deleted (TTL-12, DEL-6)."""
    statement = update(projects).where(projects.c.id == project_id)
    connection.execute(statement.values(protected_aliases=list(names) or None))


def record(connection: Connection, project_id: int) -> ProjectRecord:
    row = connection.execute(_records().where(projects.c.id == project_id)).one()
    return _record(row)


def page(connection: Connection, entity_id: int, request: PageRequest) -> Page[ProjectRecord]:
    """List the projects of an entity by name."""
    order = parse_order("+name", {"name": text_field(projects.c.name)}, projects.c.id)
    query = _records().where(projects.c.entity_id == entity_id, projects.c.deleted_at.is_(None))
    rows, cursor, total = fetch_page(connection, query, order, request)
    return Page(tuple(_record(row) for row in rows), cursor, total)


def _records() -> Select[Any]:
    return select(projects, entities.c.name.label("entity")).join(
        entities, projects.c.entity_id == entities.c.id
    )


def _record(row: Row[Any]) -> ProjectRecord:
    return ProjectRecord(
        ProjectId(row.id),
        row.entity,
        row.name,
        row.created_at,
        ttl_seconds=row.ttl_seconds,
        protected_aliases=tuple(row.protected_aliases or ()),
    )


def _not_found(
    connection: Connection, entity: str, project: str, actor_name: str
) -> ProjectNotFound:
    near = _near_projects(connection, entity, project)
    return ProjectNotFound(f"No project {entity}/{project} (you are {actor_name}){near}")


def _near_projects(connection: Connection, entity: str, project: str) -> str:
    entity_id = find_entity(connection, entity)
    if entity_id is None:
        near = _near_entities(connection, entity)
        # an empty home may be the wrong one
        empty = "; this home has no projects yet, `lineal status` says where it is"
        return f": there is no entity {entity}{near}" if near else empty
    names: Sequence[str] = connection.scalars(
        select(projects.c.name)
        .where(projects.c.entity_id == entity_id, projects.c.deleted_at.is_(None))
        .order_by(projects.c.id.desc())
        .limit(NEAR_MISSES_MOST)
    ).all()
    if not names:
        return f"; {entity} has no projects yet"
    return near_misses(project, names, prefix=f"{entity}/", others="Projects there")


def _near_entities(connection: Connection, entity: str) -> str:
    names: Sequence[str] = connection.scalars(
        select(entities.c.name).order_by(entities.c.id).limit(NEAR_MISSES_MOST)
    ).all()
    return near_misses(entity, names, others="Entities here") if names else ""
