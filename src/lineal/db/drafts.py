"""Drafts: versions being written. A committed draft stays, so that its client id still leads on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy import insert as plain_insert

from lineal.db.engine import insert
from lineal.db.schema import drafts

OPEN, CONTRIBUTED, COMMITTED = "open", "contributed", "committed"


def by_client_id(connection: Connection, client_id: str) -> Row[Any] | None:
    return connection.execute(select(drafts).where(drafts.c.client_id == client_id)).one_or_none()


def by_id(connection: Connection, draft_id: int, *, lock: bool = False) -> Row[Any] | None:
    query = select(drafts).where(drafts.c.id == draft_id)
    return connection.execute(query.with_for_update() if lock else query).one_or_none()


def add(connection: Connection, values: Mapping[str, Any]) -> int:
    id = connection.execute(
        plain_insert(drafts).values(**values).returning(drafts.c.id)
    ).scalar_one()
    return int(id)


def change(connection: Connection, draft_ids: Sequence[int], values: Mapping[str, Any]) -> None:
    connection.execute(update(drafts).where(drafts.c.id.in_(draft_ids)).values(**values))


def add_part(connection: Connection, draft: Row[Any]) -> None:
    """Add a draft's own manifest as a contribution to what it finishes; once."""
    values = draft._asdict() | {
        "client_id": f"{draft.client_id}/part",
        "nonce": f"{draft.nonce}part",
        "state": CONTRIBUTED,
    }
    del values["id"]
    connection.execute(insert(connection, drafts).values(**values).on_conflict_do_nothing())


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
