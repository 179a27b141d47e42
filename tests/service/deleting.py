"""Deleting, and looking at what is left, for the tests of deletion and restoring."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from lineal.core.access import Actor
from lineal.core.records import (
    CollectionQuery,
    RunRecord,
    RunSpec,
    VersionQuery,
    VersionRecord,
)
from lineal.db import schema
from lineal.service import catalog, deletion, runs
from lineal.service.instance import Instance
from tests.service.retaining import FIRST as FIRST
from tests.service.retaining import Log as Log
from tests.service.retaining import log as log


@pytest.fixture
def run(instance: Instance, owner: Actor) -> RunRecord:
    return runs.start(instance, owner, RunSpec("ana", "vision", "train")).run


def delete(instance: Instance, actor: Actor, version: VersionRecord) -> None:
    deletion.delete_version(instance, actor, version.membership_id, delete_aliases=True)


def live(instance: Instance, actor: Actor, name: str = "data") -> dict[str, tuple[str, ...]]:
    found = catalog.versions(instance, actor, VersionQuery("ana", "vision", name), FIRST)
    return {f"v{version.number}": version.aliases for version in found.items}


def release(instance: Instance) -> None:
    """Do what the sweep does once the undo period is over."""
    with instance.database.writing() as connection:
        for table in (schema.versions, schema.runs):
            connection.execute(
                update(table)
                .where(table.c.deleted_at.is_not(None))
                .values(released_at=instance.clock.now())
            )
        gone = schema.versions.c.released_at.is_not(None)
        connection.execute(update(schema.versions).where(gone).values(manifest_id=None))


def listed(instance: Instance, owner: Actor, project: str = "vision") -> list[str]:
    query = CollectionQuery("ana", project)
    return [each.name for each in catalog.collections(instance, owner, query, FIRST).items]
