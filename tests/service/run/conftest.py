"""Starting and reading runs, for the tests of runs."""

from __future__ import annotations

from typing import Any

import pytest

from lineal.core.access import Actor
from lineal.core.records import PageRequest, RunQuery, RunRecord, RunSpec, StartedRun
from lineal.service import runs
from lineal.service.instance import Instance

FIRST = PageRequest(50)


@pytest.fixture
def start(instance: Instance, owner: Actor) -> Any:
    def started(run_id: str = "r1", project: str = "p", **spec: Any) -> StartedRun:
        return runs.start(instance, owner, RunSpec("ana", project, run_id, **spec))

    return started


@pytest.fixture
def run(start: Any) -> RunRecord:
    record: RunRecord = start().run
    return record


def read(instance: Instance, owner: Actor, run: RunRecord) -> RunRecord:
    return runs.run_by_key(instance, owner, run.key)


def ids(instance: Instance, owner: Actor, project: str = "p", **query: Any) -> list[str]:
    page = runs.runs(instance, owner, RunQuery("ana", project, **query), FIRST)
    return [run.run_id for run in page.items]
