"""Small statements run on the plain connection, and do what SQLAlchemy would have done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Insert,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    event,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, InvalidRequestError, StatementError

from lineal.db.column_types import Json, Moment
from lineal.db.engine import Database, insert_for, plain
from lineal.db.prepared import Prepared

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
things = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("made_at", Moment),
    Column("document", Json),
    Column("is_new", Boolean, nullable=False, server_default=sqlalchemy.text("true")),
)
ADD = Prepared(insert(things).returning(things.c.id, things.c.made_at))
RENAME = Prepared(update(things).where(things.c.name == bindparam("called")))
BY_NAME = Prepared(
    select(
        things, literal(NOW, Moment).label("then"), func.length(things.c.name).label("length")
    ).where(things.c.name == bindparam("called"))
)
SINCE = Prepared(
    select(things.c.name)
    .where(things.c.made_at >= bindparam("moment"), things.c.id > 0)
    .order_by(things.c.id)
    .limit(bindparam("most", type_=Integer))
)


@Prepared
def add_new(is_sqlite: bool) -> Insert:
    return insert_for(is_sqlite, things).on_conflict_do_nothing()


@pytest.fixture(params=["plain", "listened to"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    with database.writing() as opened:
        things.create(opened)
        if request.param == "listened to":  # then SQLAlchemy runs them
            event.listen(opened, "before_cursor_execute", lambda *_: None)
        yield opened
    database.close()


def thing(name: str, document: Any = None) -> dict[str, Any]:
    return {"name": name, "made_at": NOW, "document": document}


def test_rows_have_names_and_the_types_of_their_columns(connection: Connection) -> None:
    added = ADD.row(connection, **thing("a", {"x": [1, "é"]}))
    assert added == (1, NOW)
    row = BY_NAME.row(connection, called="a")
    assert row is not None
    assert row._asdict() == {
        "id": 1,
        "name": "a",
        "made_at": NOW,
        "document": {"x": [1, "é"]},
        "is_new": True,
        "then": NOW,
        "length": 1,
    }
    assert row.is_new is True
    assert (row.document, row.then) == ({"x": [1, "é"]}, NOW)
    assert BY_NAME.row(connection, called="b") is None


def test_a_column_that_is_not_given_has_its_default(connection: Connection) -> None:
    assert ADD.value(connection, name="a") == 1
    assert ADD.value(connection, name="b", is_new=False, document=None) == 2
    rows = [BY_NAME.row(connection, called=name) for name in "ab"]
    assert [row and (row.made_at, row.document, row.is_new) for row in rows] == [
        (None, None, True),
        (None, None, False),
    ]


def test_many_at_once(connection: Connection) -> None:
    rows = ADD.rows_of_each(connection, [thing("a"), thing("b")])
    assert [row.id for row in rows] == [1, 2]
    add_new.run_each(connection, [thing("b"), thing("c"), thing("d")])
    assert list(SINCE.rows(connection, moment=NOW, most=3)) == [("a",), ("b",), ("c",)]
    assert SINCE.value(connection, moment=NOW.replace(hour=13), most=3) is None


def test_what_was_written_is_counted(connection: Connection) -> None:
    assert add_new.run(connection, **thing("a")) == 1
    assert add_new.run(connection, **thing("a")) == 0
    assert RENAME.run(connection, called="a", name="b") == 1
    assert RENAME.run(connection, called="a", made_at=None) == 0
    assert SINCE.value(connection, moment=NOW, most=1) == "b"


def test_a_value_that_is_missing_is_refused(connection: Connection) -> None:
    with pytest.raises(
        (InvalidRequestError, StatementError),
        match="A value is required for bind parameter 'called'",
    ):
        BY_NAME.row(connection)
    with pytest.raises((IntegrityError, sqlite3.IntegrityError), match="NOT NULL"):
        ADD.row(connection)


@pytest.mark.parametrize("connection", ["plain"], indirect=True)
def test_a_value_that_nothing_takes_is_refused(connection: Connection) -> None:
    with pytest.raises(AssertionError, match="nmae"):
        ADD.row(connection, name="a", nmae="b")


def test_they_do_run_on_the_plain_connection(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    asked: list[str] = []
    with database.writing() as connection:
        things.create(connection)
        ADD.run(connection, **thing("a"))
        plain(connection).set_trace_callback(asked.append)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Connection, "execute", None)
            assert BY_NAME.value(connection, called="a") == 1
        plain(connection).set_trace_callback(None)
    database.close()
    assert len(asked) == 1
    assert "things" in asked[0]
