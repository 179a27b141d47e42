"""The life of a version on every kind of database."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineal.core.access import Actor
from lineal.core.gc import Reason
from lineal.core.records import PageRequest, RunSpec, VersionPatch
from lineal.errors import Conflict, Gone
from lineal.service import (
    artifacts,
    catalog,
    deletion,
    gc,
    purge,
    restoring,
    run_files,
    runs,
    storage,
)
from lineal.service.instance import Instance
from lineal.service.verify import verify
from tests.conftest import MovableClock
from tests.service.drafts import draft, log, path, send


def bytes_on_disk(instance: Instance) -> int:
    return sum(file.size for file in instance.store.walk())


def test_content_of_a_deleted_version_is_freed_when_the_undo_period_ends(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    old = log(instance, owner, tmp_path, {"shared": b"12", "own": b"123"})
    log(instance, owner, tmp_path, {"shared": b"12", "new": b"1234"})
    deletion.delete_version(instance, owner, old.membership_id, delete_aliases=True)
    assert gc.sweep(instance, owner).freed_bytes == 0
    assert {kept.reason for kept in gc.plan(instance, owner).kept} == {Reason.LIVE, Reason.UNDO}
    clock.move(days=7)
    plan = gc.plan(instance, owner)
    [doomed] = plan.release.versions
    assert (doomed.name, doomed.freed_bytes, doomed.shared_bytes) == ("ana/vision/data:v0", 3, 2)
    assert doomed.shared_with == ("ana/vision/data:v1",)
    swept = gc.sweep(instance, owner)
    assert (plan.freed_bytes, swept.freed_bytes) == (3, 3)
    assert bytes_on_disk(instance) == 6
    assert list(verify(instance, owner)) == []
    with pytest.raises(Gone):
        restoring.restore_version(instance, owner, path("v0"))


def test_a_version_restored_in_time_has_all_its_content(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"}, aliases=("best",))
    deletion.delete_version(instance, owner, version.membership_id, delete_aliases=True)
    clock.move(days=6)
    gc.sweep(instance, owner)
    restoring.restore_version(instance, owner, path("v0"))
    clock.move(days=8)
    gc.sweep(instance, owner)
    assert catalog.version(instance, owner, path("best")).id == version.id
    assert bytes_on_disk(instance) == 1
    assert list(verify(instance, owner)) == []


def test_content_logged_again_after_its_bytes_were_freed_is_stored_anew(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"})
    deletion.delete_version(instance, owner, first.membership_id, delete_aliases=True)
    clock.move(days=8)
    gc.sweep(instance, owner)
    assert bytes_on_disk(instance) == 0
    again = log(instance, owner, tmp_path, {"a": b"1"})
    assert (again.number, bytes_on_disk(instance)) == (1, 1)
    assert list(verify(instance, owner)) == []


def test_an_expired_draft_is_refused_and_its_bytes_are_freed(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    spec, segments = draft({"a": b"1"})
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"a": b"1"}, tmp_path)
    clock.move(hours=71)
    gc.sweep(instance, owner)
    assert bytes_on_disk(instance) == 1
    clock.move(hours=2)
    assert gc.sweep(instance, owner).drafts == 1
    assert bytes_on_disk(instance) == 0
    with pytest.raises(Gone, match="expired"):
        artifacts.commit(instance, owner, begun.draft)


def test_a_draft_begun_again_after_it_expired_can_be_completed(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    spec, segments = draft({"a": b"1"})
    artifacts.begin(instance, owner, spec, segments)
    clock.move(days=4)
    gc.sweep(instance, owner)
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"a": b"1"}, tmp_path)
    assert artifacts.commit(instance, owner, begun.draft).is_new
    assert list(verify(instance, owner)) == []


def test_files_of_a_run_live_as_long_as_it_can_be_restored(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    run = runs.start(instance, owner, RunSpec("ana", "vision", "r1")).run
    (tmp_path / "out.txt").write_bytes(b"12345")
    run_files.put(instance, owner, run.key, [("out.txt", str(tmp_path / "out.txt"))])
    deletion.delete_run(instance, owner, run.key)
    clock.move(days=6)
    gc.sweep(instance, owner)
    restoring.restore_run(instance, owner, "ana", "vision", "r1")
    assert len(run_files.files(instance, owner, run.key, PageRequest()).items) == 1
    deletion.delete_run(instance, owner, run.key)
    clock.move(days=8)
    swept = gc.sweep(instance, owner)
    assert (swept.runs, swept.freed_bytes, bytes_on_disk(instance)) == (1, 5, 0)


def test_a_purge_leaves_the_tombstone_and_what_others_share(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"shared": b"12", "person": b"123"})
    log(instance, owner, tmp_path, {"shared": b"12"})
    proof = purge.purge(instance, owner, path("v0"))
    assert (len(proof.removed), proof.removed_bytes, proof.kept_total.size_bytes) == (1, 3, 2)
    assert proof.kept[0].needed_by == ("ana/vision/data:v1",)
    assert bytes_on_disk(instance) == 2
    assert list(verify(instance, owner)) == []
    with pytest.raises(Gone, match="deleted by ana"):
        catalog.version(instance, owner, path("v0"))


def test_storage_adds_up(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    one = log(instance, owner, tmp_path, {"s": b"12", "a": b"1"})
    log(instance, owner, tmp_path, {"s": b"12", "b": b"1234"}, collection="other")
    catalog.update_version(instance, owner, one.membership_id, VersionPatch(tags_added=("t",)))
    report = storage.storage(instance, owner, entity="ana", project="vision")
    rows = {row.name: (row.own_bytes, row.shared_bytes) for row in report.rows}
    assert rows == {"ana/vision/data": (1, 2), "ana/vision/other": (4, 2)}
    assert (report.own_bytes, report.shared_bytes, report.total.size_bytes) == (5, 2, 7)


def test_a_linked_version_is_purged_only_by_force(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    target = path("latest", "registry")
    catalog.link_version(instance, owner, version.id, target, ())
    with pytest.raises(Conflict, match="linked"):
        purge.purge(instance, owner, path("latest"), all_versions=True)
    assert purge.purge(instance, owner, path("latest"), all_versions=True, force=True).is_complete
    assert bytes_on_disk(instance) == 0
