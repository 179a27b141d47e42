from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lineal.db.engine import make_empty


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a new database with one table."""
    path = tmp_path / "file.db"
    make_empty(str(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE rows (number INTEGER)")
    return path
