"""Aliases: where they are, where they were, and what becomes of them with their versions."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Row,
    ScalarSelect,
    Select,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    not_,
    null,
    or_,
    select,
)

from lineal.core.names import LATEST
from lineal.db.blobs import batches
from lineal.db.collections import LIVE
from lineal.db.engine import each_text, insert_for, on_sqlite
from lineal.db.schema import alias_moves, aliases, collections, deletions, memberships, versions

if TYPE_CHECKING:
    from lineal.db.versions import Membership

# Statements of the path that every logged version takes are built once: building one anew costs
# three times as much as running it.
_ADD_MOVE = insert(alias_moves)
_MOVE = ["collection_id", "alias", "before_number", "after_number", "moved_by", "moved_at"]

# --- reading ------------------------------------------------------------------------------------


def numbers(connection: Connection, collection_id: int, names: Sequence[str]) -> dict[str, int]:
    """Return the version number each of these aliases is on now; the others are left out."""
    query = _numbers(on_sqlite(connection))
    rows = connection.execute(
        query, {"collection": collection_id, "names": json.dumps(list(names))}
    )
    return {row.alias: row.number for row in rows}


@functools.cache
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
    connection: Connection, collection_id: int, names: Sequence[str], *, actor: str, now: datetime
) -> None:
    """Take aliases off whatever they are on; records each move."""
    before = numbers(connection, collection_id, names)
    if not before:
        return
    connection.execute(
        aliases.delete().where(
            aliases.c.collection_id == collection_id, aliases.c.alias.in_(list(before))
        )
    )
    moved = [(collection_id, name, number, None) for name, number in before.items()]
    _record(connection, moved, actor=actor, now=now)


def _put(connection: Connection, places: Iterable[tuple[int, str, int]]) -> None:
    """Put aliases, given with their collections, on memberships."""
    connection.execute(
        _put_alias(on_sqlite(connection)),
        [
            {"collection_id": collection_id, "alias": alias, "membership_id": membership_id}
            for collection_id, alias, membership_id in places
        ],
    )


@functools.cache
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
) -> None:
    """Write down moves: collection, alias, the number before and the number after."""
    connection.execute(
        _ADD_MOVE, [dict(zip(_MOVE, (*move, actor, now), strict=True)) for move in moved]
    )


# --- with versions that go ----------------------------------------------------------------------


def take_from_deleted(
    connection: Connection, deletion_id: int, *, actor: str, now: datetime
) -> set[int]:
    """Take the aliases from what an act hid; returns the collections that lost `latest`."""
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


def fall_back(
    connection: Connection, collection_ids: Iterable[int], *, actor: str, now: datetime
) -> None:
    """Put `latest` of collections on their highest live version where it is nowhere (ALI-4).

    Not for those where somebody took it off: there it stays on no version.
    """
    for batch in batches(sorted(collection_ids)):
        rows = connection.execute(_newest_without_latest(batch)).all()
        if rows:
            _put(connection, [(row.collection_id, LATEST, row.id) for row in rows])
            moved = [(row.collection_id, LATEST, None, row.number) for row in rows]
            _record(connection, moved, actor=actor, now=now)


def _newest_without_latest(collection_ids: Sequence[int]) -> Select[Any]:
    has_latest = exists().where(
        aliases.c.collection_id == collections.c.id, aliases.c.alias == LATEST
    )
    highest = (
        select(memberships.c.collection_id, func.max(memberships.c.number).label("number"))
        .join(versions, versions.c.id == memberships.c.version_id)
        .join(collections, collections.c.id == memberships.c.collection_id)
        .where(memberships.c.collection_id.in_(collection_ids), LIVE, not_(has_latest))
        .group_by(memberships.c.collection_id)
        .subquery()
    )
    return select(memberships.c.collection_id, memberships.c.id, memberships.c.number).join(
        highest,
        and_(
            highest.c.collection_id == memberships.c.collection_id,
            highest.c.number == memberships.c.number,
        ),
    )


# --- with versions that come back ---------------------------------------------------------------


def to_return(connection: Connection, hidden: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Return the aliases that deleted versions had, for `give_back` once they are live again.

    hidden: a condition on `versions`. Left out is what somebody set or took off since, and
    `latest` where it is on the version that somebody put it on last: a version that it only fell
    back to does not take it from there.
    """
    asked = alias_moves.alias("asked")
    now_on = memberships.alias("now_on")
    query = (
        _moves_with_version(
            alias_moves.c.collection_id,
            alias_moves.c.alias,
            memberships.c.id.label("membership_id"),
            memberships.c.number,
            now_on.c.number.label("before"),
        )
        .outerjoin(
            aliases,
            and_(
                aliases.c.collection_id == alias_moves.c.collection_id,
                aliases.c.alias == alias_moves.c.alias,
            ),
        )
        .outerjoin(now_on, now_on.c.id == aliases.c.membership_id)
        .outerjoin(asked, asked.c.id == _last_asked())
        .where(
            hidden,
            memberships.c.removed_at.is_(None),
            alias_moves.c.moved_at == versions.c.deleted_at,
            alias_moves.c.after_number.is_(None),
            or_(asked.c.id.is_(None), asked.c.id < alias_moves.c.id),
            or_(
                asked.c.after_number.is_(None),
                now_on.c.number.is_(None),
                now_on.c.number != asked.c.after_number,
            ),
        )
        .order_by(alias_moves.c.id)
    )
    return connection.execute(query).all()


def _last_asked() -> ScalarSelect[int]:
    """Select the newest move of the alias of a row of `alias_moves` that somebody asked for.

    A move at the very moment of a deletion, a restoration or the end of a link is `latest` falling
    back, or an alias going or coming back, which nobody asked for. Nor did anybody put `latest`
    from nowhere on a lower number: that was the only version left when part of an act was restored.
    """
    move, act, link = alias_moves.alias("move"), deletions.alias("act"), memberships.alias("link")
    fell_back = and_(
        move.c.alias == LATEST,
        move.c.id > alias_moves.c.id,
        move.c.before_number.is_(None),
        move.c.after_number < alias_moves.c.before_number,
    )
    unlinked = and_(
        link.c.collection_id == move.c.collection_id, link.c.removed_at == move.c.moved_at
    )
    return (
        select(move.c.id)
        .where(
            move.c.collection_id == alias_moves.c.collection_id,
            move.c.alias == alias_moves.c.alias,
            not_(fell_back),
            not_(exists().where(act.c.deleted_at == move.c.moved_at)),
            not_(exists().where(act.c.restored_at == move.c.moved_at)),
            not_(exists().where(unlinked)),
        )
        .order_by(move.c.id.desc())
        .limit(1)
        .correlate(alias_moves)
        .scalar_subquery()
    )


def give_back(
    connection: Connection, rows: Sequence[Row[Any]], *, actor: str, now: datetime
) -> None:
    """Put the aliases of `to_return` where they were; records each move."""
    if not rows:
        return
    _put(connection, [(row.collection_id, row.alias, row.membership_id) for row in rows])
    moved = [(row.collection_id, row.alias, row.before, row.number) for row in rows]
    _record(connection, moved, actor=actor, now=now)


def lost_latest(connection: Connection, collection_ids: Sequence[int]) -> list[int]:
    """Return the collections where `latest` went with its version or link: nobody took it off."""
    newest = (
        select(func.max(alias_moves.c.id))
        .where(alias_moves.c.collection_id.in_(collection_ids), alias_moves.c.alias == LATEST)
        .group_by(alias_moves.c.collection_id)
    )
    query = _moves_with_version(alias_moves.c.collection_id).where(
        alias_moves.c.id.in_(newest),
        alias_moves.c.after_number.is_(None),
        alias_moves.c.moved_at.in_((versions.c.deleted_at, memberships.c.removed_at)),
    )
    return list(connection.execute(query).scalars())


def _moves_with_version(*columns: ColumnElement[Any]) -> Select[Any]:
    """Select from moves, each with the version the alias was on before."""
    return (
        select(*columns)
        .select_from(alias_moves)
        .join(
            memberships,
            and_(
                memberships.c.collection_id == alias_moves.c.collection_id,
                memberships.c.number == alias_moves.c.before_number,
            ),
        )
        .join(versions, versions.c.id == memberships.c.version_id)
    )
