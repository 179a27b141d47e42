"""Counting what is done, for tests that say how little: a count is the same on every machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lineal.client.cache import DigestCache

EVERY = 10
"""Steps of SQLite's machine that are counted as one; to read a row takes it as many."""


@contextmanager
def counted_steps() -> Iterator[list[int]]:
    """Count in a list what databases of digests do that are opened in the block."""
    steps: list[int] = []
    opened = DigestCache._open

    def watched(cache: DigestCache) -> sqlite3.Connection:
        connection = opened(cache)
        connection.set_progress_handler(lambda: steps.append(1), EVERY)
        return connection

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DigestCache, "_open", watched)
        yield steps
