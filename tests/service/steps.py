"""Counting the steps that SQLite takes, for the tests of what may not grow too fast."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from lineal.db.engine import plain
from lineal.service.instance import Instance

STEPS_COUNTED = 10
"""Of SQLite's machine, which takes as many to read a row."""


def steps(instance: Instance, work: Callable[[Connection], object]) -> int:
    """Return how many steps SQLite takes for what is asked of a connection."""
    taken: list[None] = []
    with instance.database.reading() as connection:
        plain(connection).set_progress_handler(lambda: taken.append(None), STEPS_COUNTED)
        work(connection)
        plain(connection).set_progress_handler(None, 0)
    return len(taken) * STEPS_COUNTED
