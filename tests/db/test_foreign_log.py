"""A write-ahead log beside the database that is not its own, and what is said of it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lineal.config import Settings
from lineal.db import migrations
from lineal.db.engine import Database, sqlite_url
from lineal.errors import Unavailable
from lineal.service.instance import open_instance


def keep_log_of_another(folder: Path, kept: Path) -> None:
    """Write the log of another program's database while that is open."""
    with closing(sqlite3.connect(folder / "other.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE songs (title)")
        connection.commit()
        shutil.copy(folder / "other.db-wal", kept)


def test_the_log_of_another_program_beside_the_database_is_named(
    settings: Settings, home: Path, tmp_path: Path
) -> None:
    open_instance(settings).close()
    keep_log_of_another(tmp_path, home / "lineal.db-wal")
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"`songs`.*`lineal.db-wal` of another.* a backup"):
            open_instance(settings)


def test_the_database_of_another_program_gets_no_tables_of_ours(
    settings: Settings, home: Path
) -> None:
    home.mkdir()
    with closing(sqlite3.connect(home / "lineal.db")) as connection:
        connection.executescript("CREATE TABLE songs (title)")
        with pytest.raises(Unavailable, match=r"another program's.* LINEAL_HOME"):
            open_instance(settings)
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("songs",)]


def test_that_of_a_home_that_may_only_be_read_is_named_too(tmp_path: Path) -> None:
    path = str(tmp_path / "lineal.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE songs (title)")
    with (
        closing(Database(sqlite_url(path), is_unwritable=True)) as database,
        pytest.raises(Unavailable, match="another program's"),
    ):
        migrations.require_current(database)


def test_no_database_is_made_beside_the_log_of_one_that_is_gone(
    settings: Settings, home: Path, tmp_path: Path
) -> None:
    home.mkdir()
    log = home / "lineal.db-wal"
    keep_log_of_another(tmp_path, log)
    before = log.read_bytes()
    with pytest.raises(Unavailable, match=r"no .*/lineal\.db\. .* move this file away"):
        open_instance(settings)
    assert log.read_bytes() == before
    log.unlink()
    open_instance(settings).close()
