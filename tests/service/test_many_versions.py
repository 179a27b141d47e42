"""What is asked of many versions takes as long as they are many, and not the square of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from lineal.core.access import Actor
from lineal.core.retention import Selection
from lineal.db import gc_plan, retention
from lineal.service.instance import Instance
from tests.service.drafts import log
from tests.service.steps import steps

FEW, MANY = 20, 120


@pytest.fixture
def growth(instance: Instance, owner: Actor, tmp_path: Path):
    """Tell how much longer something takes with six times as many versions of a collection."""

    def of(work: Callable[[Connection], object]) -> float:
        def log_until(count: int, start: int = 0) -> None:
            for number in range(start, count):
                files = {name: b"%d%s" % (number, name.encode()) for name in "abcdefgh"}
                log(instance, owner, tmp_path, files, aliases=() if number % 2 else (f"a{number}",))

        log_until(FEW)
        before = steps(instance, work)
        log_until(MANY, FEW)
        return steps(instance, work) / before

    return of


def test_the_bytes_of_many_versions_are_added_up_once(instance: Instance, growth) -> None:
    now = instance.clock.now()

    def work(connection: Connection) -> None:
        chosen = retention.selected(Selection(unaliased=True), retention.within(project_id=1), now)
        ids = retention.selected_ids(connection, chosen)
        survivors = gc_plan.Survivors(connection, cutoff=now, now=now, doomed=ids)
        assert gc_plan.parts_together(connection, survivors, ids)[0] > 0

    assert growth(work) < 12
