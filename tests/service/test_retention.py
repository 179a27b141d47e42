"""Retention policies and selections: which versions may go, and what that frees."""

# ruff: noqa: F811 - `instance` of these tests is on SQLite and on PostgreSQL, not the usual one

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lineal.core.access import Actor, Role
from lineal.core.full_names import ArtifactPath
from lineal.core.records import RunPatch, RunSpec, VersionPatch
from lineal.core.retention import KeepBest, Level, Policy, Selection
from lineal.db import aliases as aliases_db
from lineal.db import retention as retention_db
from lineal.errors import Denied, Gone, Invalid, NotFound
from lineal.service import (
    artifacts,
    catalog,
    deletion,
    gc,
    lineage,
    restoring,
    retention,
    runs,
    ttl,
)
from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.gc.conftest import instance  # noqa: F401 - a fixture
from tests.service.drafts import draft, findings, path, send
from tests.service.retaining import DAY, FIRST, Log, live, log  # noqa: F401 - fixtures


def victims(instance: Instance, limit: int = 1000) -> list[int]:
    with instance.database.reading() as connection:
        return retention_db.policy_victims(connection, instance.clock.now(), limit)


# --- selections ----------------------------------------------------------------------------------


def selected(instance: Instance, actor: Actor, **words: Any) -> list[int]:
    found = retention.preview(instance, actor, "ana", "vision", "data", Selection(**words))
    assert found.count == len(found.versions)
    return [version.number for version in found.versions]


def is_rated(instance: Instance, actor: Actor, best: KeepBest) -> bool:
    chosen = Selection(keep_best=best)
    return retention.preview(instance, actor, "ana", "vision", "data", chosen).is_rated


def test_each_condition_selects_what_it_says(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    log("0", tags=("good",))
    log("1", aliases=("best",))
    used = log("2")
    clock.move(days=10)
    log("3")
    run = runs.start(instance, owner, RunSpec("ana", "vision", "train")).run.key
    lineage.use(instance, owner, run, used.id, alias=None)
    assert selected(instance, owner, older_than_seconds=5 * DAY) == [0, 1, 2]
    assert selected(instance, owner, older_than_seconds=3_000_000 * DAY) == []
    assert selected(instance, owner, older_than_seconds=10**30) == []
    assert selected(instance, owner, untagged=True) == [1, 2, 3]
    assert selected(instance, owner, unaliased=True) == [0, 2, 3]
    assert selected(instance, owner, unused=True) == [0, 1, 3]
    assert selected(instance, owner, keep_last=3) == [0]
    assert selected(instance, owner, keep_last=0) == [0, 1, 2, 3]
    assert selected(instance, owner, keep_last=3, type="dataset") == [0]
    assert selected(instance, owner, keep_last=3, type="model") == []
    everything = {"untagged": True, "unaliased": True, "unused": True}
    assert selected(instance, owner, **everything) == [3]
    assert selected(instance, owner, **everything, keep_last=1) == []


def test_the_best_are_kept_by_metadata(instance: Instance, owner: Actor, log: Log) -> None:
    for number, score in enumerate([0.5, 0.9, None, "high", 0.7, float("nan"), 2]):
        log(str(number), metadata={} if score is None else {"eval": {"acc": score}})
    best = KeepBest(2, "metadata.eval.acc")
    assert selected(instance, owner, keep_best=best) == [0, 2, 3, 4, 5]
    worst = KeepBest(2, "metadata.eval.acc", "minimize")
    assert selected(instance, owner, keep_best=worst) == [1, 2, 3, 5, 6]
    assert selected(instance, owner, keep_best=best, keep_last=3) == [0, 2, 3]


def test_the_best_are_kept_by_the_summary_of_the_run_that_logged_them_first(
    instance: Instance, owner: Actor, log: Log
) -> None:
    keys = []
    for number, acc in enumerate([0.3, 0.8, 0.6]):
        run = runs.start(instance, owner, RunSpec("ana", "vision", f"r{number}")).run.key
        runs.update(instance, owner, run, RunPatch(summary={"acc": acc}))
        log(str(number), run=run)
        keys.append(run)
    version = catalog.version(instance, owner, path("v0"))
    lineage.relog(instance, owner, keys[1], version.id)
    log("by nobody")
    best = KeepBest(1, "summary.acc")
    assert selected(instance, owner, keep_best=best) == [0, 2, 3]
    assert is_rated(instance, owner, best)


def test_a_key_that_no_version_has_selects_no_more_than_the_count_allows(
    instance: Instance, owner: Actor, log: Log
) -> None:
    for number in range(3):
        log(str(number))
    assert selected(instance, owner, keep_best=KeepBest(2, "metadata.typo")) == [0]
    assert not is_rated(instance, owner, KeepBest(2, "metadata.typo"))
    with pytest.raises(Invalid, match="looked up"):
        selected(instance, owner, keep_best=KeepBest(2, 'metadata."'))


def test_more_than_a_database_can_count_are_all_versions(
    instance: Instance, owner: Actor, log: Log
) -> None:
    log("0")
    assert selected(instance, owner, keep_last=10**30) == []
    assert selected(instance, owner, keep_best=KeepBest(10**30, "metadata.acc")) == []
    keep = Selection(keep_last=10**30)
    retention.set_policy(instance, owner, "ana", "vision", "data", keep)
    assert victims(instance) == []


def test_linked_and_protected_versions_are_never_selected(
    instance: Instance, owner: Actor, log: Log
) -> None:
    versions = [log(str(number)) for number in range(3)]
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, versions[0].id, target, [])
    patch = VersionPatch(aliases_added=("prod",))
    catalog.update_version(instance, owner, versions[1].membership_id, patch)
    retention.protect_aliases(instance, owner, "ana", "vision", ["prod"])
    assert selected(instance, owner, keep_last=0) == [2]


def test_a_selection_that_says_nothing_is_refused(
    instance: Instance, owner: Actor, log: Log
) -> None:
    log("0")
    for call in (retention.preview, retention.delete_selected):
        with pytest.raises(Invalid, match="everything"):
            call(instance, owner, "ana", "vision", "data", Selection())
    catalog.link_version(
        instance,
        owner,
        catalog.version(instance, owner, path("v0")).id,
        ArtifactPath("ana", "vision", "links"),
        [],
    )
    with pytest.raises(Invalid, match="links only"):
        retention.preview(instance, owner, "ana", "vision", "links", Selection(keep_last=0))


def test_a_preview_tells_freed_bytes_from_shared_ones(
    instance: Instance, owner: Actor, log: Log, tmp_path: Path
) -> None:
    log({"both": "x" * 10, "mine": "y" * 100, "twice": "y" * 100, "draft": "d" * 5, "run": "r" * 7})
    log({"both": "x" * 10, "other": "z" * 1000})
    log({"far": "f" * 20, "mine": "y" * 100})
    deleted = log({"gone": "g" * 3})
    deletion.delete_version(instance, owner, deleted.membership_id, delete_aliases=True)
    last = log({"gone": "g" * 3, "far": "f" * 20}, collection="other")
    spec, segments = draft({"only": b"o", "draft": b"d" * 5}, collection="third")
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"only": b"o"}, tmp_path)

    def sums(**words: Any) -> tuple[int, int]:
        found = retention.preview(instance, owner, "ana", "vision", "data", Selection(**words))
        return found.bytes_freed, found.bytes_shared

    assert sums(keep_last=2) == (7, 115)
    assert sums(keep_last=1) == (1017, 105)
    assert sums(keep_last=0) == (1117, 25)
    assert last.number == 0


def test_a_selection_is_deleted_as_one_act_and_restored_as_one(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    for number in range(5):
        log(str(number), aliases=(f"a{number}",))
    other = log("other", collection="other")
    selection = Selection(keep_last=2)
    place = ("ana", "vision", None)
    clock.move(days=1)
    act = retention.delete_selected(instance, owner, *place, selection)
    assert act is not None
    assert (act.version_count, act.reason) == (3, "user")
    assert act.what == '{"in": "ana/vision", "keep_last": 2}'
    assert retention.delete_selected(instance, owner, *place, selection) is None
    assert live(instance, owner) == [3, 4]
    assert catalog.version_by_id(instance, owner, other.id).deleted_at is None
    assert restoring.restore(instance, owner, act.id).versions == 3
    assert live(instance, owner) == [0, 1, 2, 3, 4]
    assert findings(instance, owner) == []
    place = ("ana", "vision", "data")
    act = retention.delete_selected(instance, owner, *place, Selection(keep_last=1))
    assert act is not None
    assert act.what == '{"in": "ana/vision/data", "keep_last": 1}'


def test_a_bulk_deletion_killed_half_way_can_be_run_again(
    instance: Instance, owner: Actor, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        log(str(number))

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    place, selection = ("ana", "vision", "data"), Selection(keep_last=1)
    with monkeypatch.context() as patched:
        patched.setattr(aliases_db, "take_from_deleted", killed)
        with pytest.raises(Killed):
            retention.delete_selected(instance, owner, *place, selection)
    assert live(instance, owner) == [0, 1, 2]
    assert retention.delete_selected(instance, owner, *place, selection) is not None
    assert live(instance, owner) == [2]


# --- policies ------------------------------------------------------------------------------------


def test_a_collections_policy_takes_the_place_of_its_projects(
    instance: Instance, owner: Actor, log: Log
) -> None:
    data = [log(str(number)) for number in range(4)]
    other = [log(str(number), collection="other") for number in range(4)]
    assert victims(instance) == []
    set_policy = retention.set_policy
    set_policy(instance, owner, "ana", "vision", None, Selection(keep_last=3))
    assert sorted(victims(instance)) == [data[0].id, other[0].id]
    mine = Selection(keep_last=1, keep_best=KeepBest(1, "metadata.acc"))
    assert set_policy(instance, owner, "ana", "vision", "data", mine) == Policy(
        mine, Level.COLLECTION
    )
    assert sorted(victims(instance)) == sorted([*(each.id for each in data[:3]), other[0].id])
    assert len(victims(instance, limit=2)) == 2
    assert set_policy(instance, owner, "ana", "vision", "data", None).level is Level.PROJECT
    assert retention.policy(instance, owner, "ana", "vision", "data").selection == Selection(
        keep_last=3
    )
    set_policy(instance, owner, "ana", "vision", None, None)
    assert retention.policy(instance, owner, "ana", "vision") == Policy(None, Level.NONE)
    assert victims(instance) == []


def test_of_what_is_restored_policies_leave_alone_what_they_would_take_again(
    instance: Instance, owner: Actor, log: Log
) -> None:
    data = [log(str(number)) for number in range(4)]
    retention.set_policy(instance, owner, "ana", "vision", None, Selection(keep_last=2))
    gc.sweep(instance, owner)
    assert live(instance, owner) == [2, 3]
    assert restoring.restore_version(instance, owner, path("v1")).restored.let_go == 1
    assert victims(instance) == []
    deletion.delete_project(instance, owner, "ana", "vision")
    assert restoring.restore_project(instance, owner, "ana", "vision").let_go == 1  # v1, again
    retention.set_policy(instance, owner, "ana", "vision", "data", Selection(keep_last=1))
    assert victims(instance) == [data[2].id]
    retention.delete_selected(instance, owner, "ana", "vision", "data", Selection(keep_last=1))
    assert live(instance, owner) == [3]


def test_a_policy_that_could_never_work_is_refused(
    instance: Instance, owner: Actor, log: Log
) -> None:
    log("0")
    for selection in (
        Selection(),
        Selection(keep_last=-1),
        Selection(keep_last=True),
        Selection(keep_best=KeepBest(True, "metadata.acc")),
        Selection(keep_best=KeepBest(1, "acc")),
        Selection(keep_best=KeepBest(1, 'summary."')),
        Selection(keep_best=KeepBest(1, "summary")),
    ):
        with pytest.raises(Invalid):
            retention.set_policy(instance, owner, "ana", "vision", "data", selection)


# --- rights --------------------------------------------------------------------------------------


def test_to_strangers_nothing_exists_and_the_rest_need_the_right(
    instance: Instance, owner: Actor, stranger: Actor, log: Log
) -> None:
    version = log("0")
    collection = catalog.collection(instance, owner, "ana", "vision", "data").id
    keep = Selection(keep_last=1)
    place = ("ana", "vision", "data")
    reads: list[Callable[[Actor], object]] = [
        lambda actor: ttl.effective_ttl(instance, actor, version.id),
        lambda actor: ttl.entity_ttl(instance, actor, "ana"),
        lambda actor: ttl.expiring(instance, actor, "ana", None, timedelta(1), FIRST),
        lambda actor: retention.policy(instance, actor, *place),
        lambda actor: retention.preview(instance, actor, *place, keep),
    ]
    writes: list[Callable[[Actor], object]] = [
        lambda actor: ttl.set_version_ttl(instance, actor, version.membership_id, 1),
        lambda actor: ttl.set_collection_ttl(instance, actor, collection, 1),
        lambda actor: retention.set_policy(instance, actor, *place, keep),
        lambda actor: retention.delete_selected(instance, actor, *place, keep),
    ]
    settings: list[Callable[[Actor], object]] = [
        lambda actor: ttl.set_project_ttl(instance, actor, "ana", "vision", 1),
        lambda actor: ttl.set_entity_ttl(instance, actor, "ana", 1),
        lambda actor: retention.protect_aliases(instance, actor, "ana", "vision", ["prod"]),
        lambda actor: retention.set_policy(instance, actor, "ana", "vision", None, keep),
    ]
    for call in (*reads, *writes, *settings):
        with pytest.raises(NotFound, match="you are eve"):
            call(stranger)
    for call in (*writes, *settings):
        with pytest.raises(Denied):
            call(Actor("vic", Role.VIEWER))
    for call in settings:
        with pytest.raises(Denied, match="may not administer"):
            call(Actor("mel", Role.MEMBER))
    for call in (*reads, *writes):
        call(Actor("mel", Role.MEMBER))


def test_nothing_can_be_set_on_what_is_not_there(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    deletion.delete_version(instance, owner, version.membership_id, delete_aliases=True)
    with pytest.raises(Gone, match="lineal artifact restore"):
        ttl.set_version_ttl(instance, owner, version.membership_id, DAY)
    calls: list[Callable[[], object]] = [
        lambda: ttl.effective_ttl(instance, owner, 99),  # type: ignore[arg-type]  # any id
        lambda: ttl.set_version_ttl(instance, owner, 99, 1),  # type: ignore[arg-type]
        lambda: ttl.set_collection_ttl(instance, owner, 99, 1),  # type: ignore[arg-type]
        lambda: ttl.set_project_ttl(instance, owner, "ana", "none", 1),
        lambda: ttl.set_entity_ttl(instance, owner, "none", 1),
        lambda: retention.policy(instance, owner, "ana", "vision", "none"),
        lambda: ttl.expiring(instance, owner, "ana", "none", timedelta(1), FIRST),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    collection = catalog.collection(instance, owner, "ana", "vision", "data").id
    for seconds in (10**12, -1):
        for call in (
            partial(ttl.set_collection_ttl, instance, owner, collection),
            partial(ttl.set_project_ttl, instance, owner, "ana", "vision"),
            partial(ttl.set_entity_ttl, instance, owner, "ana"),
        ):
            with pytest.raises(Invalid, match="at most"):
                call(seconds)
