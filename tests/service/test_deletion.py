"""Deleting and restoring versions, collections, runs and projects."""

# ruff: noqa: F811 - `instance` of these tests is on SQLite and on PostgreSQL, not the usual one

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update

from lineal.core import names
from lineal.core.access import Actor, Role
from lineal.core.names import ArtifactPath
from lineal.core.records import (
    CollectionPatch,
    CollectionQuery,
    EdgeKind,
    PageRequest,
    RunQuery,
    RunRecord,
    RunSpec,
    VersionPatch,
    VersionQuery,
    VersionRecord,
)
from lineal.core.retention import Restored
from lineal.db import aliases as aliases_db
from lineal.db import deletion as deletion_db
from lineal.db import restoring as restoring_db
from lineal.db import schema
from lineal.db import versions as versions_db
from lineal.errors import Conflict, Denied, Gone, Invalid, NotFound
from lineal.service import catalog, deletion, lineage, projects, retention, runs
from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.gc.conftest import databases, instance, postgres, sqlite, url  # noqa: F401 - fixtures
from tests.service.drafts import commit, findings, path

FIRST = PageRequest()
Log = Callable[..., VersionRecord]


@pytest.fixture
def log(instance: Instance, owner: Actor, tmp_path: Path) -> Log:
    """Log a version of ana/vision/data with this text."""

    def logged(text: str, **changes: Any) -> VersionRecord:
        version = commit(instance, owner, tmp_path, {"a": text.encode()}, **changes).version
        assert version is not None
        return version

    return logged


@pytest.fixture
def run(instance: Instance, owner: Actor) -> RunRecord:
    return runs.start(instance, owner, RunSpec("ana", "vision", "train")).run


def delete(instance: Instance, actor: Actor, version: VersionRecord) -> None:
    catalog.delete_version(instance, actor, version.membership_id, delete_aliases=True)


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


# --- versions -----------------------------------------------------------------------------------


def test_a_restored_version_has_its_number_content_and_aliases_again(
    instance: Instance, owner: Actor, log: Log
) -> None:
    log("0")
    version = log("1", aliases=("prod", "best"))
    delete(instance, owner, version)
    assert live(instance, owner) == {"v0": ("latest",)}
    restored = deletion.restore_version(instance, owner, path("v1")).version
    assert restored.aliases == ("best", "latest", "prod")
    assert live(instance, owner)["v0"] == ()
    assert catalog.version(instance, owner, path("v1")).digest == version.digest
    assert deletion.restore_version(instance, owner, path("v1")) == (restored, Restored())
    assert findings(instance, owner) == []


def test_an_alias_that_was_set_since_stays_where_it_is(
    instance: Instance, owner: Actor, log: Log
) -> None:
    first = log("0")
    delete(instance, owner, log("1", aliases=("prod", "best")))
    patch = VersionPatch(aliases_added=("prod",))
    catalog.update_version(instance, owner, first.membership_id, patch)
    assert deletion.restore_version(instance, owner, path("v1")).version.aliases == (
        "best",
        "latest",
    )
    assert live(instance, owner)["v0"] == ("prod",)


def test_latest_stays_on_what_was_logged_since(instance: Instance, owner: Actor, log: Log) -> None:
    delete(instance, owner, log("0"))
    log("1")
    assert deletion.restore_version(instance, owner, path("v0")).version.aliases == ()
    assert live(instance, owner)["v1"] == ("latest",)


def test_latest_comes_back_to_the_last_logged_through_several_deletions(
    instance: Instance, owner: Actor, log: Log
) -> None:
    versions = [log(text) for text in "012"]
    for version in reversed(versions):
        delete(instance, owner, version)
    assert live(instance, owner) == {}
    deletion.restore_version(instance, owner, path("v1"))
    deletion.restore_version(instance, owner, path("v2"))
    assert live(instance, owner) == {"v1": (), "v2": ("latest",)}
    assert findings(instance, owner) == []


def test_latest_comes_back_to_the_last_of_a_collection_restored_one_by_one(
    instance: Instance, owner: Actor, log: Log
) -> None:
    for text in "012":
        log(text)
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    catalog.delete_collection(instance, owner, collection.id)
    deletion.restore_version(instance, owner, path("v0"))
    deletion.restore_version(instance, owner, path("v2"))
    assert live(instance, owner) == {"v0": (), "v2": ("latest",)}
    assert findings(instance, owner) == []


def test_latest_that_was_taken_off_stays_on_no_version_whatever_is_deleted_or_restored(
    instance: Instance, owner: Actor, log: Log
) -> None:
    versions = [log(text) for text in "0123"]
    patch = VersionPatch(aliases_removed=("latest",))
    catalog.update_version(instance, owner, versions[3].membership_id, patch)
    bob = Actor("bob", Role.OWNER)
    delete(instance, bob, versions[1])
    delete(instance, bob, versions[3])
    assert live(instance, owner) == {"v0": (), "v2": ()}
    for name in ("v1", "v3"):
        deletion.restore_version(instance, bob, path(name))
    assert live(instance, owner) == {"v0": (), "v1": (), "v2": (), "v3": ()}
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    assert "bob" not in {
        move.actor for move in catalog.alias_history(instance, owner, collection.id, None)
    }
    assert log("new").aliases == ("latest",)


def test_latest_comes_back_to_the_only_link_after_the_newest_one_was_removed(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    target = ArtifactPath("ana", "registry", "detector")
    links = [catalog.link_version(instance, owner, log(text).id, target, []) for text in "01"]
    with instance.database.writing() as connection:
        by = {"actor": "ana", "now": clock.now()}
        act = deletion_db.record(connection, what="v0", reason=deletion_db.USER, **by)
        deletion_db.hide(connection, act, [links[0].id], force=True, **by)
    catalog.unlink_version(instance, owner, links[1].membership_id)
    deletion.restore(instance, owner, act)
    found = catalog.versions(instance, owner, VersionQuery("ana", "registry", "detector"), FIRST)
    assert [version.aliases for version in found.items] == [("latest",)]


def test_the_name_of_a_deleted_version_says_who_when_and_how_to_restore_it(
    instance: Instance, owner: Actor, log: Log
) -> None:
    delete(instance, owner, log("0"))
    said = (
        r"ana/vision/data:v0 was deleted by ana on 2026-01-01 00:00 UTC; "
        r"restore it with `lineal artifact restore ana/vision/data:v0`"
    )
    with pytest.raises(Gone, match=said):
        catalog.version(instance, owner, path("v0"))


def test_a_released_version_cannot_be_restored(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    delete(instance, owner, log("0"))
    release(instance)
    with pytest.raises(Gone, match="released and cannot come back"):
        deletion.restore_version(instance, owner, path("v0"))
    (act,) = deletion.deletions(instance, owner, FIRST).items
    assert (act.version_count, act.released_count, act.restorable_until) == (1, 1, None)
    with pytest.raises(Gone):
        deletion.restore(instance, owner, act.id)


def test_content_logged_again_after_its_deletion_gets_a_new_number_and_both_may_live(
    instance: Instance, owner: Actor, log: Log
) -> None:
    delete(instance, owner, log("0"))
    assert log("0").number == 1
    deletion.restore_version(instance, owner, path("v0"))
    assert live(instance, owner) == {"v0": (), "v1": ("latest",)}


def test_a_deleted_version_is_named_by_its_number(
    instance: Instance, owner: Actor, log: Log
) -> None:
    delete(instance, owner, log("0"))
    with pytest.raises(Invalid, match="by its number"):
        deletion.restore_version(instance, owner, path("latest"))
    with pytest.raises(NotFound):
        deletion.restore_version(instance, owner, path("v7"))


def test_a_protected_alias_keeps_its_version(instance: Instance, owner: Actor, log: Log) -> None:
    version = log("0", aliases=("prod",))
    retention.protect_aliases(instance, owner, "ana", "vision", ["prod"])
    with pytest.raises(Conflict, match="protected alias ana/vision/data:prod"):
        delete(instance, owner, version)
    patch = VersionPatch(aliases_removed=("prod",))
    catalog.update_version(instance, owner, version.membership_id, patch)
    delete(instance, owner, version)


def test_a_protected_alias_of_a_link_keeps_the_source(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, version.id, target, ["prod"])
    retention.protect_aliases(instance, owner, "ana", "registry", ["prod"])
    with pytest.raises(Conflict, match="protected alias ana/registry/detector:prod"):
        delete(instance, owner, version)


def test_a_deleted_version_takes_no_alias_and_no_link(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    delete(instance, owner, version)
    patch = VersionPatch(aliases_added=("prod",))
    with pytest.raises(Gone):
        catalog.update_version(instance, owner, version.membership_id, patch)
    target = ArtifactPath("ana", "registry", "detector")
    with pytest.raises(Gone):
        catalog.link_version(instance, owner, version.id, target, [])
    assert findings(instance, owner) == []


def test_tombstones_stay_in_the_lineage(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    version = log("0", run=run.key)
    delete(instance, owner, version)
    release(instance)
    logged = lineage.versions_of(instance, owner, run.key, EdgeKind.LOGGED, FIRST)
    shown = catalog.version_by_id(instance, owner, version.id)
    assert (shown.digest, shown.number, shown.deleted_by) == (version.digest, 0, "ana")
    assert logged.total is not None


# --- collections --------------------------------------------------------------------------------


def test_a_collection_is_deleted_and_restored_as_a_whole(
    instance: Instance, owner: Actor, log: Log
) -> None:
    log("0", aliases=("raw",))
    version = log("1")
    other = log("x", collection="other")
    delete(instance, owner, version)
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    catalog.delete_collection(instance, owner, collection.id)
    catalog.delete_collection(instance, owner, collection.id)
    assert live(instance, owner) == {}
    restored = deletion.restore_collection(instance, owner, "ana", "vision", "data")
    assert restored == Restored(versions=1, aliases=2, collections=1)
    assert live(instance, owner) == {"v0": ("latest", "raw")}
    assert live(instance, owner, "other") == {"v0": other.aliases}
    assert findings(instance, owner) == []


def test_a_deleted_collection_is_not_changed(instance: Instance, owner: Actor, log: Log) -> None:
    log("0")
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    catalog.delete_collection(instance, owner, collection.id)
    for patch in (CollectionPatch(name="other"), CollectionPatch(description="x")):
        with pytest.raises(Gone, match="lineal artifact restore ana/vision/data"):
            catalog.update_collection(instance, owner, collection.id, patch)
    deletion.restore_collection(instance, owner, "ana", "vision", "data")
    catalog.update_collection(instance, owner, collection.id, CollectionPatch(name="other"))
    assert listed(instance, owner) == ["other"]


def listed(instance: Instance, owner: Actor, project: str = "vision") -> list[str]:
    query = CollectionQuery("ana", project)
    return [each.name for each in catalog.collections(instance, owner, query, FIRST).items]


def test_a_deleted_collection_is_listed_again_once_something_is_in_it(
    instance: Instance, owner: Actor, log: Log
) -> None:
    delete(instance, owner, log("0"))
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    assert listed(instance, owner) == ["data"]  # empty, but nobody deleted the collection
    catalog.delete_collection(instance, owner, collection.id)
    assert listed(instance, owner) == []
    assert catalog.artifact_types(instance, owner, "ana", "vision") == []
    with pytest.raises(Gone, match="ana/vision/data was deleted by ana on 2026"):
        catalog.collection(instance, owner, "ana", "vision", "data")
    with pytest.raises(Gone, match="Version ana/vision/data:v0 was deleted"):
        catalog.version(instance, owner, path("v0"))
    assert log("new").number == 1
    assert listed(instance, owner) == ["data"]
    catalog.delete_collection(instance, owner, collection.id)
    deletion.restore_version(instance, owner, path("v0"))
    assert listed(instance, owner) == ["data"]
    assert findings(instance, owner) == []


def test_a_deleted_portfolio_comes_back_empty_or_with_the_next_link(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, version.id, target, [])
    portfolio = catalog.collection(instance, owner, "ana", "registry", "detector")
    catalog.delete_collection(instance, owner, portfolio.id)
    assert listed(instance, owner, "registry") == []
    restored = deletion.restore_collection(instance, owner, "ana", "registry", "detector")
    assert restored == Restored(collections=1)
    assert listed(instance, owner, "registry") == ["detector"]
    catalog.delete_collection(instance, owner, portfolio.id)
    assert catalog.link_version(instance, owner, version.id, target, []).number == 1
    assert listed(instance, owner, "registry") == ["detector"]


def test_a_collection_with_a_linked_version_is_not_deleted(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    log("1")
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, version.id, target, [])
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    with pytest.raises(Conflict, match="linked as ana/registry/detector:v0"):
        catalog.delete_collection(instance, owner, collection.id)
    assert list(live(instance, owner)) == ["v1", "v0"]


# --- runs ---------------------------------------------------------------------------------------


def test_a_run_comes_back_with_the_versions_deleted_with_it(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    before = log("0", run=run.key)
    log("1", run=run.key, aliases=("best",))
    delete(instance, owner, before)
    runs.delete(instance, owner, run.key, delete_artifacts=True)
    assert live(instance, owner) == {}
    assert deletion.restore_run(instance, owner, "ana", "vision", "train").key == run.key
    assert live(instance, owner) == {"v1": ("best", "latest")}
    assert deletion.restore_run(instance, owner, "ana", "vision", "train").key == run.key
    assert findings(instance, owner) == []


def test_a_released_run_cannot_be_restored_and_its_id_stays_taken(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    runs.delete(instance, owner, run.key)
    release(instance)
    with pytest.raises(Gone, match="cannot come back; use another id"):
        deletion.restore_run(instance, owner, "ana", "vision", "train")
    with pytest.raises(Gone):
        runs.start(instance, owner, RunSpec("ana", "vision", "train", resume="allow"))


def test_protected_artifacts_of_a_run_go_only_by_force(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    log("0", run=run.key, aliases=("prod",))
    retention.protect_aliases(instance, owner, "ana", "vision", ["prod"])
    with pytest.raises(Conflict, match="protected alias ana/vision/data:prod"):
        runs.delete(instance, owner, run.key, delete_artifacts=True)
    runs.delete(instance, owner, run.key, delete_artifacts=True, force=True)
    assert live(instance, owner) == {}
    deletion.restore_run(instance, owner, "ana", "vision", "train")
    assert live(instance, owner) == {"v0": ("latest", "prod")}


# --- projects -----------------------------------------------------------------------------------


def test_a_deleted_project_is_hidden_with_all_in_it_and_comes_back_as_it_was(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    delete(instance, owner, log("0"))
    log("1", run=run.key, aliases=("best",))
    deletion.delete_project(instance, owner, "ana", "vision")
    deletion.delete_project(instance, owner, "ana", "vision")
    assert projects.projects(instance, owner, "ana", FIRST).items == ()
    said = r"Project ana/vision was deleted on .* by ana; .*`lineal project restore ana/vision`"
    for call in (
        lambda: projects.project(instance, owner, "ana", "vision"),
        lambda: projects.project(instance, owner, "ana", "vision", create=True),
        lambda: runs.runs(instance, owner, RunQuery("ana", "vision"), FIRST),
        lambda: runs.start(instance, owner, RunSpec("ana", "vision", "new")),
        lambda: catalog.version(instance, owner, path("v1")),
        lambda: catalog.collections(instance, owner, CollectionQuery("ana", "vision"), FIRST),
        lambda: log("2"),
    ):
        with pytest.raises(Gone, match=said):
            call()
    restored = deletion.restore_project(instance, owner, "ana", "vision")
    assert restored == Restored(versions=1, runs=1, projects=1, aliases=2)
    assert live(instance, owner) == {"v1": ("best", "latest")}
    assert deletion.restore_project(instance, owner, "ana", "vision") == Restored()
    assert findings(instance, owner) == []


def test_what_was_deleted_in_a_project_waits_for_the_project(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    delete(instance, owner, log("0"))
    runs.delete(instance, owner, run.key)
    deletion.delete_project(instance, owner, "ana", "vision")
    _, of_run, of_version = deletion.deletions(instance, owner, FIRST).items
    for act in (of_run, of_version):
        with pytest.raises(Conflict, match="`lineal project restore ana/vision`"):
            deletion.restore(instance, owner, act.id)
    with pytest.raises(Gone, match="lineal project restore"):
        deletion.restore_run(instance, owner, "ana", "vision", "train")
    deletion.restore_project(instance, owner, "ana", "vision")
    assert deletion.restore(instance, owner, of_version.id).versions == 1
    assert deletion.restore(instance, owner, of_run.id).runs == 1


def test_a_link_from_another_project_keeps_a_project_unless_forced(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    for project in ("vision", "registry"):
        target = ArtifactPath("ana", project, "detector")
        catalog.link_version(instance, owner, version.id, target, [])
    with pytest.raises(
        Conflict, match=r"linked as ana/registry/detector:v0; unlink.*`lineal artifact rm ana/reg"
    ):
        deletion.delete_project(instance, owner, "ana", "vision")
    assert projects.project(instance, owner, "ana", "vision").name == "vision"
    deletion.delete_project(instance, owner, "ana", "vision", force=True)
    with pytest.raises(NotFound):
        catalog.version(instance, owner, ArtifactPath("ana", "registry", "detector"))
    deletion.restore_project(instance, owner, "ana", "vision")
    for project in ("vision", "registry"):
        target = ArtifactPath("ana", project, "detector")
        assert catalog.version(instance, owner, target).number == 0
    assert findings(instance, owner) == []


def test_a_link_in_a_deleted_project_keeps_nothing(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, version.id, target, [])
    deletion.delete_project(instance, owner, "ana", "registry")
    delete(instance, owner, version)
    assert live(instance, owner) == {}


# --- acts ---------------------------------------------------------------------------------------


def test_deletions_say_who_when_why_and_how_long_they_can_be_undone(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    delete(instance, owner, log("0"))
    clock.move(days=1)
    bob = Actor("bob", Role.MEMBER)
    delete(instance, bob, log("1"))
    newest, oldest = deletion.deletions(instance, owner, FIRST).items
    assert (newest.what, newest.deleted_by, newest.reason) == ("ana/vision/data:v1", "bob", "user")
    assert (oldest.what, oldest.version_count) == ("ana/vision/data:v0", 1)
    assert oldest.restorable_until == oldest.deleted_at + instance.undo_period
    assert deletion.restore(instance, owner, oldest.id) == Restored(versions=1, aliases=0)
    assert deletion.restore(instance, owner, oldest.id) == Restored()
    oldest = deletion.deletions(instance, owner, FIRST).items[1]
    assert (oldest.restored_at is not None, oldest.restorable_until) == (True, None)
    with pytest.raises(NotFound, match="No deletion 99"):
        deletion.restore(instance, owner, 99)


def test_hiding_leaves_out_what_is_kept_or_deleted_already(
    instance: Instance, owner: Actor, log: Log
) -> None:
    versions = [log(str(number)) for number in range(4)]
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, versions[0].id, target, [])
    patch = VersionPatch(aliases_added=("prod",))
    catalog.update_version(instance, owner, versions[1].membership_id, patch)
    retention.protect_aliases(instance, owner, "ana", "vision", ["prod"])
    delete(instance, owner, versions[2])
    with instance.database.writing() as connection:
        deletion_db.hide_versions(
            connection,
            [version.id for version in versions],
            what="all",
            reason=deletion_db.EXPIRED,
            actor="sweep",
            now=instance.clock.now(),
        )
    assert live(instance, owner) == {"v1": ("latest", "prod"), "v0": ()}
    assert catalog.version_by_id(instance, owner, versions[2].id).deleted_by == "ana"
    assert findings(instance, owner) == []


def test_a_deletion_that_is_killed_half_way_leaves_nothing_and_can_be_run_again(
    instance: Instance, owner: Actor, log: Log, monkeypatch: pytest.MonkeyPatch, run: RunRecord
) -> None:
    log("0", run=run.key, aliases=("best",))

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    before = live(instance, owner)
    calls: list[Callable[[], object]] = [
        lambda: runs.delete(instance, owner, run.key, delete_artifacts=True),
        lambda: deletion.delete_project(instance, owner, "ana", "vision"),
    ]
    with monkeypatch.context() as patched:
        patched.setattr(aliases_db, "fall_back", killed)
        for call in calls:
            with pytest.raises(Killed):
                call()
    assert live(instance, owner) == before
    assert runs.run(instance, owner, "ana", "vision", "train").key == run.key
    assert deletion.deletions(instance, owner, FIRST).items == ()
    for call in calls:
        call()
    with monkeypatch.context() as patched:
        patched.setattr(restoring_db, "_close_restored", killed)
        with pytest.raises(Killed):
            deletion.restore_project(instance, owner, "ana", "vision")
    deletion.restore_project(instance, owner, "ana", "vision")
    deletion.restore_run(instance, owner, "ana", "vision", "train")
    assert live(instance, owner) == before
    assert findings(instance, owner) == []


def test_to_strangers_nothing_exists_and_viewers_may_change_nothing(
    instance: Instance, owner: Actor, stranger: Actor, log: Log
) -> None:
    delete(instance, owner, log("0"))
    (act,) = deletion.deletions(instance, owner, FIRST).items
    viewer = Actor("vic", Role.VIEWER)
    calls: list[Callable[[Actor], object]] = [
        lambda actor: deletion.restore(instance, actor, act.id),
        lambda actor: deletion.restore_version(instance, actor, path("v0")),
        lambda actor: deletion.restore_collection(instance, actor, "ana", "vision", "data"),
        lambda actor: deletion.restore_run(instance, actor, "ana", "vision", "train"),
        lambda actor: deletion.restore_project(instance, actor, "ana", "vision"),
        lambda actor: deletion.delete_project(instance, actor, "ana", "vision"),
    ]
    for call in calls:
        with pytest.raises(NotFound, match="you are eve"):
            call(stranger)
        with pytest.raises(Denied, match="may not delete"):
            call(viewer)
    with pytest.raises(NotFound, match="you are eve"):
        deletion.deletions(instance, stranger, FIRST)
    assert len(deletion.deletions(instance, viewer, FIRST).items) == 1


def test_a_version_that_is_being_linked_is_waited_for_and_kept(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    target = ArtifactPath("ana", "registry", "detector")
    link = catalog.link_version(instance, owner, log("1").id, target, [])
    now = instance.clock.now()

    def hide() -> None:
        with instance.database.writing() as connection:
            words = {"what": "x", "reason": "expired", "actor": "sweep", "now": now}
            deletion_db.hide_versions(connection, [version.id], **words)

    hiding = threading.Thread(target=hide)
    with instance.database.writing() as connection:
        portfolio = versions_db.collection_of(connection, link.membership_id)
        assert versions_db.lock(connection, version.id)
        versions_db.add_membership(connection, portfolio, version.id, now)
        hiding.start()
        hiding.join(0.3)
        assert hiding.is_alive()
    hiding.join(30)
    assert live(instance, owner) == {"v1": ("latest",), "v0": ()}


def test_ten_thousand_versions_are_hidden_with_few_statements(
    instance: Instance, owner: Actor, log: Log
) -> None:
    first = log("0")
    ids = many_versions(instance, first, 10_000)
    statements: list[str] = []
    with instance.database.writing() as connection:
        event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2]))
        deletion_db.hide_versions(
            connection, ids, what="all", reason="user", actor="ana", now=instance.clock.now()
        )
    assert len(statements) < 300  # a page of versions at a time, not each by itself
    assert catalog.collection(instance, owner, "ana", "vision", "data").version_count == 1
    (act,) = deletion.deletions(instance, owner, FIRST).items
    assert deletion.restore(instance, owner, act.id) == Restored(versions=10_000, aliases=10_000)


def many_versions(instance: Instance, like: VersionRecord, count: int) -> list[int]:
    """Insert versions of the same content, each with an alias of its own."""
    versions, memberships = schema.versions, schema.memberships
    with instance.database.writing() as connection:
        row = connection.execute(select(versions).where(versions.c.id == like.id)).one()
        ids = list(range(row.id + 1, row.id + 1 + count))
        connection.execute(insert(versions), [row._asdict() | {"id": id} for id in ids])
        home = {"collection_id": row.collection_id, "created_at": row.created_at}
        connection.execute(
            insert(memberships),
            [home | {"id": 1000 + id, "version_id": id, "number": id} for id in ids],
        )
        connection.execute(
            insert(schema.aliases),
            [
                {"collection_id": row.collection_id, "alias": f"a{id}", "membership_id": 1000 + id}
                for id in ids
            ],
        )
        connection.execute(update(schema.collections).values(next_number=ids[-1] + 1))
    return ids


def test_a_ttl_is_part_of_a_draft(instance: Instance, owner: Actor, log: Log) -> None:
    assert log("0").ttl_seconds is None
    assert log("1", ttl_seconds=60).ttl_seconds == 60
    assert log("1", ttl_seconds=90).ttl_seconds == 60
    assert log("1", ttl_seconds=90, on_unchanged="update_metadata").ttl_seconds == 90
    with pytest.raises(Invalid, match="wandb-history"):
        log("2", ttl_seconds=60, collection="h", type=names.HISTORY_TYPE)
    with pytest.raises(Invalid, match="at most"):
        log("2", ttl_seconds=10**12)
