"""Waiting for SQLite's one write lock: one thread of a process at a time, not deaf to signals."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lineal.db.lock_holder import lock_holder
from lineal.interrupts import LOOK_SECONDS, Late

TOLD_AFTER_SECONDS = 5.0
"""Who waits longer is told for whom."""


class SignalCame(Exception):
    """Nothing was begun: the handler has to run, and then the wait goes on."""


class Wait:
    """The patience of one thread that wants to write, from now on."""

    def __init__(self, database: str, seconds: float, tell: Callable[[str], None] | None) -> None:
        """tell: takes a message for the user, at most once."""
        self._database = database
        self._tell = tell
        began = time.monotonic()
        self._until = began + seconds
        self._tell_at = began + TOLD_AFTER_SECONDS

    @property
    def seconds_to_look(self) -> float:
        """How long to wait before looking up again."""
        return max(0.0, min(LOOK_SECONDS, self._until - time.monotonic()))

    def look_up(self, error: sqlite3.OperationalError, late: Late) -> None:
        """Raise the error if the time is over, SignalCame if one came."""
        if late.has_come:
            raise SignalCame from error
        now = time.monotonic()
        if now >= self._until:
            raise error
        if self._tell is not None and now >= self._tell_at:
            tell, self._tell = self._tell, None
            who = lock_holder(self._database)
            tell(f"the database {self._database} is held by {who}; waiting for it")


class WriteTurn:
    """The turn to write, which one thread of this process has at a time.

    It keeps the turn while it waits for other processes. Were all threads to wait in SQLite, each
    would take a connection, and none would be left to read with.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, wait: Wait, late: Late) -> Iterator[None]:
        """Hold the turn; raises what `begin` does."""
        while not self._lock.acquire(timeout=wait.seconds_to_look):
            wait.look_up(sqlite3.OperationalError("database is locked"), late)
        try:
            yield
        finally:
            self._lock.release()


def begin(connection: sqlite3.Connection, wait: Wait, late: Late) -> None:
    """Begin a transaction that writes; the connection itself waits for LOOK_SECONDS at most.

    Raises SQLite's OperationalError if others hold the lock for too long, SignalCame.
    """
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            wait.look_up(error, late)
        else:
            return
