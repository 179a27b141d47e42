"""Letting two connections of PostgreSQL meet: for tests of what happens between two statements."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sqlalchemy import text

from lineal.service.instance import Instance

PATIENCE = 20
"""Seconds."""


def is_waiting(instance: Instance) -> bool:
    """Say whether some connection waits for a lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with instance.database.reading() as connection:
        return bool(connection.execute(query).scalar_one())


def wait_until(condition: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(PATIENCE * 100):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("what was waited for did not come")
