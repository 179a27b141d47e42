"""Reading a database in a folder that may only be read, while somebody else may write it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from lineal.db.engine import Database, make_empty, sqlite_url
from lineal.db.unwritable import UnwritableFile
from lineal.errors import Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "what? 100%.db"
    make_empty(str(path))
    write(path, "CREATE TABLE rows (number INTEGER)")
    write(path, "INSERT INTO rows VALUES (1)")
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(str(path)), is_unwritable=True)
    yield database
    database.close()


def write(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:  # closing it empties the log
        connection.execute(statement)
        connection.commit()


def numbers(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT number FROM rows ORDER BY number")).scalars())


def test_a_closed_database_is_read_and_nothing_is_made_beside_it(
    path: Path, database: Database
) -> None:
    with database.reading() as connection:
        assert numbers(connection) == [1]
    assert list(path.parent.glob("*.db*")) == [path]


def test_each_transaction_sees_what_is_there_when_it_begins(path: Path, database: Database) -> None:
    with database.reading() as connection:
        assert numbers(connection) == [1]
    write(path, "INSERT INTO rows VALUES (2)")
    with database.reading() as connection:
        assert numbers(connection) == [1, 2]
    with closing(sqlite3.connect(path)) as writer:  # lives on, so that it stays in the log
        writer.execute("INSERT INTO rows VALUES (3)")
        writer.commit()
        with database.reading() as connection:
            assert numbers(connection) == [1, 2, 3]


def test_the_log_of_a_linked_database_is_beside_the_file_itself(path: Path) -> None:
    (path.parent / "linked").mkdir()
    link = path.parent / "linked" / "lineal.db"
    link.symlink_to(path)
    database = Database(sqlite_url(str(link)), is_unwritable=True)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO rows VALUES (2)")
        writer.commit()
        with database.reading() as connection:
            assert numbers(connection) == [1, 2]
    database.close()


def test_a_log_without_its_shared_memory_is_read_from_a_copy(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copied").mkdir()
    (tmp_path / "temporary").mkdir()
    copied = tmp_path / "copied" / "lineal.db"
    with closing(sqlite3.connect(path)) as writer:
        for number in (2, 3):
            writer.execute(f"INSERT INTO rows VALUES ({number})")
            writer.commit()
            shutil.copy(path, copied)
            shutil.copy(f"{path}-wal", f"{copied}-wal")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(UnwritableFile, "_shared", lambda _: None)  # as where nobody may write
    database = Database(sqlite_url(str(copied)), is_unwritable=True)
    for _ in range(2):
        with database.reading() as connection:
            assert numbers(connection) == [1, 2, 3]
    assert len(os.listdir(tmp_path / "temporary")) == 1
    database.close()
    assert os.listdir(tmp_path / "temporary") == []
    assert sorted(os.listdir(tmp_path / "copied")) == ["lineal.db", "lineal.db-wal"]


def test_what_may_be_a_mixture_of_two_states_is_refused(path: Path, database: Database) -> None:
    def read_while_it_is_written() -> None:
        with database.reading() as connection:
            numbers(connection)
            write(path, "INSERT INTO rows VALUES (2)")

    with pytest.raises(Unavailable, match="is being written from elsewhere"):
        read_while_it_is_written()
    with database.reading() as connection:
        assert numbers(connection) == [1, 2]


def test_a_mixture_that_looks_like_damage_is_not_called_so(path: Path, database: Database) -> None:
    def find_damage_while_it_is_written() -> None:
        with database.reading():
            write(path, "INSERT INTO rows VALUES (2)")
            raise sqlite3.DatabaseError("database disk image is malformed")

    with pytest.raises(Unavailable, match="is being written from elsewhere"):
        find_damage_while_it_is_written()


def test_writing_is_refused(database: Database) -> None:
    with pytest.raises(Unavailable, match="its folder may only be read"), database.writing():
        pass
