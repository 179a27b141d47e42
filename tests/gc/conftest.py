"""An instance on two kinds of database: SQLite, and a PostgreSQL that the tests start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.gc.databases import open_on


@pytest.fixture
def instance(url: str, tmp_path: Path, clock: MovableClock) -> Iterator[Instance]:
    opened = open_on(url, tmp_path / "home", clock)
    yield opened
    opened.close()
