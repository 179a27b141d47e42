"""Undoing deletions (DEL-7)."""

# ruff: noqa: F811 - `instance` of these tests is on SQLite and on PostgreSQL, not the usual one

from __future__ import annotations

import pytest

from lineal.core.access import Actor, Role
from lineal.core.full_names import ArtifactPath
from lineal.core.records import (
    RunRecord,
    RunSpec,
    VersionPatch,
    VersionQuery,
)
from lineal.core.retention import Restored
from lineal.db import deletion as deletion_db
from lineal.db import gc as gc_db
from lineal.errors import Conflict, Gone, Invalid, NotFound, RunNotFoundError
from lineal.service import catalog, deletion, restoring, runs
from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.gc.conftest import instance  # noqa: F401 - a fixture
from tests.service.deleting import (  # noqa: F401 - fixtures
    FIRST,
    Log,
    delete,
    listed,
    live,
    log,
    release,
    run,
)
from tests.service.drafts import findings, path

# --- versions -------------------------------------------------------------------------------------


def test_a_restored_version_has_its_number_content_and_aliases_again(
    instance: Instance, owner: Actor, log: Log
) -> None:
    log("0")
    version = log("1", aliases=("prod", "best"))
    delete(instance, owner, version)
    assert live(instance, owner) == {"v0": ("latest",)}
    restored = restoring.restore_version(instance, owner, path("v1")).version
    assert restored.aliases == ("best", "latest", "prod")
    assert live(instance, owner)["v0"] == ()
    assert catalog.version(instance, owner, path("v1")).digest == version.digest
    assert restoring.restore_version(instance, owner, path("v1")) == (restored, Restored())
    assert findings(instance, owner) == []


def test_an_alias_that_was_set_since_stays_where_it_is(
    instance: Instance, owner: Actor, log: Log
) -> None:
    first = log("0")
    delete(instance, owner, log("1", aliases=("prod", "best")))
    patch = VersionPatch(aliases_added=("prod",))
    catalog.update_version(instance, owner, first.membership_id, patch)
    assert restoring.restore_version(instance, owner, path("v1")).version.aliases == (
        "best",
        "latest",
    )
    assert live(instance, owner)["v0"] == ("prod",)


def test_latest_stays_on_what_was_logged_since(instance: Instance, owner: Actor, log: Log) -> None:
    delete(instance, owner, log("0"))
    log("1")
    assert restoring.restore_version(instance, owner, path("v0")).version.aliases == ()
    assert live(instance, owner)["v1"] == ("latest",)


def test_latest_comes_back_to_the_last_logged_through_several_deletions(
    instance: Instance, owner: Actor, log: Log
) -> None:
    versions = [log(text) for text in "012"]
    for version in reversed(versions):
        delete(instance, owner, version)
    assert live(instance, owner) == {}
    restoring.restore_version(instance, owner, path("v1"))
    restoring.restore_version(instance, owner, path("v2"))
    assert live(instance, owner) == {"v1": (), "v2": ("latest",)}
    assert findings(instance, owner) == []


def test_latest_comes_back_to_the_last_of_a_collection_restored_one_by_one(
    instance: Instance, owner: Actor, log: Log
) -> None:
    for text in "012":
        log(text)
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    deletion.delete_collection(instance, owner, collection.id)
    restoring.restore_version(instance, owner, path("v0"))
    restoring.restore_version(instance, owner, path("v2"))
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
        restoring.restore_version(instance, bob, path(name))
    assert live(instance, owner) == {"v0": (), "v1": (), "v2": (), "v3": ()}
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    assert "bob" not in {
        move.actor for move in catalog.alias_history(instance, owner, collection.id, None)
    }
    assert log("new").aliases == ("latest",)


def test_latest_stays_on_the_restored_version_that_had_it_when_others_come_back(
    instance: Instance, owner: Actor, log: Log
) -> None:
    versions = [log(text) for text in "012"]
    delete(instance, owner, versions[2])
    delete(instance, owner, versions[1])  # which had it only because v2 was deleted
    for name in ("v2", "v1"):
        restoring.restore_version(instance, owner, path(name))
        assert live(instance, owner)["v2"] == ("latest",)
    assert live(instance, owner) == {"v0": (), "v1": (), "v2": ("latest",)}


def test_latest_stays_where_it_was_put_by_hand_when_a_higher_version_comes_back(
    instance: Instance, owner: Actor, log: Log
) -> None:
    versions = [log(text) for text in "012"]
    patch = VersionPatch(aliases_added=("latest",))
    catalog.update_version(instance, owner, versions[0].membership_id, patch)
    delete(instance, owner, versions[0])
    delete(instance, owner, versions[2])
    assert live(instance, owner) == {"v1": ("latest",)}
    for name in ("v0", "v2"):
        restoring.restore_version(instance, owner, path(name))
        assert live(instance, owner)["v0"] == ("latest",)


def test_latest_that_was_taken_off_since_does_not_come_back(
    instance: Instance, owner: Actor, log: Log
) -> None:
    versions = [log(text) for text in "01"]
    delete(instance, owner, versions[1])
    patch = VersionPatch(aliases_removed=("latest",))
    catalog.update_version(instance, owner, versions[0].membership_id, patch)
    restoring.restore_version(instance, owner, path("v1"))
    assert live(instance, owner) == {"v0": (), "v1": ()}


def test_latest_comes_back_to_the_only_link_after_the_newest_one_was_removed(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    target = ArtifactPath("ana", "registry", "detector")
    links = [catalog.link_version(instance, owner, log(text).id, target, []) for text in "01"]
    with instance.database.writing() as connection:
        by = {"actor": "ana", "now": clock.now()}
        deletion_id = deletion_db.record(connection, what="v0", reason=deletion_db.USER, **by)
        deletion_db.hide(connection, deletion_id, [links[0].id], force=True, **by)
    catalog.unlink_version(instance, owner, links[1].membership_id)
    restoring.restore(instance, owner, deletion_id)
    found = catalog.versions(instance, owner, VersionQuery("ana", "registry", "detector"), FIRST)
    assert [version.aliases for version in found.items] == [("latest",)]


def test_latest_comes_back_to_a_link_after_the_one_it_fell_back_to_was_removed(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    target = ArtifactPath("ana", "registry", "detector")
    links = [catalog.link_version(instance, owner, log(text).id, target, []) for text in "012"]
    patch = VersionPatch(aliases_added=("latest",))
    catalog.update_version(instance, owner, links[0].membership_id, patch)
    with instance.database.writing() as connection:
        by = {"actor": "ana", "now": clock.now()}
        deletion_id = deletion_db.record(connection, what="v0", reason=deletion_db.USER, **by)
        deletion_db.hide(connection, deletion_id, [links[0].id], force=True, **by)
    clock.move(hours=1)
    catalog.unlink_version(instance, owner, links[2].membership_id)
    restoring.restore(instance, owner, deletion_id)
    query = VersionQuery("ana", "registry", "detector", order="+version_index")
    found = catalog.versions(instance, owner, query, FIRST)
    assert [version.aliases for version in found.items] == [("latest",), ()]


def test_latest_goes_to_the_highest_that_lives_while_the_one_it_belongs_on_is_deleted(
    instance: Instance, owner: Actor, log: Log
) -> None:
    versions = [log(text) for text in "012"]
    for version in (versions[1], versions[2]):
        delete(instance, owner, version)
    assert live(instance, owner) == {"v0": ("latest",)}
    for name in ("v1", "v2"):
        restoring.restore_version(instance, owner, path(name))
        assert live(instance, owner)[name] == ("latest",)
    assert findings(instance, owner) == []


def test_latest_goes_to_the_highest_of_the_part_of_an_act_that_comes_back(
    instance: Instance, owner: Actor, log: Log
) -> None:
    for text in "0123":
        log(text)
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    deletion.delete_collection(instance, owner, collection.id)
    for name in ("v1", "v0", "v2", "v3"):
        restoring.restore_version(instance, owner, path(name))
        assert live(instance, owner)["v1" if name == "v0" else name] == ("latest",)


def test_latest_stays_on_the_version_it_fell_back_to_once_somebody_logs_that_again(
    instance: Instance, owner: Actor, log: Log
) -> None:
    for text in "01":
        log(text)
    delete(instance, owner, log("2"))
    assert log("1").aliases == ("latest",)
    restoring.restore_version(instance, owner, path("v2"))
    assert live(instance, owner) == {"v0": (), "v1": ("latest",), "v2": ()}


def test_latest_of_a_portfolio_goes_to_the_highest_link_that_comes_back(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    target = ArtifactPath("ana", "registry", "detector")
    links = [catalog.link_version(instance, owner, log(text).id, target, []) for text in "0123"]
    with instance.database.writing() as connection:
        by = {"actor": "ana", "now": clock.now()}
        deletion_id = deletion_db.record(connection, what="some", reason=deletion_db.USER, **by)
        ids = [link.id for link in links[1:3]]
        deletion_db.hide(connection, deletion_id, ids, force=True, **by)
    catalog.unlink_version(instance, owner, links[3].membership_id)
    query = VersionQuery("ana", "registry", "detector", order="+version_index")
    for expected in ([("latest",)], [(), (), ("latest",)]):
        found = catalog.versions(instance, owner, query, FIRST)
        assert [version.aliases for version in found.items] == expected
        restoring.restore(instance, owner, deletion_id)


def test_a_released_version_cannot_be_restored(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    delete(instance, owner, log("0"))
    release(instance)
    with pytest.raises(Gone, match="released and cannot come back"):
        restoring.restore_version(instance, owner, path("v0"))
    (one,) = deletion.deletions(instance, owner, FIRST).items
    assert (one.version_count, one.released_count, one.restorable_until) == (1, 1, None)
    with pytest.raises(Gone):
        restoring.restore(instance, owner, one.id)


def test_content_logged_again_after_its_deletion_gets_a_new_number_and_both_may_live(
    instance: Instance, owner: Actor, log: Log
) -> None:
    delete(instance, owner, log("0"))
    assert log("0").number == 1
    restoring.restore_version(instance, owner, path("v0"))
    assert live(instance, owner) == {"v0": (), "v1": ("latest",)}


def test_a_deleted_version_is_named_by_its_number(
    instance: Instance, owner: Actor, log: Log
) -> None:
    delete(instance, owner, log("0"))
    with pytest.raises(Invalid, match="by its number"):
        restoring.restore_version(instance, owner, path("latest"))
    with pytest.raises(NotFound, match="No version ana/vision/data:v7, nor a deleted one"):
        restoring.restore_version(instance, owner, path("v7"))


def test_of_a_link_that_was_removed_it_is_said_how_it_comes_back(
    instance: Instance, owner: Actor, log: Log
) -> None:
    target = ArtifactPath("ana", "registry", "detector")
    link = catalog.link_version(instance, owner, log("0").id, target, [])
    catalog.unlink_version(instance, owner, link.membership_id)
    with pytest.raises(NotFound, match="one that was removed does not come back, link its version"):
        restoring.restore_version(instance, owner, target._replace(ref="v0"))


def test_a_link_comes_back_with_its_version(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    target = ArtifactPath("ana", "registry", "detector", "v0")
    catalog.link_version(instance, owner, log("0", run=run.key).id, target, [])
    deletion.delete_run(instance, owner, run.key, delete_artifacts=True, force=True)
    with pytest.raises(Invalid, match="is a link; restore ana/vision/data:v0"):
        restoring.restore_version(instance, owner, target)
    restoring.restore_version(instance, owner, path("v0"))
    assert catalog.version(instance, owner, target).number == 0


# --- deletions ------------------------------------------------------------------------------------


def test_what_was_not_released_comes_back_and_of_the_rest_it_is_said(
    instance: Instance, owner: Actor, log: Log, run: RunRecord, clock: MovableClock
) -> None:
    first = log("0", run=run.key)
    log("1", run=run.key)
    deletion.delete_run(instance, owner, run.key, delete_artifacts=True)
    (act,) = deletion.deletions(instance, owner, FIRST).items
    with instance.database.writing() as connection:
        gc_db.release_versions(connection, [first.id], clock.now(), clock.now())
    found = restoring.restore(instance, owner, act.id)
    assert (found.versions, found.runs, found.released) == (1, 1, 1)
    assert live(instance, owner) == {"v1": ("latest",)}


def test_a_run_whose_lines_were_released_stays_deleted(
    instance: Instance, owner: Actor, log: Log, run: RunRecord, clock: MovableClock
) -> None:
    log("0", run=run.key)
    deletion.delete_run(instance, owner, run.key, delete_artifacts=True)
    (act,) = deletion.deletions(instance, owner, FIRST).items
    with instance.database.writing() as connection:
        gc_db.release_runs(connection, [run.key], clock.now(), clock.now())
    found = restoring.restore(instance, owner, act.id)
    assert (found.versions, found.runs, found.released) == (1, 0, 1)
    with pytest.raises(Gone):
        runs.run_by_key(instance, owner, run.key)


def test_of_a_deletion_that_hid_nothing_nothing_comes_back(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    version = log("0")
    catalog.link_version(instance, owner, version.id, ArtifactPath("ana", "registry", "x"), [])
    with instance.database.writing() as connection:
        words = {"what": "x", "reason": deletion_db.EXPIRED, "actor": "sweep", "now": clock.now()}
        act = deletion_db.hide_versions(connection, [version.id], **words)
    assert restoring.restore(instance, owner, act) == Restored()


# --- collections ----------------------------------------------------------------------------------


def test_what_was_deleted_of_a_live_collection_comes_back_deletion_by_deletion(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    versions = [log(text) for text in "0123"]
    for version in (*versions[:3], log("0", collection="other")):
        delete(instance, owner, version)
    with instance.database.writing() as connection:
        gc_db.release_versions(connection, [versions[2].id], clock.now(), clock.now())
    for back in (["v3", "v1"], ["v3", "v1", "v0"]):
        restored = restoring.restore_collection(instance, owner, "ana", "vision", "data")
        assert restored == Restored(versions=1)
        assert list(live(instance, owner)) == back
    with pytest.raises(NotFound, match="No version of ana/vision/data was deleted that could"):
        restoring.restore_collection(instance, owner, "ana", "vision", "data")


def test_a_deleted_portfolio_comes_back_empty_or_with_the_next_link(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, version.id, target, [])
    portfolio = catalog.collection(instance, owner, "ana", "registry", "detector")
    deletion.delete_collection(instance, owner, portfolio.id)
    assert listed(instance, owner, "registry") == []
    restored = restoring.restore_collection(instance, owner, "ana", "registry", "detector")
    assert restored == Restored(collections=1)
    assert listed(instance, owner, "registry") == ["detector"]
    deletion.delete_collection(instance, owner, portfolio.id)
    assert catalog.link_version(instance, owner, version.id, target, []).number == 1
    assert listed(instance, owner, "registry") == ["detector"]


def test_what_comes_back_brings_back_no_other_collection(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    delete(instance, owner, log("0"))
    log("0", collection="other")
    other = catalog.collection(instance, owner, "ana", "vision", "other")
    deletion.delete_collection(instance, owner, other.id)
    first, second = deletion.deletions(instance, owner, FIRST).items
    restoring.restore_version(instance, owner, path("v0"))
    assert listed(instance, owner) == ["data"]
    restored_at = deletion.deletions(instance, owner, FIRST).items[1].restored_at
    assert restored_at is not None
    clock.move(hours=1)
    restoring.restore(instance, owner, first.id)
    assert listed(instance, owner) == ["data", "other"]
    of_first, of_second = deletion.deletions(instance, owner, FIRST).items
    assert (of_second.id, of_second.restored_at) == (second.id, restored_at)
    assert of_first.restored_at is not None


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_comes_back_with_the_versions_deleted_with_it(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    before = log("0", run=run.key)
    log("1", run=run.key, aliases=("best",))
    delete(instance, owner, before)
    deletion.delete_run(instance, owner, run.key, delete_artifacts=True)
    assert live(instance, owner) == {}
    assert restoring.restore_run(instance, owner, "ana", "vision", "train").key == run.key
    assert live(instance, owner) == {"v1": ("best", "latest")}
    assert restoring.restore_run(instance, owner, "ana", "vision", "train").key == run.key
    assert findings(instance, owner) == []


def test_a_restored_run_can_be_resumed(instance: Instance, owner: Actor, run: RunRecord) -> None:
    deletion.delete_run(instance, owner, run.key)
    assert restoring.restore_run(instance, owner, "ana", "vision", "train").key == run.key
    spec = RunSpec("ana", "vision", "train", resume="must")
    assert runs.start(instance, owner, spec).is_resumed


def test_a_released_run_cannot_be_restored_and_its_id_stays_taken(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    deletion.delete_run(instance, owner, run.key)
    release(instance)
    with pytest.raises(Gone, match="cannot come back; use another id"):
        restoring.restore_run(instance, owner, "ana", "vision", "train")
    with pytest.raises(Gone):
        runs.start(instance, owner, RunSpec("ana", "vision", "train", resume="allow"))
    with pytest.raises(RunNotFoundError, match="`lineal deletions` lists what was deleted"):
        restoring.restore_run(instance, owner, "ana", "vision", "other")


def test_a_deleted_project_keeps_nothing_from_another_from_coming_back(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    delete(instance, owner, log("0"))
    deletion.delete_run(instance, owner, run.key)
    runs.start(instance, owner, RunSpec("ana", "other", "train"))
    log("0", project="other")
    deletion.delete_project(instance, owner, "ana", "other")
    for act in deletion.deletions(instance, owner, FIRST).items[1:]:
        restoring.restore(instance, owner, act.id)
    assert live(instance, owner) == {"v0": ("latest",)}
    assert runs.run_by_key(instance, owner, run.key).key == run.key


# --- projects -------------------------------------------------------------------------------------


def test_what_was_deleted_in_a_project_waits_for_the_project(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    delete(instance, owner, log("0"))
    deletion.delete_run(instance, owner, run.key)
    deletion.delete_project(instance, owner, "ana", "vision")
    _, of_run, of_version = deletion.deletions(instance, owner, FIRST).items
    for one in (of_run, of_version):
        with pytest.raises(Conflict, match="`lineal project restore ana/vision`"):
            restoring.restore(instance, owner, one.id)
    with pytest.raises(Gone, match="lineal project restore"):
        restoring.restore_run(instance, owner, "ana", "vision", "train")
    restoring.restore_project(instance, owner, "ana", "vision")
    assert restoring.restore(instance, owner, of_version.id).versions == 1
    assert restoring.restore(instance, owner, of_run.id).runs == 1
