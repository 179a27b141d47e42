"""Private SQLite databases without a name, each of which holds what a draft contains.

In memory while they are small, in a temporary file that nobody else sees when they grow. A small
one is emptied and used again: to make one, and to have SQLite read each statement for the first
time, takes 0.25 ms, more than all that a draft of one file does with it.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from lineal.client.fork_gate import inside_sqlite
from lineal.errors import NoSpace, Unavailable
from lineal.interrupts import held

T = TypeVar("T")

_TABLES = (
    """
    CREATE TABLE entries (
        path TEXT PRIMARY KEY, digest TEXT NOT NULL, size INTEGER NOT NULL, ref TEXT, extra TEXT,
        source BLOB, staged BLOB, packed INTEGER, policy TEXT,
        mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE TABLE removed (path TEXT PRIMARY KEY) WITHOUT ROWID",
)
SPARE_MOST = 4
"""Kept for drafts to come: more are seldom written at a time."""
ROWS_PAGE = 10_000
"""Rows read at once where all are wanted."""

_spare: list[sqlite3.Connection] = []
_lent: set[sqlite3.Connection] = set()
"""What drafts have. Held here, too: Python 3.13 closes a database that it finds in a cycle, with
the draft that has it or before, and it would be closed when the draft gives it back."""
_forks = 0
"""How often this process or one that it came from was forked."""


class Scratch:
    """One of them; made by the first change, so that a version that is only read has none.

    Safe for threads. After a fork parent and child have the same one, until each makes its own copy
    to change that: the file that they share stays as it was at the fork. Everything raises NoSpace
    and Unavailable where the temporary file cannot be written.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held for a change, or for several that belong together."""
        self._database: sqlite3.Connection | None = None
        self._forks = 0

    @property
    def is_made(self) -> bool:
        return self._database is not None

    @property
    def is_amid_change(self) -> bool:
        """Whether a transaction goes on; with the lock held, one of this thread's own."""
        return self._database is not None and self._database.in_transaction

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        if self._database is None:
            return []
        try:  # thrice, as a block of our own takes as long as the query
            with held(self.lock, inside_sqlite):
                return self._database.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            raise _not_kept(error) from error

    def paged(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield rows in the order of their paths, which come first; changes may come in between.

        The query takes the path after which to go on, then the values, then how many rows.
        """
        after = ""
        while True:
            rows = self.rows(query, after, *values, ROWS_PAGE)
            yield from rows
            if len(rows) < ROWS_PAGE:
                return
            after = rows[-1][0]

    def change(self, statement: str) -> None:
        try:
            with held(self.lock, inside_sqlite):
                self._own().execute(statement)
        except sqlite3.OperationalError as error:
            raise _not_kept(error) from error

    def change_many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> int:
        """Return how many rows of the database it changed."""
        try:
            with held(self.lock, inside_sqlite):
                return self._own().executemany(statement, rows).rowcount
        except sqlite3.OperationalError as error:
            raise _not_kept(error) from error

    def at_once(self, work: Callable[[], T]) -> T:
        """Make all changes of some work, or none if it raises; to be called with the lock held.

        What interrupts the last step of it, as Ctrl-C may, is raised once they are made.
        """
        try:
            self.change("BEGIN")  # in here, as what interrupts this is raised once it is done, too
            made = work()
            self.change("COMMIT")
        except BaseException:
            if self.is_amid_change:  # SQLite itself may have rolled back
                self.change("ROLLBACK")
            raise
        return made

    def _own(self) -> sqlite3.Connection:
        """Return a database that is this process's alone."""
        if self._database is None:
            self._database, self._forks = _taken(), _forks
        elif self._forks != _forks and not self._database.in_transaction:
            # a transaction that goes on is of a thread that only the parent has
            self._database, self._forks = _copied(self._database), _forks
        return self._database

    def give_back(self, *, is_small: bool) -> None:
        """Let a draft to come have it; is_small: it may be worth keeping."""
        database = self._database
        if database is None:
            return
        with held(inside_sqlite):
            _lent.discard(database)
            if not is_small or len(_spare) == SPARE_MOST or database.in_transaction:
                database.close()
                return
            database.execute("DELETE FROM entries")
            database.execute("DELETE FROM removed")
            _spare.append(database)


def _not_kept(error: sqlite3.OperationalError) -> Unavailable:
    folder = os.environ.get("SQLITE_TMPDIR") or tempfile.gettempdir()
    if "full" in str(error):
        return NoSpace(
            f"No space left for the list of added files, which is kept in {folder}: free some, or "
            "point TMPDIR to another disk, and repeat the call; the artifact is as it was"
        )
    return Unavailable(
        f"The list of added files, which is kept in {folder}, cannot be written: {error}. See "
        "whether that disk or a quota is full, or a limit on the size of files was reached; or "
        "point TMPDIR to another disk, and repeat the call; the artifact is as it was"
    )


def _taken() -> sqlite3.Connection:
    """Return an empty database; any thread may use it."""
    with held(inside_sqlite):
        database = _spare.pop() if _spare else _new()
        _lent.add(database)
        return database


def _new() -> sqlite3.Connection:
    database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
    for table in _TABLES:
        database.execute(table)
    return database


def _copied(database: sqlite3.Connection) -> sqlite3.Connection:
    """Return a database of the same content that this process has for itself.

    The other one is closed here, and so nobody changes it any more.
    """
    with held(inside_sqlite):
        own = _taken()
        database.backup(own)
        _lent.discard(database)
        database.close()
        return own


def close() -> None:
    """Give up the spare ones."""
    with held(inside_sqlite):
        while _spare:
            _spare.pop().close()


def _count_fork() -> None:
    global _forks
    _forks += 1


atexit.register(close)
os.register_at_fork(before=_count_fork)
os.register_at_fork(after_in_child=close)  # a temporary file would be shared with the parent
