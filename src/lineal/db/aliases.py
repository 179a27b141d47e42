"""Aliases: where they are, where they were, and what becomes of them with their versions.

Whoever moves aliases has locked their collection (`collections.lock`), so that what is read here
of where they are is still true when the move is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    not_,
    null,
    select,
    update,
)

from lineal.core.names import LATEST
from lineal.db.conditions import LIVE_MEMBERSHIP
from lineal.db.engine import batches, each_text, insert_for
from lineal.db.prepared import Prepared
from lineal.db.schema import alias_moves, aliases, memberships, versions

if TYPE_CHECKING:
    from lineal.db.versions import Membership

# Statements of the path that every logged version takes.
_ADD_MOVE = Prepared(insert(alias_moves))
_MOVE = [
    *("collection_id", "alias", "before_number", "after_number"),
    *("moved_by", "moved_at", "asked_for"),
]
_of_latest = alias_moves.alias("of_latest")
_ASK_FOR_LATEST = Prepared(
    update(alias_moves)
    .where(
        alias_moves.c.id
        == select(func.max(_of_latest.c.id))
        .where(_of_latest.c.collection_id == bindparam("collection"), _of_latest.c.alias == LATEST)
        .scalar_subquery(),
        not_(alias_moves.c.asked_for),
    )
    .values(asked_for=True)
)
"""Note that `latest` is wanted where it is, also if it only fell back to there."""

# --- reading ------------------------------------------------------------------------------------


def numbers(connection: Connection, collection_id: int, names: Sequence[str]) -> dict[str, int]:
    """Return the version number each of these aliases is on now; the others are left out."""
    rows = _numbers.rows(connection, collection=collection_id, names=json.dumps(list(names)))
    return {row.alias: row.number for row in rows}


@Prepared
def _numbers(is_sqlite: bool) -> Select[Any]:
    return (
        select(aliases.c.alias, memberships.c.number)
        .join(memberships, memberships.c.id == aliases.c.membership_id)
        .where(
            aliases.c.collection_id == bindparam("collection"),
            aliases.c.alias.in_(each_text(is_sqlite, bindparam("names", type_=Text))),
        )
    )


def names(connection: Connection, collection_id: int) -> list[str]:
    query = select(aliases.c.alias).where(aliases.c.collection_id == collection_id)
    return list(connection.execute(query.order_by(aliases.c.alias)).scalars())


def moves(connection: Connection, collection_id: int, alias: str | None) -> list[Row[Any]]:
    """Return an alias's moves (or all), the oldest first."""
    query = select(alias_moves).where(alias_moves.c.collection_id == collection_id)
    if alias is not None:
        query = query.where(alias_moves.c.alias == alias)
    return list(connection.execute(query.order_by(alias_moves.c.id)).all())


# --- by hand, and by logging --------------------------------------------------------------------


def put(
    connection: Connection,
    collection_id: int,
    membership: Membership,
    names: Sequence[str],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Put aliases on a membership, taking them from wherever they were; records each move."""
    before = numbers(connection, collection_id, names)
    if before.get(LATEST) == membership.number:
        _ASK_FOR_LATEST.run(connection, collection=collection_id)
    moved = [name for name in names if before.get(name) != membership.number]
    if not moved:
        return
    _put(connection, [(collection_id, name, membership.id) for name in moved])
    _record(
        connection,
        [(collection_id, name, before.get(name), membership.number) for name in moved],
        actor=actor,
        now=now,
    )


def take_off(
    connection: Connection,
    collection_id: int,
    names: Sequence[str],
    *,
    actor: str,
    now: datetime,
    asked_for: bool = True,
) -> None:
    """Take aliases off whatever they are on; records each move.

    asked_for: somebody wants that, else the aliases go with a link.
    """
    before = numbers(connection, collection_id, names)
    if not before:
        return
    connection.execute(
        aliases.delete().where(
            aliases.c.collection_id == collection_id, aliases.c.alias.in_(list(before))
        )
    )
    moved = [(collection_id, name, number, None) for name, number in before.items()]
    _record(connection, moved, actor=actor, now=now, asked_for=asked_for)


def _put(connection: Connection, places: Iterable[tuple[int, str, int]]) -> None:
    """Put aliases, given with their collections, on memberships."""
    _put_alias.run_each(
        connection,
        [
            {"collection_id": collection_id, "alias": alias, "membership_id": membership_id}
            for collection_id, alias, membership_id in places
        ],
    )


@Prepared
def _put_alias(is_sqlite: bool) -> Insert:
    statement = insert_for(is_sqlite, aliases)
    return statement.on_conflict_do_update(
        index_elements=[aliases.c.collection_id, aliases.c.alias],
        set_={"membership_id": statement.excluded.membership_id},
    )


def _record(
    connection: Connection,
    moved: Iterable[tuple[int, str, int | None, int | None]],
    *,
    actor: str,
    now: datetime,
    asked_for: bool = True,
) -> None:
    """Write down moves: collection, alias, the number before and the number after."""
    _ADD_MOVE.run_each(
        connection,
        [dict(zip(_MOVE, (*move, actor, now, asked_for), strict=True)) for move in moved],
    )


# --- with versions that go ----------------------------------------------------------------------


def take_from_deleted(
    connection: Connection, deletion_id: int, *, actor: str, now: datetime
) -> set[int]:
    """Take the aliases from what a deletion hid; returns the collections that lost `latest`."""
    of_deleted = (
        select(memberships.c.id)
        .join(versions, versions.c.id == memberships.c.version_id)
        .where(versions.c.deletion_id == deletion_id)
    )
    lost = (
        select(
            aliases.c.collection_id,
            aliases.c.alias,
            memberships.c.number,
            null(),
            literal(actor),
            literal(now, alias_moves.c.moved_at.type),
            false(),
        )
        .join(memberships, memberships.c.id == aliases.c.membership_id)
        .where(aliases.c.membership_id.in_(of_deleted))
        .order_by(aliases.c.collection_id, aliases.c.alias)
    )
    connection.execute(insert(alias_moves).from_select(_MOVE, lost))
    taken = connection.execute(
        delete(aliases)
        .where(aliases.c.membership_id.in_(of_deleted))
        .returning(aliases.c.collection_id, aliases.c.alias)
    )
    return {collection_id for collection_id, alias in taken if alias == LATEST}


def settle_latest(
    connection: Connection, collection_ids: Iterable[int], *, actor: str, now: datetime
) -> int:
    """Put `latest` of collections where it belongs; returns how many were moved (ALI-4).

    That is where somebody put it last, by hand, by logging or by linking, else, once that version
    or link is gone, the highest that lives. Where somebody took it off it stays on no version.
    """
    count = 0
    for batch in batches(sorted(collection_ids)):
        rows = connection.execute(_misplaced_latest(batch)).all()
        give_back(connection, rows, actor=actor, now=now)
        count += len(rows)
    return count


def _misplaced_latest(collection_ids: Sequence[int]) -> Select[Any]:
    """Select `latest` of the collections where it has to move, with where it belongs."""
    asked = (
        select(alias_moves.c.collection_id, alias_moves.c.after_number.label("number"))
        .where(alias_moves.c.id.in_(_last_asked_for(collection_ids, alias_moves.c.alias == LATEST)))
        .subquery()
    )
    wanted = case((memberships.c.number == asked.c.number, memberships.c.number))
    best = (
        select(
            memberships.c.collection_id,
            func.coalesce(func.max(wanted), func.max(memberships.c.number)).label("number"),
        )
        .join(versions, versions.c.id == memberships.c.version_id)
        .join(asked, asked.c.collection_id == memberships.c.collection_id)
        .where(asked.c.number.is_not(None), LIVE_MEMBERSHIP)
        .group_by(memberships.c.collection_id)
        .subquery()
    )
    now_on = memberships.alias("now_on")
    return (
        select(
            memberships.c.collection_id,
            literal(LATEST).label("alias"),
            memberships.c.id.label("membership_id"),
            memberships.c.number,
            now_on.c.number.label("before"),
        )
        .join(
            best,
            and_(
                best.c.collection_id == memberships.c.collection_id,
                best.c.number == memberships.c.number,
            ),
        )
        .outerjoin(
            aliases,
            and_(aliases.c.collection_id == memberships.c.collection_id, aliases.c.alias == LATEST),
        )
        .outerjoin(now_on, now_on.c.id == aliases.c.membership_id)
        .where(now_on.c.number.is_distinct_from(memberships.c.number))
    )


# --- with versions that come back ---------------------------------------------------------------


def to_return(connection: Connection, hidden: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Return the aliases that belong to deleted versions, for `give_back` once they are live again.

    hidden: a condition on `versions`. They belong where somebody put them last.
    """
    touched = (
        select(memberships.c.collection_id)
        .join(versions, versions.c.id == memberships.c.version_id)
        .where(hidden)
    )
    now_on = memberships.alias("now_on")
    query: Select[Any] = (
        select(
            alias_moves.c.collection_id,
            alias_moves.c.alias,
            memberships.c.id.label("membership_id"),
            memberships.c.number,
            now_on.c.number.label("before"),
        )
        .select_from(alias_moves)
        .join(
            memberships,
            and_(
                memberships.c.collection_id == alias_moves.c.collection_id,
                memberships.c.number == alias_moves.c.after_number,
            ),
        )
        .join(versions, versions.c.id == memberships.c.version_id)
        .outerjoin(
            aliases,
            and_(
                aliases.c.collection_id == alias_moves.c.collection_id,
                aliases.c.alias == alias_moves.c.alias,
            ),
        )
        .outerjoin(now_on, now_on.c.id == aliases.c.membership_id)
        .where(
            alias_moves.c.id.in_(_last_asked_for(touched)),
            hidden,
            memberships.c.removed_at.is_(None),
        )
        .order_by(alias_moves.c.id)
    )
    return connection.execute(query).all()


def give_back(
    connection: Connection, rows: Sequence[Row[Any]], *, actor: str, now: datetime
) -> None:
    """Put the aliases of `to_return` where they belong; records each move."""
    if not rows:
        return
    _put(connection, [(row.collection_id, row.alias, row.membership_id) for row in rows])
    moved = [(row.collection_id, row.alias, row.before, row.number) for row in rows]
    _record(connection, moved, actor=actor, now=now, asked_for=False)


def _last_asked_for(
    collection_ids: Sequence[int] | Select[tuple[int]], *which: ColumnElement[bool]
) -> Select[tuple[int]]:
    """Select, for each alias of collections, its newest move that somebody asked for."""
    return (
        select(func.max(alias_moves.c.id))
        .where(alias_moves.c.collection_id.in_(collection_ids), alias_moves.c.asked_for, *which)
        .group_by(alias_moves.c.collection_id, alias_moves.c.alias)
    )
