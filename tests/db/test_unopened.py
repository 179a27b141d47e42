"""A database that SQLite cannot open: it says no more than that, and we say why."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.service.test_verify import no_more_open_files

from lineal.db.engine import Database, make_empty, sqlite_url
from lineal.errors import LinealError, Unavailable


def message_of(path: Path) -> str:
    database = Database(sqlite_url(str(path)))
    with pytest.raises(Unavailable) as raised, database.reading():
        pass
    database.close()
    error: LinealError = raised.value
    return error.message


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "lineal.db").mkdir()
    message = message_of(tmp_path / "lineal.db")
    assert message.startswith(f"{tmp_path}/lineal.db is a folder")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    message = message_of(tmp_path / "none" / "lineal.db")
    assert message.startswith(f"Cannot write to the database {tmp_path}/none/lineal.db")


def test_a_limit_on_open_files_is_not_taken_for_missing_rights(tmp_path: Path) -> None:
    make_empty(str(tmp_path / "lineal.db"))
    with no_more_open_files():
        message = message_of(tmp_path / "lineal.db")
    assert "ulimit -n" in message
    assert "LINEAL_HOME" not in message
