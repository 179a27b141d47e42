"""Waiting for SQLite's one write lock: one thread of a process at a time, not deaf to signals."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lineal.interrupts import LOOK_SECONDS, Late


class SignalCame(Exception):
    """Nothing was begun: the handler has to run, and then the wait goes on."""


class WriteTurn:
    """Of the thread that writes, or waits until no other process does.

    Threads that all waited in SQLite would take a connection each, and leave none to read with.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, until: float, late: Late) -> Iterator[None]:
        """Hold the turn; raises what `begin` does."""
        while not self._lock.acquire(timeout=max(0.0, min(LOOK_SECONDS, until - time.monotonic()))):
            _look_up(sqlite3.OperationalError("database is locked"), until, late)
        try:
            yield
        finally:
            self._lock.release()


def begin(connection: sqlite3.Connection, until: float, late: Late) -> None:
    """Begin a transaction that writes; the connection itself waits for LOOK_SECONDS at most.

    until: by `time.monotonic`. Raises SQLite's OperationalError if others hold the lock by then,
    SignalCame.
    """
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            _look_up(error, until, late)
        else:
            return


def _look_up(error: sqlite3.OperationalError, until: float, late: Late) -> None:
    if late.has_come:
        raise SignalCame from error
    if time.monotonic() >= until:
        raise error
