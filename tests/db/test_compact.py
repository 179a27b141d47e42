"""The file of an SQLite database becomes smaller when most of it is empty."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lineal.db import engine
from lineal.db.engine import Database, sqlite_url
from lineal.errors import Unavailable

MIB = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "file.db")


@pytest.fixture
def database(path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(engine, "COMPACT_LEAST_BYTES", MIB)
    made = Database(sqlite_url(path), busy_timeout_seconds=0.1)
    with made.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE things (id INTEGER PRIMARY KEY, content BLOB)")
    yield made
    made.close()


def fill(database: Database, mib: int) -> None:
    with database.writing() as connection:
        for _ in range(mib):
            connection.exec_driver_sql("INSERT INTO things (content) VALUES (randomblob(1048576))")


def empty(database: Database, keep: int) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql(f"DELETE FROM things WHERE id > {keep}")


def ids(database: Database) -> list[int]:
    with database.reading() as connection:
        return list(connection.exec_driver_sql("SELECT id FROM things ORDER BY id").scalars())


def test_a_file_that_is_mostly_empty_shrinks_and_keeps_its_rows(
    database: Database, path: str
) -> None:
    fill(database, 6)
    empty(database, keep=2)
    assert 3.9 * MIB < database.compact() < 4.1 * MIB
    assert os.path.getsize(path) < 2.1 * MIB
    assert ids(database) == [1, 2]
    assert database.compact() == 0


@pytest.mark.parametrize(("filled", "kept"), [(6, 5), (6, 4), (1, 1)])
def test_a_file_that_is_mostly_full_keeps_its_pages(
    database: Database, filled: int, kept: int
) -> None:
    fill(database, filled)
    empty(database, keep=kept)
    assert database.compact() == 0


def test_a_large_rest_is_not_written_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, 6)
    empty(database, keep=2)
    monkeypatch.setattr(engine, "COMPACT_MOST_BYTES", MIB)
    assert database.compact() == 0


def test_whoever_reads_meanwhile_goes_on_reading(database: Database, path: str) -> None:
    fill(database, 6)
    empty(database, keep=2)
    with database.reading() as connection:
        assert len(connection.exec_driver_sql("SELECT id FROM things").all()) == 2
        assert database.compact() > 3 * MIB
        assert len(connection.exec_driver_sql("SELECT id FROM things").all()) == 2
    assert ids(database) == [1, 2]


def test_while_another_writes_it_is_refused_and_nothing_changes(
    database: Database, path: str
) -> None:
    fill(database, 6)
    empty(database, keep=2)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            database.compact()
        other.execute("ROLLBACK")
    assert database.compact() > 3 * MIB
    assert ids(database) == [1, 2]
