"""Many threads of one process use one SQLite database."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from lineal.db.engine import Database, sqlite_url
from lineal.errors import LinealError, Unavailable

MORE_THREADS_THAN_CONNECTIONS = 40


def opened(path: Path, *, busy_timeout_seconds: float) -> Database:
    return Database(sqlite_url(str(path)), busy_timeout_seconds=busy_timeout_seconds)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the write lock as another process does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def writers(database: Database) -> Iterator[list[LinealError]]:
    """Write one row from each of many threads; yields the errors, which are all there at last."""
    errors: list[LinealError] = []
    begun = threading.Semaphore(0)

    def write(number: int) -> None:
        begun.release()
        try:
            with database.writing() as connection:
                connection.exec_driver_sql(f"INSERT INTO rows VALUES ({number})")
        except LinealError as error:
            errors.append(error)

    numbers = range(MORE_THREADS_THAN_CONNECTIONS)
    threads = [threading.Thread(target=write, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for _ in threads:
        begun.acquire()
    yield errors
    for thread in threads:
        thread.join()


def test_threads_read_while_more_wait_to_write_than_there_are_connections(path: Path) -> None:
    database = opened(path, busy_timeout_seconds=60)
    with ExitStack() as other_process:
        other_process.enter_context(held(path))
        with writers(database) as errors:
            with database.reading() as connection:
                assert connection.exec_driver_sql("SELECT count(*) FROM rows").scalar() == 0
            other_process.close()
    assert errors == []
    with database.reading() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM rows").scalar()
    assert count == MORE_THREADS_THAN_CONNECTIONS
    database.close()


def test_each_of_many_threads_that_wait_too_long_is_told_what_it_waited_for(path: Path) -> None:
    database = opened(path, busy_timeout_seconds=0.3)
    with held(path), writers(database) as errors:
        pass
    assert len(errors) == MORE_THREADS_THAN_CONNECTIONS
    for error in errors:
        assert isinstance(error, Unavailable)
        assert "held the database" in error.message
        assert "LINEAL_BUSY_TIMEOUT" in error.message
    database.close()


def test_more_readers_than_connections_are_told_so(path: Path) -> None:
    database = opened(path, busy_timeout_seconds=0.1)
    with ExitStack() as readers:

        def one_more() -> None:
            readers.enter_context(database.reading())

        for _ in range(25):
            one_more()
        with pytest.raises(Unavailable, match=r"[Tt]hreads .* LINEAL_BUSY_TIMEOUT"):
            one_more()
    with database.reading():
        pass
    database.close()


def leave_deleted(connection: sqlite3.Connection, _record: object) -> None:
    """Be as SQLite is by default; Debian's overwrites what is deleted anyway."""
    connection.execute("PRAGMA secure_delete = OFF")


def test_what_a_thread_deletes_is_overwritten_though_another_is_done_with_it(path: Path) -> None:
    database = opened(path, busy_timeout_seconds=60)
    event.listen(database.engine, "connect", leave_deleted)
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE names (name TEXT)")
        connection.exec_driver_sql("INSERT INTO names VALUES ('a person of that name')")
    is_begun, may_end = threading.Event(), threading.Event()

    def scrub() -> None:
        with database.scrubbing():
            is_begun.set()
            may_end.wait()

    other = threading.Thread(target=scrub)
    other.start()
    is_begun.wait()
    with database.scrubbing():
        may_end.set()
        other.join()
        with database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM names")
    database.close()
    assert b"a person of that name" not in path.read_bytes()
