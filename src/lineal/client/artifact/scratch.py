"""The private SQLite databases without a name that hold what drafts contain.

In memory while they are small, in a temporary file that nobody else sees when they grow. A small
one is emptied and used again: to make one, and to have SQLite read each statement for the first
time, takes 0.25 ms, more than all that a draft of one file does with it.
"""

from __future__ import annotations

import atexit
import os
import sqlite3

from lineal.client.fork_gate import inside_sqlite
from lineal.interrupts import held

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

_spare: list[sqlite3.Connection] = []
_lent: set[sqlite3.Connection] = set()
"""What drafts have. Held here, too: Python 3.13 closes a database that it finds in a cycle, with
the draft that has it or before, and it would be closed when the draft gives it back."""
_forks = 0


def forks() -> int:
    """Return how often this process or one that it came from was forked.

    Whoever has a database since before the last fork shares it with another process, and must
    `copied` it to change it.
    """
    return _forks


def take() -> sqlite3.Connection:
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


def copied(database: sqlite3.Connection) -> sqlite3.Connection:
    """Return a database of the same content that this process has for itself.

    The other one is closed here, and so nobody changes it any more.
    """
    with held(inside_sqlite):
        own = take()
        database.backup(own)
        _lent.discard(database)
        database.close()
        return own


def give_back(database: sqlite3.Connection, *, is_small: bool) -> None:
    """Take a database that nobody uses any more; is_small: it may be worth keeping."""
    with held(inside_sqlite):
        _lent.discard(database)
        if not is_small or len(_spare) == SPARE_MOST or database.in_transaction:
            database.close()
            return
        database.execute("DELETE FROM entries")
        database.execute("DELETE FROM removed")
        _spare.append(database)


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
