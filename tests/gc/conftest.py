"""Two kinds of database: SQLite, and a PostgreSQL that these tests start themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.gc.databases import (
    Databases,
    PostgresDatabases,
    SqliteDatabases,
    memory,
    open_on,
    postgres_server,
)


@pytest.fixture(scope="session")
def sqlite() -> Iterator[SqliteDatabases]:
    with tempfile.TemporaryDirectory(prefix="lineal-sqlite-", dir=memory()) as folder:
        yield SqliteDatabases(Path(folder))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresDatabases]:
    with postgres_server() as url:
        yield PostgresDatabases(url)


@pytest.fixture(params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest) -> Databases:
    found: Databases = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    made = databases.fresh()
    yield made
    databases.drop(made)


@pytest.fixture
def instance(url: str, tmp_path: Path, clock: MovableClock) -> Iterator[Instance]:
    opened = open_on(url, tmp_path / "home", clock)
    yield opened
    opened.close()
