"""Deleting runs: what goes with them, and what keeps them."""

# ruff: noqa: F811 - `instance` of these tests is on SQLite and on PostgreSQL, not the usual one

from __future__ import annotations

import pytest

from lineal.core.access import Actor
from lineal.core.full_names import ArtifactPath
from lineal.core.records import RunPatch, RunQuery, RunRecord, RunSpec
from lineal.errors import Conflict, Gone
from lineal.service import catalog, deletion, restoring, retention, runs
from lineal.service.instance import Instance
from tests.gc.conftest import instance  # noqa: F401 - a fixture
from tests.service.deleting import FIRST, Log, live, log, run  # noqa: F401 - fixtures


def test_a_deleted_run_is_hidden_and_its_id_stays_taken(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    deletion.delete_run(instance, owner, run.key)
    deletion.delete_run(instance, Actor("bob", owner.role), run.key)
    assert runs.runs(instance, owner, RunQuery("ana", "vision"), FIRST).items == ()
    gone = r"ana/vision/train was deleted on 2026-01-01 00:00 UTC by ana.*restore.*another id"
    specs = [RunSpec("ana", "vision", "train", resume=resume) for resume in runs.RESUME]
    for call in (
        lambda: runs.run(instance, owner, "ana", "vision", "train"),
        lambda: runs.run_by_key(instance, owner, run.key),
        lambda: runs.heartbeat(instance, owner, run.key, 1.0),
        lambda: runs.update(instance, owner, run.key, RunPatch()),
        *(lambda spec=spec: runs.start(instance, owner, spec) for spec in specs),
    ):
        with pytest.raises(Gone, match=gone):
            call()


def test_a_run_elsewhere_that_is_deleted_is_not_offered(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    deletion.delete_run(instance, owner, run.key)
    spec = RunSpec("ana", "other", "train", resume="allow")
    assert runs.start(instance, owner, spec).elsewhere is None


def test_deleting_a_run_keeps_its_artifacts(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    log("0", run=run.key)
    deletion.delete_run(instance, owner, run.key)
    assert live(instance, owner) == {"v0": ("latest",)}


def test_artifacts_deleted_with_a_run_are_those_it_logged_first(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    other = runs.start(instance, owner, RunSpec("ana", "vision", "other")).run
    for text, loggers in (("0", (run, other)), ("1", (other, run))):
        for logger in loggers:
            log(text, run=logger.key)
    for _ in range(2):
        deletion.delete_run(instance, owner, run.key, delete_artifacts=True)
        assert list(live(instance, owner)) == ["v1"]
    (act,) = deletion.deletions(instance, owner, FIRST).items
    assert (act.run_count, act.version_count) == (1, 1)


def test_a_linked_artifact_keeps_the_run_unless_forced(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    version = log("0", run=run.key)
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, version.id, target, [])
    said = r"what run ana/vision/train logged: .*linked as ana/registry/detector:v0.*use force"
    with pytest.raises(Conflict, match=said):
        deletion.delete_run(instance, owner, run.key, delete_artifacts=True)
    assert runs.run_by_key(instance, owner, run.key).key == run.key
    assert list(live(instance, owner)) == ["v0"]
    deletion.delete_run(instance, owner, run.key, delete_artifacts=True, force=True)
    assert live(instance, owner) == {}


def test_protected_artifacts_of_a_run_go_only_by_force(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    log("0", run=run.key, aliases=("prod",))
    retention.protect_aliases(instance, owner, "ana", "vision", ["prod"])
    with pytest.raises(Conflict, match="protected alias ana/vision/data:prod"):
        deletion.delete_run(instance, owner, run.key, delete_artifacts=True)
    deletion.delete_run(instance, owner, run.key, delete_artifacts=True, force=True)
    assert live(instance, owner) == {}
    restoring.restore_run(instance, owner, "ana", "vision", "train")
    assert live(instance, owner) == {"v0": ("latest", "prod")}
