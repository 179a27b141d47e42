"""Deleting projects: what goes with them, and what keeps them."""

# ruff: noqa: F811 - `instance` of these tests is on SQLite and on PostgreSQL, not the usual one

from __future__ import annotations

import pytest

from lineal.core.access import Actor
from lineal.core.full_names import ArtifactPath
from lineal.core.records import CollectionQuery, EdgeKind, RunQuery, RunRecord, RunSpec
from lineal.core.retention import Restored
from lineal.errors import Conflict, Gone, NotFound
from lineal.service import catalog, deletion, lineage, projects, restoring, runs
from lineal.service.instance import Instance
from tests.gc.conftest import instance  # noqa: F401 - a fixture
from tests.service.deleting import FIRST, Log, delete, live, log, run  # noqa: F401 - fixtures
from tests.service.drafts import findings, path


def test_a_deleted_project_is_hidden_with_all_in_it_and_comes_back_as_it_was(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    delete(instance, owner, log("0"))
    log("1", run=run.key, aliases=("best",))
    deletion.delete_project(instance, owner, "ana", "vision")
    acts = deletion.deletions(instance, owner, FIRST).items
    deletion.delete_project(instance, owner, "ana", "vision")
    assert deletion.deletions(instance, owner, FIRST).items == acts
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
    restored = restoring.restore_project(instance, owner, "ana", "vision")
    assert restored == Restored(versions=1, runs=1, projects=1, aliases=2)
    assert live(instance, owner) == {"v1": ("best", "latest")}
    assert restoring.restore_project(instance, owner, "ana", "vision") == Restored()
    assert findings(instance, owner) == []


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
    (act,) = deletion.deletions(instance, owner, FIRST).items
    assert act.restorable_until == act.deleted_at + instance.undo_period
    with pytest.raises(NotFound):
        catalog.version(instance, owner, ArtifactPath("ana", "registry", "detector"))
    restoring.restore_project(instance, owner, "ana", "vision")
    for project in ("vision", "registry"):
        target = ArtifactPath("ana", project, "detector")
        assert catalog.version(instance, owner, target).number == 0
    assert findings(instance, owner) == []


@pytest.mark.parametrize("kind", [EdgeKind.USED, EdgeKind.LOGGED])
def test_a_run_of_another_project_keeps_a_project_unless_forced(
    instance: Instance, owner: Actor, log: Log, kind: EdgeKind
) -> None:
    version = log("0")
    other = runs.start(instance, owner, RunSpec("ana", "training", "train")).run
    if kind is EdgeKind.USED:
        lineage.use(instance, owner, other.key, version.id, alias=None)
    else:
        lineage.relog(instance, owner, other.key, version.id)
    with pytest.raises(Conflict, match=r"used or logged .*, ana/training/train; use force"):
        deletion.delete_project(instance, owner, "ana", "vision")
    assert projects.project(instance, owner, "ana", "vision").name == "vision"
    deletion.delete_project(instance, owner, "ana", "vision", force=True)
    restoring.restore_project(instance, owner, "ana", "vision")
    deletion.delete_run(instance, owner, other.key)
    deletion.delete_project(instance, owner, "ana", "vision")
    assert findings(instance, owner) == []


def test_a_project_that_only_its_own_runs_use_can_be_deleted(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    lineage.use(instance, owner, run.key, log("0").id, alias=None)
    other = runs.start(instance, owner, RunSpec("ana", "training", "train")).run
    lineage.use(instance, owner, other.key, log("0", project="training").id, alias=None)
    deletion.delete_project(instance, owner, "ana", "vision")
    (left,) = projects.projects(instance, owner, "ana", FIRST).items
    assert left.name == "training"


def test_a_link_in_a_deleted_project_keeps_nothing(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, version.id, target, [])
    deletion.delete_project(instance, owner, "ana", "registry")
    delete(instance, owner, version)
    assert live(instance, owner) == {}
