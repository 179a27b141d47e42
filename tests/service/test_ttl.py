"""Time to live: which level decides, what suspends it, and what is expired."""

# ruff: noqa: F811 - `instance` of these tests is on SQLite and on PostgreSQL, not the usual one

from __future__ import annotations

from datetime import timedelta

import pytest

from lineal.core import names
from lineal.core.access import Actor
from lineal.core.full_names import ArtifactPath
from lineal.core.records import PageRequest, RunSpec
from lineal.core.retention import Level
from lineal.db import deletion as deletion_db
from lineal.db import ttl as ttl_db
from lineal.errors import Gone, Invalid
from lineal.service import catalog, deletion, lineage, restoring, retention, runs, ttl
from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.gc.conftest import instance  # noqa: F401 - a fixture
from tests.service.drafts import path
from tests.service.retaining import DAY, FIRST, Log, live, log  # noqa: F401 - fixtures


def expired(instance: Instance) -> list[int]:
    with instance.database.reading() as connection:
        return ttl_db.expired_versions(connection, instance.clock.now(), 1000)


def sweep_expired(instance: Instance) -> None:
    """Do what the first step of the sweep does."""
    with instance.database.writing() as connection:
        now = instance.clock.now()
        ids = ttl_db.expired_versions(connection, now, 1000)
        deletion_db.hide_versions(
            connection, ids, what="expired", reason="expired", actor="sweep", now=now
        )


def test_the_nearest_level_that_says_something_decides(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")

    def found() -> tuple[Level, int | None]:
        lives = ttl.effective_ttl(instance, owner, version.id)
        return lives.level, None if lives.ttl is None else lives.ttl.days

    collection = catalog.collection(instance, owner, "ana", "vision", "data").id
    assert found() == (Level.NONE, None)
    ttl.set_entity_ttl(instance, owner, "ana", 40 * DAY)
    assert ttl.entity_ttl(instance, owner, "ana") == 40 * DAY
    assert found() == (Level.ENTITY, 40)
    ttl.set_project_ttl(instance, owner, "ana", "vision", 30 * DAY)
    assert found() == (Level.PROJECT, 30)
    ttl.set_collection_ttl(instance, owner, collection, 20 * DAY)
    assert found() == (Level.COLLECTION, 20)
    ttl.set_version_ttl(instance, owner, version.membership_id, 0)
    assert found() == (Level.VERSION, None)
    ttl.set_version_ttl(instance, owner, version.membership_id, None)
    assert found() == (Level.COLLECTION, 20)


def test_expiry_counts_from_creation_whenever_the_ttl_is_set(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    old = log("0")
    clock.move(days=20)
    log("1")
    ttl.set_project_ttl(instance, owner, "ana", "vision", 30 * DAY)
    assert expired(instance) == []
    ttl.set_project_ttl(instance, owner, "ana", "vision", 10 * DAY)
    assert expired(instance) == [old.id]
    found = ttl.effective_ttl(instance, owner, old.id)
    assert found.expires_at == old.created_at + timedelta(days=10)
    ttl.set_version_ttl(instance, owner, old.membership_id, 0)
    assert expired(instance) == []


def test_a_link_suspends_expiry_and_leaves_a_grace_period(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    version = log("0", ttl_seconds=DAY)
    target = ArtifactPath("ana", "registry", "detector")
    link = catalog.link_version(instance, owner, version.id, target, [])
    clock.move(days=30)
    assert expired(instance) == []
    found = ttl.effective_ttl(instance, owner, version.id)
    assert (found.suspended_by, found.expires_at) == (
        "link ana/registry/detector:v0",
        version.created_at + timedelta(days=1),
    )
    catalog.unlink_version(instance, owner, link.membership_id)
    found = ttl.effective_ttl(instance, owner, version.id)
    assert found.suspended_by is None
    assert found.expires_at is not None
    assert found.expires_at - clock.now() > timedelta(days=6)
    clock.move(days=6)
    assert expired(instance) == []
    catalog.unlink_version(instance, owner, link.membership_id)  # again: it adds nothing
    deletion.delete_version(instance, owner, link.membership_id, delete_aliases=True)
    clock.move(days=1, seconds=1)
    assert expired(instance) == [version.id]


def test_a_link_lost_with_its_project_leaves_a_grace_period_too(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    version = log("0", ttl_seconds=DAY)
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, version.id, target, [])
    clock.move(days=30)
    deletion.delete_project(instance, owner, "ana", "registry")
    assert expired(instance) == []
    clock.move(days=8)
    assert expired(instance) == [version.id]


def test_protected_aliases_suspend_expiry_and_ordinary_ones_do_not(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    versions = [log(name, ttl_seconds=DAY, aliases=(name,)) for name in ("prod", "best")]
    retention.protect_aliases(instance, owner, "ana", "vision", ["prod", "gold"])
    clock.move(days=2)
    assert expired(instance) == [versions[1].id]
    found = ttl.effective_ttl(instance, owner, versions[0].id)
    assert found.suspended_by == "alias ana/vision/data:prod"
    retention.protect_aliases(instance, owner, "ana", "vision", [])
    assert expired(instance) == [version.id for version in versions]
    with pytest.raises(Invalid, match="latest"):
        retention.protect_aliases(instance, owner, "ana", "vision", ["latest"])


def test_a_link_takes_no_ttl(instance: Instance, owner: Actor, log: Log) -> None:
    target = ArtifactPath("ana", "registry", "detector")
    link = catalog.link_version(instance, owner, log("0").id, target, [])
    with pytest.raises(Invalid, match="unlink it first, then set the TTL of ana/vision/data:v0"):
        ttl.set_version_ttl(instance, owner, link.membership_id, DAY)


def test_a_collection_of_links_takes_no_ttl(instance: Instance, owner: Actor, log: Log) -> None:
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, log("0").id, target, [])
    links = catalog.collection(instance, owner, "ana", "registry", "detector")
    with pytest.raises(Invalid, match="ana/registry/detector holds links only"):
        ttl.set_collection_ttl(instance, owner, links.id, DAY)
    assert ttl.set_collection_ttl(instance, owner, links.id, None).ttl_seconds is None


def test_code_and_tables_take_a_ttl_and_histories_do_not(
    instance: Instance, owner: Actor, log: Log
) -> None:
    for type in ("code", "run_table"):
        version = log(type, collection=type, type=type)
        ttl.set_version_ttl(instance, owner, version.membership_id, DAY)
    history = log("h", collection="h", type="wandb-history")
    with pytest.raises(Invalid, match="wandb-history"):
        ttl.set_version_ttl(instance, owner, history.membership_id, DAY)


def test_what_expires_soon_is_listed_the_soonest_first(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    retention_days = {"late": 9, "soon": 2, "over": 1, "never": 0}
    for name, days in retention_days.items():
        log(name, collection=name, ttl_seconds=days * DAY)
    log("other", entity="bob", ttl_seconds=DAY)
    protected = log("kept", collection="kept", ttl_seconds=DAY)
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, protected.id, target, [])
    clock.move(days=1, seconds=1)
    week = timedelta(days=7)
    for project in ("vision", None):
        page = ttl.expiring(instance, owner, "ana", project, week, PageRequest(size=1))
        assert page.total == 2
        more = ttl.expiring(instance, owner, "ana", project, week, PageRequest(1, page.cursor))
        names = [each.version.collection for each in (*page.items, *more.items)]
        assert names == ["over", "soon"]
        assert page.items[0].expires_at == page.items[0].version.created_at + timedelta(days=1)


def test_of_a_version_that_expired_it_is_said_that_it_did(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    version = log("0")
    ttl.set_project_ttl(instance, owner, "ana", "vision", DAY)
    clock.move(days=2)
    sweep_expired(instance)
    said = r"data:v0 expired, and was deleted on 2026-01-03 00:00 UTC; restore it with"
    with pytest.raises(Gone, match=said):
        catalog.version(instance, owner, path("v0"))
    run = runs.start(instance, owner, RunSpec("ana", "vision", "late")).run
    with pytest.raises(Gone, match="data:v0 expired, and was deleted on 2026"):
        lineage.use(instance, owner, run.key, version.id, alias=None)


def test_a_version_restored_after_it_expired_stays(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    log("0")
    other = log("other", collection="other", ttl_seconds=3 * DAY)
    ttl.set_project_ttl(instance, owner, "ana", "vision", DAY)
    clock.move(days=2)
    sweep_expired(instance)
    assert live(instance, owner) == []
    (act,) = deletion.deletions(instance, owner, FIRST).items
    assert act.reason == "expired"
    assert restoring.restore(instance, owner, act.id).exempted == 1
    assert expired(instance) == []
    assert live(instance, owner) == [0]
    assert catalog.version_by_id(instance, owner, other.id).ttl_seconds == 3 * DAY


def test_a_ttl_is_part_of_a_draft(instance: Instance, owner: Actor, log: Log) -> None:
    assert log("0").ttl_seconds is None
    assert log("1", ttl_seconds=60).ttl_seconds == 60
    assert log("1", ttl_seconds=90).ttl_seconds == 60
    assert log("1", ttl_seconds=90, on_unchanged="update_metadata").ttl_seconds == 90
    with pytest.raises(Invalid, match="wandb-history"):
        log("2", ttl_seconds=60, collection="h", type=names.HISTORY_TYPE)
    with pytest.raises(Invalid, match="at most"):
        log("2", ttl_seconds=10**12)
