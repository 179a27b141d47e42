"""Plan and sweep: what goes, what stays and why, when it runs by itself (DEL-8, TTL-14)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from lineal import packs
from lineal.blobs.local import LocalStore
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.core.access import Actor, Role
from lineal.core.digest import Key, of_bytes, storage_key
from lineal.core.gc import Amount, CleanupPlan, Reason
from lineal.core.records import DraftId, MembershipId, PageRequest, RunSpec, VersionRecord
from lineal.core.retention import Selection
from lineal.db import deletion as deletion_db
from lineal.db import gc as gc_db
from lineal.db.schema import blobs
from lineal.errors import Denied, Gone, NotFound
from lineal.service import (
    artifacts,
    deletion,
    due,
    gc,
    restoring,
    retention,
    runs,
    strays,
    ttl,
)
from lineal.service.instance import Instance
from lineal.service.lock_files import locked_if_free
from lineal.service.verify import verify
from tests.conftest import MovableClock
from tests.service import edges
from tests.service.drafts import draft, log, send


def delete(instance: Instance, owner: Actor, *versions: VersionRecord) -> None:
    for version in versions:
        deletion.delete_version(instance, owner, version.membership_id, delete_aliases=True)


def disk(instance: Instance) -> int:
    return sum(file.size for file in instance.store.walk())


def test_what_expires_is_hidden_by_one_deletion_in_however_many_batches(
    instance: Instance,
    owner: Actor,
    clock: MovableClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for text in (b"1", b"2", b"3"):
        version = log(instance, owner, tmp_path, {"a": text})
        ttl.set_version_ttl(instance, owner, MembershipId(version.membership_id), 3600)
    clock.move(hours=2)
    monkeypatch.setattr(gc, "BATCH", 2)
    told: list[tuple[str, int]] = []
    swept = gc.sweep(instance, owner, lambda step, count: told.append((step, count)))
    assert (swept.expired, told[:2]) == (3, [("expire", 2), ("expire", 1)])
    (act,) = deletion.deletions(instance, owner, PageRequest()).items
    assert (act.reason, act.version_count) == (deletion_db.EXPIRED, 3)


def test_what_expires_after_the_deletion_was_undone_can_be_restored_by_another(
    instance: Instance,
    owner: Actor,
    clock: MovableClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for text in (b"1", b"2"):
        version = log(instance, owner, tmp_path, {"a": text})
        ttl.set_version_ttl(instance, owner, MembershipId(version.membership_id), 3600)
    clock.move(hours=2)
    monkeypatch.setattr(gc, "BATCH", 1)
    restored: list[int] = []

    def undo(step: str, _count: int) -> None:
        if not restored:
            (act,) = deletion.deletions(instance, owner, PageRequest()).items
            restored.append(restoring.restore(instance, owner, act.id).versions)

    assert gc.sweep(instance, owner, undo).expired == 2
    assert restored == [1]
    newer, older = deletion.deletions(instance, owner, PageRequest()).items
    assert (older.version_count, newer.version_count) == (0, 1)
    assert restoring.restore(instance, owner, newer.id).versions == 1


def test_kept_and_freed_bytes_are_all_bytes_there_are(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    versions = [log(instance, owner, tmp_path, {"a": b"x" * n}) for n in (1, 2, 4)]
    delete(instance, owner, versions[0])
    clock.move(days=8)
    delete(instance, owner, versions[1])
    spec, segments = draft({"d": b"x" * 8}, collection="other")
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"d": b"x" * 8}, tmp_path)
    plan = gc.plan(instance, owner)
    kept = {one.reason: one.blobs.size_bytes for one in plan.kept}
    assert kept == {Reason.LIVE: 4, Reason.UNDO: 2}
    assert (plan.condemn, plan.fresh_strays) == (Amount(1, 1), Amount(1, 8))
    assert plan.freed_bytes + plan.kept_bytes == disk(instance)
    [undo] = [one for one in plan.kept if one.reason is Reason.UNDO]
    assert undo.until is not None
    assert timedelta(days=6.9) < undo.until - clock.now() < timedelta(days=7)


def test_what_a_sweep_that_was_killed_left_of_references_is_something_to_free(
    instance: Instance, owner: Actor, backend: EmbeddedBackend, clock: MovableClock
) -> None:
    version = edges.log(backend, None, "data")
    delete(instance, owner, version)
    clock.move(days=8)
    now = clock.now()
    with instance.database.writing() as connection:
        gc_db.release_versions(connection, [version.id], now, now)
        gc_db.release_drafts(connection, gc_db.dead_drafts(now, connection, after=0, limit=9), now)
        gc_db.prune_manifests(connection, gc_db.unneeded_manifests(connection, after=0, limit=9))
    plan = gc.plan(instance, owner)
    assert (plan.manifests, plan.segments, plan.is_empty) == (0, 1, False)
    gc.sweep(instance, owner)
    assert gc.plan(instance, owner).is_empty


def test_with_an_undo_period_of_zero_what_expires_is_freed_by_the_same_sweep(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    at_once = replace(instance, undo_period=timedelta(0))
    version = log(at_once, owner, tmp_path, {"a": b"123"})
    ttl.set_version_ttl(at_once, owner, MembershipId(version.membership_id), 3600)
    clock.move(hours=2)
    plan = gc.plan(at_once, owner)
    assert (plan.freed_bytes, plan.is_final, gc.plan(instance, owner).is_final) == (3, True, False)
    assert gc.sweep(at_once, owner).freed_bytes == 3
    assert disk(at_once) == 0


def test_a_sweep_frees_what_was_used_to_be_shared_once_the_last_needs_it_no_more(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    one = log(instance, owner, tmp_path, {"s": b"1234"}, collection="one")
    two = log(instance, owner, tmp_path, {"s": b"1234"}, collection="two")
    delete(instance, owner, one)
    clock.move(days=8)
    assert gc.sweep(instance, owner).freed_bytes == 0
    delete(instance, owner, two)
    clock.move(days=8)
    assert gc.sweep(instance, owner).freed_bytes == 4


def test_bytes_that_were_lost_are_not_counted_as_freed(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"lost": b"1234", "kept": b"567"})
    instance.store.delete(
        [file.key for file in instance.store.walk() if file.key and file.size == 4]
    )
    assert len(list(verify(instance, owner, repair=True))) == 1
    preview = retention.preview(instance, owner, "ana", "vision", "data", Selection(keep_last=0))
    assert preview.bytes_freed == 3
    delete(instance, owner, version)
    clock.move(days=8)
    planned = gc.plan(instance, owner)
    assert [each.freed_bytes for each in planned.release.versions] == [planned.freed_bytes] == [3]
    assert gc.sweep(instance, owner).freed_bytes == 3


class StuckStore(LocalStore):
    """A store that cannot delete some keys for a while."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.stuck: set[Key] = set()

    def delete(self, keys: Iterable[Key]) -> list[tuple[Key, OSError]]:
        keys = list(keys)
        error = OSError("no access today")
        failed = super().delete(key for key in keys if key not in self.stuck)
        return failed + [(key, error) for key in keys if key in self.stuck]


def test_a_file_that_cannot_be_deleted_is_named_and_tried_again(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    store = StuckStore(instance.home.blobs)
    stuck = replace(instance, store=store)
    version = log(stuck, owner, tmp_path, {"a": b"1", "b": b"22"})
    [key] = [file.key for file in store.walk() if file.size == 2]
    assert key is not None
    store.stuck = {key}
    delete(stuck, owner, version)
    clock.move(days=8)
    swept = gc.sweep(stuck, owner)
    assert (swept.deleted, swept.failed) == (Amount(1, 1), 1)
    assert (swept.failures[0].key, "no access" in swept.failures[0].why) == (key, True)
    assert gc.plan(stuck, owner).delete == Amount(1, 2)
    store.stuck = set()
    assert gc.sweep(stuck, owner).deleted == Amount(1, 2)
    assert disk(instance) == 0


class MetStore(LocalStore):
    """A store that something else is done to whenever a sweep is about to delete."""

    meanwhile: Callable[[], object]

    def delete(self, keys: Iterable[Key]) -> list[tuple[Key, OSError]]:
        keys = list(keys)
        self.meanwhile()
        return super().delete(keys)


def test_of_two_sweeps_that_delete_the_same_one_counts_it(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1", "b": b"22"})
    delete(instance, owner, version)
    clock.move(days=8)
    store, others = MetStore(instance.home.blobs), []
    store.meanwhile = lambda: others.append(gc.sweep(instance, owner).deleted)
    swept = gc.sweep(replace(instance, store=store), owner)
    assert (swept.deleted, others[0]) == (Amount(), Amount(2, 3))
    assert disk(instance) == 0


def test_a_stray_that_cannot_be_deleted_is_named_and_not_counted(
    instance: Instance, owner: Actor, clock: MovableClock
) -> None:
    store = StuckStore(instance.home.blobs)
    kept, gone = (storage_key(of_bytes(data), "unknown") for data in (b"1", b"22"))
    store.put_bytes(kept, b"1")
    store.put_bytes(gone, b"22")
    store.stuck = {kept}
    clock.move(days=10_000)
    swept = gc.sweep(replace(instance, store=store), owner)
    assert (swept.strays, [failure.key for failure in swept.failures]) == (Amount(1, 2), [kept])


def test_a_sweep_out_of_time_says_so_and_the_next_goes_on(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    delete(instance, owner, log(instance, owner, tmp_path, {"a": b"1"}))
    clock.move(days=8)
    swept = gc.sweep(instance, owner, time_limit_seconds=0)
    assert (swept.is_complete, swept.freed_bytes) == (False, 0)
    assert gc.sweep(instance, owner).freed_bytes == 1


def test_progress_tells_what_each_step_did(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    delete(instance, owner, log(instance, owner, tmp_path, {"a": b"1", "b": b"2"}))
    clock.move(days=8)
    told: dict[str, int] = {}
    gc.sweep(instance, owner, lambda step, count: told.update({step: told.get(step, 0) + count}))
    assert told == {"release": 1, "prune": 2, "condemn": 2, "delete": 2}


# --- strays -------------------------------------------------------------------------------------


def test_a_copy_that_lost_the_race_goes_with_the_next_sweep(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    spec, segments = draft({"a": b"123"}, collection="other")
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"a": b"123"}, tmp_path)
    log(instance, owner, tmp_path, {"a": b"123"})  # the first to be confirmed
    assert disk(instance) == 6
    artifacts.commit(instance, owner, begun.draft)
    assert gc.sweep(instance, owner).strays == Amount(1, 3)
    assert disk(instance) == 3
    assert list(verify(instance, owner)) == []


def test_what_a_pack_brought_in_vain_goes_once_its_draft_is_committed(
    instance: Instance, owner: Actor, stranger: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    files = {"a": b"1", "b": b"22", "c": b"333"}
    spec, segments = draft(files, collection="other")
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, files, tmp_path, in_pack=True)
    log(instance, owner, tmp_path, {"c": b"333"}, collection="third")  # the first to be confirmed
    strays.remove_surplus(instance, owner, begun.draft)
    assert disk(instance) == 1 + 3 + 6  # any of it may still be needed
    with pytest.raises(NotFound):
        strays.remove_surplus(instance, stranger, begun.draft)
    version = artifacts.commit(instance, owner, begun.draft).version
    assert version is not None
    for _ in range(2):
        strays.remove_surplus(instance, owner, begun.draft)
        assert disk(instance) == 1 + 3 + 2
    assert list(verify(instance, owner)) == []
    assert gc.plan(instance, owner).is_empty


def test_a_pack_cut_short_goes_unless_a_row_tells_of_what_is_in_it(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"}, in_pack=True)
    (needed,) = Path(instance.home.blobs).rglob("*.pack")
    half = Path(instance.home.blobs, "packs", "unknown", "0.pack")
    half.parent.mkdir()
    needed.chmod(0o600)
    for pack in (needed, half):
        pack.write_bytes(b"cut short")
        os.utime(pack, (clock.now().timestamp(),) * 2)
    clock.move(hours=73)
    assert gc.plan(instance, owner).foreign == (str(needed.relative_to(instance.home.blobs)),)
    assert gc.sweep(instance, owner).strays == Amount(1, 9)
    assert (needed.exists(), half.exists()) == (True, False)


def test_a_pack_that_a_killed_sweep_emptied_is_removed_by_a_later_one(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    files = {"a": b"1", "b": b"22"}
    delete(instance, owner, log(instance, owner, tmp_path, files, in_pack=True))
    (pack,) = Path(instance.home.blobs).rglob("*.pack")
    clock.move(days=8)
    packs.delete(str(pack), packs.Pack(str(pack)).places())  # and then it was killed
    gc.sweep(instance, owner)
    os.utime(pack, (clock.now().timestamp(),) * 2)
    gc.sweep(instance, owner)
    assert gc.plan(instance, owner).fresh_strays.count == 1
    clock.move(days=4)
    assert gc.sweep(instance, owner).strays.count == 1
    assert not pack.exists()
    assert list(verify(instance, owner)) == []


def test_a_file_that_nobody_recorded_goes_when_no_draft_can_be_that_old(
    instance: Instance, owner: Actor, clock: MovableClock
) -> None:
    key = storage_key(of_bytes(b"12"), "unknown")
    instance.store.put_bytes(key, b"12")
    part = Path(instance.home.blobs, "parts", "half")
    part.write_bytes(b"1234")
    (place,) = instance.store.places([key])
    assert place is not None
    for path in (part, Path(place.path)):
        os.utime(path, (clock.now().timestamp(),) * 2)
    clock.move(hours=71)
    assert gc.plan(instance, owner).fresh_strays == Amount(2, 6)
    assert gc.sweep(instance, owner).strays == Amount()
    clock.move(hours=2)
    assert gc.sweep(instance, owner).strays == Amount(2, 6)
    assert disk(instance) == 0


def test_files_of_others_in_the_store_are_named_and_left_alone(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    foreign = Path(instance.home.blobs, "README")
    foreign.write_text("mine")
    clock.move(days=10_000)
    assert gc.plan(instance, owner).foreign == ("README",)
    gc.sweep(instance, owner)
    assert foreign.read_text() == "mine"


def test_a_contribution_that_expired_stops_the_version_instead_of_missing_in_it(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    def contribute(files: dict[str, bytes], *, is_final: bool) -> DraftId:
        spec, segments = draft(files, distributed_id="d", is_final=is_final)
        begun = artifacts.begin(instance, owner, spec, segments)
        send(instance, owner, begun.draft, files, tmp_path)
        return begun.draft

    artifacts.commit(instance, owner, contribute({"a": b"1"}, is_final=False))
    clock.move(days=4)
    assert gc.sweep(instance, owner).drafts == 1
    last = contribute({"b": b"2"}, is_final=True)
    with pytest.raises(Gone, match=r"contributed to 'd' expired.*another distributed id"):
        artifacts.commit(instance, owner, last)


def test_nothing_is_left_of_unneeded_rows(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    delete(instance, owner, log(instance, owner, tmp_path, {"a": b"1"}))
    artifacts.begin(instance, owner, *draft({"b": b"2"}))
    clock.move(days=8)
    gc.sweep(instance, owner)
    with instance.database.reading() as connection:
        assert connection.execute(select(blobs)).all() == []


def test_a_sweep_in_small_batches_takes_all_that_one_would(
    instance: Instance,
    owner: Actor,
    clock: MovableClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("BATCH", "BATCH_RUNS", "BATCH_ENTRIES"):
        monkeypatch.setattr(gc, name, 2)
    for number in range(5):
        text = b"%d" % number
        delete(instance, owner, log(instance, owner, tmp_path, {"a": text, "b": text + b"b"}))
        run = runs.start(instance, owner, RunSpec("ana", "vision", f"run{number}")).run
        deletion.delete_run(instance, owner, run.key)
        artifacts.begin(instance, owner, *draft({"c": text + b"c"}))
    clock.move(days=8)
    swept = gc.sweep(instance, owner)
    assert (swept.released, swept.runs, swept.drafts, swept.freed_bytes) == (5, 5, 5, 15)
    assert (swept.manifests, swept.segments, disk(instance)) == (10, 10, 0)
    with instance.database.reading() as connection:
        assert connection.execute(select(blobs)).all() == []
    assert gc.plan(instance, owner).is_empty


# --- rights, and by itself ----------------------------------------------------------------------


def test_only_who_administers_may_plan_or_sweep(instance: Instance, stranger: Actor) -> None:
    for act in (gc.plan, gc.sweep):
        with pytest.raises(NotFound):
            act(instance, stranger)
        with pytest.raises(Denied):
            act(instance, Actor("mel", Role.MEMBER))


def test_by_itself_it_runs_at_most_once_a_day(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    assert gc.sweep_briefly(instance, owner) is None, "a new home has nothing to free"
    delete(instance, owner, log(instance, owner, tmp_path, {"a": b"1"}))
    clock.move(days=8)
    swept = gc.sweep_briefly(instance, owner)
    assert swept is not None
    assert swept.freed_bytes == 1
    assert gc.sweep_briefly(instance, owner) is None
    clock.move(hours=25)
    assert gc.sweep_briefly(instance, owner) is not None


def test_by_itself_it_does_not_wait_for_another_process(
    instance: Instance, owner: Actor, clock: MovableClock
) -> None:
    gc.sweep_briefly(instance, owner)
    clock.move(days=2)
    with locked_if_free(os.path.join(instance.home.root, "gc.lock")) as is_mine:
        assert is_mine
        assert gc.sweep_briefly(instance, owner) is None
    assert gc.sweep_briefly(instance, owner) is not None


@pytest.mark.parametrize("content", ["", "rubbish", "2026-01-01T00:00:00"])
def test_a_damaged_marker_is_written_anew(
    instance: Instance, owner: Actor, clock: MovableClock, content: str
) -> None:
    marker = Path(instance.home.root, "gc.last")
    marker.write_text(content)
    assert not due.is_due(instance)
    marker.write_text(content)
    assert gc.sweep_briefly(instance, owner) is None
    clock.move(days=2)
    assert gc.sweep_briefly(instance, owner) is not None


def test_an_empty_plan_says_so(instance: Instance, owner: Actor) -> None:
    plan: CleanupPlan = gc.plan(instance, owner)
    assert (plan.is_empty, plan.freed_bytes, plan.kept) == (True, 0, ())


def test_a_sweep_without_a_time_limit_makes_a_mostly_empty_database_smaller(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"kept"})
    if not instance.database.is_sqlite:
        assert gc.sweep(instance, owner).compacted_bytes == 0
        return
    with instance.database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE filling AS SELECT randomblob(17 << 20)")
    with instance.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE filling")
    assert gc.sweep(instance, owner, time_limit_seconds=60).compacted_bytes == 0
    swept = gc.sweep(instance, owner)
    assert swept.compacted_bytes == swept.freed_bytes > 16 << 20
    assert list(verify(instance, owner)) == []
