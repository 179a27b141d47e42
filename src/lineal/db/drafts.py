"""Drafts: versions being written. A committed draft stays, so that its client id still leads on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, select, update
from sqlalchemy import insert as plain_insert

from lineal.db.engine import insert, on_sqlite
from lineal.db.prepared import Prepared
from lineal.db.schema import collections, drafts, memberships, projects, runs

if TYPE_CHECKING:
    from lineal.db.rows import DraftRow, DraftToCommit

OPEN, CONTRIBUTED, COMMITTED = "open", "contributed", "committed"
UNFINISHED = (OPEN, CONTRIBUTED)
"""States of what a version may still be made of, until it expires."""
_PART = "/part"
_PART_NONCE = "part"
"""At the end of a nonce; without it they are hexadecimal."""


# Statements of the path that every logged version takes.
_one = select(drafts).where(drafts.c.id == bindparam("draft"))
_BY_ID = Prepared(_one)
_BY_ID_LOCKED = Prepared(_one.with_for_update())
_BY_CLIENT_ID = Prepared(select(drafts).where(drafts.c.client_id == bindparam("client")))
_BY_IDS = (
    select(drafts).where(drafts.c.id.in_(bindparam("drafts", expanding=True))).order_by(drafts.c.id)
)
_TO_COMMIT = Prepared(
    select(
        drafts,
        exists()
        .where(
            collections.c.id == drafts.c.collection_id,
            projects.c.id == collections.c.project_id,
            projects.c.deleted_at.is_(None),
        )
        .label("is_project_live"),
        exists()
        .where(runs.c.id == drafts.c.run_id, runs.c.deleted_at.is_(None))
        .label("is_run_live"),
    )
    .where(drafts.c.id == bindparam("draft"))
    .with_for_update(of=drafts)
)
_PROJECT_HELD = (
    select(projects.c.id)
    .join(collections, collections.c.project_id == projects.c.id)
    .where(collections.c.id == bindparam("collection"))
    .with_for_update(read=True, of=projects)
)
_ADD = Prepared(plain_insert(drafts).returning(drafts.c.id))
_CHANGE = Prepared(update(drafts).where(drafts.c.id == bindparam("draft")))


class Asked(NamedTuple):
    """What a log call asks for besides content; kept with its draft (`core.records.DraftSpec`)."""

    description: str | None
    metadata: dict[str, Any] | None
    aliases: Sequence[str]
    tags: Sequence[str]
    history_step: int | None
    sources: Sequence[int]
    """All versions that it was made from, its base among them."""
    on_unchanged: str
    is_final: bool
    base: int | None
    # drafts may have been begun before these could be asked for
    on_latest: bool = False
    ttl_seconds: int | None = None
    number: int | None = None
    as_of: str | None = None
    is_elsewhere: bool = False


def asked(draft: DraftRow) -> Asked:
    return Asked(**draft.spec)


def is_under_way(now: datetime) -> ColumnElement[bool]:
    """Say of a draft that a version may still be made of it: what it holds must stay."""
    return and_(drafts.c.state.in_(UNFINISHED), drafts.c.expires_at > now)


def by_client_id(connection: Connection, client_id: str) -> DraftRow | None:
    return cast("DraftRow | None", _BY_CLIENT_ID.row(connection, client=client_id))


def by_id(connection: Connection, draft_id: int, *, lock: bool = False) -> DraftRow | None:
    """Return a draft in whatever state, expired ones too; lock: until the transaction ends."""
    query = _BY_ID_LOCKED if lock else _BY_ID
    return cast("DraftRow | None", query.row(connection, draft=draft_id))


def to_commit(connection: Connection, draft_id: int, collection_id: int) -> DraftToCommit | None:
    """Return a draft with is_project_live and is_run_live, of what it is written for.

    Until the transaction ends nobody else changes the draft or deletes the project (SQLite: as in
    every transaction that writes). The project first, as whoever deletes does.
    """
    if not on_sqlite(connection):
        connection.execute(_PROJECT_HELD, {"collection": collection_id}).one()
    return cast("DraftToCommit | None", _TO_COMMIT.row(connection, draft=draft_id))


def add(connection: Connection, values: Mapping[str, Any]) -> int:
    return int(_ADD.value(connection, **values))


def change(connection: Connection, draft_ids: Sequence[int], values: Mapping[str, Any]) -> None:
    for draft_id in draft_ids:
        _CHANGE.run(connection, draft=draft_id, **values)


def add_part(connection: Connection, draft: DraftRow) -> int:
    """Add a draft's own manifest as a contribution to what it finishes, once; returns its id."""
    values = draft._asdict() | {
        "client_id": draft.client_id + _PART,
        "nonce": draft.nonce + _PART_NONCE,
        "state": CONTRIBUTED,
    }
    del values["id"]
    connection.execute(insert(connection, drafts).values(**values).on_conflict_do_nothing())
    part = by_client_id(connection, values["client_id"])
    assert part is not None
    return int(part.id)


def is_part_of(part: DraftRow, draft: DraftRow) -> bool:
    """Say whether a contribution is what `add_part` made of a draft."""
    return bool(part.client_id == draft.client_id + _PART)


def is_part(draft: DraftRow) -> bool:
    """Say whether a draft is what `add_part` made of another."""
    return bool(draft.nonce.endswith(_PART_NONCE))


def contributions(
    connection: Connection, collection_id: int, distributed_id: str
) -> list[DraftRow]:
    """Return what was contributed to a distributed version that nobody has finished yet."""
    query = select(drafts).where(
        drafts.c.collection_id == collection_id,
        drafts.c.distributed_id == distributed_id,
        drafts.c.state == CONTRIBUTED,
    )
    rows = connection.execute(query.order_by(drafts.c.id).with_for_update()).all()
    return cast("list[DraftRow]", rows)


def distributed_ids(connection: Connection, collection_id: int, most: int = 5) -> list[str]:
    """Return the ids under which something was contributed that nobody has finished yet."""
    query = select(drafts.c.distributed_id).where(
        drafts.c.collection_id == collection_id,
        drafts.c.distributed_id.is_not(None),
        drafts.c.state == CONTRIBUTED,
    )
    query = query.distinct().order_by(drafts.c.distributed_id).limit(most)
    return [str(id) for id in connection.scalars(query)]


def number_made(connection: Connection, collection_id: int, distributed_id: str) -> int | None:
    """Return the number of the last version that was made of contributions under an id."""
    query = (
        select(memberships.c.number)
        .join(drafts, drafts.c.version_id == memberships.c.version_id)
        .where(
            drafts.c.collection_id == collection_id,
            drafts.c.distributed_id == distributed_id,
            memberships.c.collection_id == collection_id,
        )
    )
    return connection.scalar(query.order_by(drafts.c.id.desc()).limit(1))


def parts_of_run(connection: Connection, run: int) -> list[DraftRow]:
    """Return what a run contributed to versions of many, or finished them with, the first first."""
    query = select(drafts).where(
        drafts.c.run_id == run,
        drafts.c.distributed_id.is_not(None),
        drafts.c.state.in_((CONTRIBUTED, COMMITTED)),
    )
    return cast("list[DraftRow]", connection.execute(query.order_by(drafts.c.id)).all())


def finishing(connection: Connection, collection_id: int, distributed_id: str) -> list[DraftRow]:
    """Return the drafts that versions were made by of what was contributed under an id."""
    query = select(drafts).where(
        drafts.c.collection_id == collection_id,
        drafts.c.distributed_id == distributed_id,
        drafts.c.state == COMMITTED,
    )
    rows = cast("list[DraftRow]", connection.execute(query.order_by(drafts.c.id)).all())
    return [row for row in rows if asked(row).is_final and not is_part(row)]


def by_ids(connection: Connection, draft_ids: Sequence[int]) -> list[DraftRow]:
    """Return some drafts, the oldest first."""
    if not draft_ids:
        return []
    rows = connection.execute(_BY_IDS, {"drafts": list(draft_ids)}).all()
    return cast("list[DraftRow]", rows)
