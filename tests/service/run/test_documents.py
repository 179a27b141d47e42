"""Listing runs without their documents, and reading these by themselves."""

# ruff: noqa: F811 - `instance` of these tests is on SQLite and on PostgreSQL, not the usual one

from __future__ import annotations

from typing import Any, get_args

from lineal.core.access import Actor
from lineal.core.records import RunDocument, RunKey, RunPatch, RunQuery
from lineal.service import deletion, runs
from lineal.service.instance import Instance
from tests.gc.conftest import instance  # noqa: F401 - a fixture
from tests.service.run.conftest import FIRST


def test_runs_are_listed_without_documents_and_these_read_by_key(
    instance: Instance, owner: Actor, start: Any
) -> None:
    keys = [start(f"r{lr}", config={"lr": lr}, metadata={"host": lr}).run.key for lr in range(3)]
    runs.update(instance, owner, keys[1], RunPatch(summary={"loss": float("inf")}))
    query = RunQuery("ana", "p", order="-config.lr", with_documents=False)
    listed = runs.runs(instance, owner, query, FIRST).items
    assert [run.key for run in listed] == keys[::-1]
    assert [(run.config, run.summary, run.metadata) for run in listed] == [({}, {}, {})] * 3
    deletion.delete_run(instance, owner, keys[0])
    config, summary, metadata = (
        runs.documents(instance, owner, [*keys, RunKey(99)], name) for name in get_args(RunDocument)
    )
    assert config == {key: {"lr": lr} for lr, key in enumerate(keys)}
    assert summary == {keys[0]: {}, keys[1]: {"loss": float("inf")}, keys[2]: {}}
    assert metadata == {key: {"host": host} for host, key in enumerate(keys)}
