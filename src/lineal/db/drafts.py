"""Drafts: versions being written. A committed draft stays, so that its client id still leads on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update
from sqlalchemy import insert as plain_insert

from lineal.db.engine import insert
from lineal.db.schema import collections, drafts, entities, projects, runs

OPEN, CONTRIBUTED, COMMITTED = "open", "contributed", "committed"
_PART = "/part"


# Statements of the path that every logged version takes are built once: building one anew costs
# three times as much as running it.
_BY_CLIENT_ID = select(drafts).where(drafts.c.client_id == bindparam("client"))
_BY_ID = select(drafts).where(drafts.c.id == bindparam("draft"))
_BY_ID_LOCKED = _BY_ID.with_for_update()
_SPECS = select(drafts.c.spec).where(drafts.c.id.in_(bindparam("drafts", expanding=True)))
_TARGET = (
    select(
        entities.c.name.label("entity"),
        projects.c.name.label("project"),
        projects.c.deleted_at.is_not(None).label("is_project_deleted"),
        (runs.c.id.is_not(None) & runs.c.deleted_at.is_(None)).label("is_run_live"),
    )
    .select_from(collections)
    .join(projects, projects.c.id == collections.c.project_id)
    .join(entities, entities.c.id == projects.c.entity_id)
    .outerjoin(runs, runs.c.id == bindparam("run"))
    .where(collections.c.id == bindparam("collection"))
    .with_for_update(read=True, of=projects)
)
_ADD = plain_insert(drafts).returning(drafts.c.id)
_CHANGE = update(drafts).where(drafts.c.id == bindparam("draft"))


def by_client_id(connection: Connection, client_id: str) -> Row[Any] | None:
    return connection.execute(_BY_CLIENT_ID, {"client": client_id}).one_or_none()


def by_id(connection: Connection, draft_id: int, *, lock: bool = False) -> Row[Any] | None:
    query = _BY_ID_LOCKED if lock else _BY_ID
    return connection.execute(query, {"draft": draft_id}).one_or_none()


def target(connection: Connection, collection_id: int, run: int | None) -> Row[Any]:
    """Say where a draft leads: (entity, project, is_project_deleted, is_run_live).

    Holds the project until the transaction ends, so that nobody deletes it meanwhile.
    """
    return connection.execute(_TARGET, {"collection": collection_id, "run": run}).one()


def add(connection: Connection, values: Mapping[str, Any]) -> int:
    return int(connection.execute(_ADD, dict(values)).scalar_one())


def change(connection: Connection, draft_ids: Sequence[int], values: Mapping[str, Any]) -> None:
    for draft_id in draft_ids:
        connection.execute(_CHANGE, {"draft": draft_id, **values})


def add_part(connection: Connection, draft: Row[Any]) -> int:
    """Add a draft's own manifest as a contribution to what it finishes, once; returns its id."""
    values = draft._asdict() | {
        "client_id": draft.client_id + _PART,
        "nonce": f"{draft.nonce}part",
        "state": CONTRIBUTED,
    }
    del values["id"]
    connection.execute(insert(connection, drafts).values(**values).on_conflict_do_nothing())
    part = by_client_id(connection, values["client_id"])
    assert part is not None
    return int(part.id)


def is_part_of(part: Row[Any], draft: Row[Any]) -> bool:
    """Say whether a contribution is what `add_part` made of a draft."""
    return bool(part.client_id == draft.client_id + _PART)


def contributions(
    connection: Connection, collection_id: int, distributed_id: str
) -> list[Row[Any]]:
    """Return what was contributed to a distributed version that nobody has finished yet."""
    query = select(drafts).where(
        drafts.c.collection_id == collection_id,
        drafts.c.distributed_id == distributed_id,
        drafts.c.state == CONTRIBUTED,
    )
    return list(connection.execute(query.order_by(drafts.c.id).with_for_update()).all())


def sources(connection: Connection, draft_ids: Sequence[int]) -> set[int]:
    """Return the versions that some drafts were made from, or took entries over from."""
    if not draft_ids:
        return set()
    specs = connection.execute(_SPECS, {"drafts": list(draft_ids)}).scalars()
    return {source for spec in specs for source in spec["sources"]}
