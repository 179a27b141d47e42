"""Runs: changed, read, and who may (RUN-1…RUN-17)."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from lineal.core.access import Actor, Role
from lineal.core.records import PageRequest, RunPatch, RunQuery, RunRecord, RunSpec, RunState
from lineal.db import runs as runs_db
from lineal.errors import Denied, Invalid, NotFound, RunNotFoundError
from lineal.service import deletion, projects, restoring, runs
from lineal.service.instance import Instance
from tests.service.run.conftest import FIRST, ids, read

# --- who may ------------------------------------------------------------------------------------


def calls(instance: Instance, actor: Actor, run: RunRecord) -> dict[str, Any]:
    """Every use case, those that only read first."""
    key = run.key
    return {
        "run": lambda: runs.run(instance, actor, "ana", "p", "r1"),
        "run_by_key": lambda: runs.run_by_key(instance, actor, key),
        "runs": lambda: runs.runs(instance, actor, RunQuery("ana", "p"), FIRST),
        "project": lambda: projects.project(instance, actor, "ana", "p"),
        "projects": lambda: projects.projects(instance, actor, "ana", FIRST),
        "start": lambda: runs.start(instance, actor, RunSpec("ana", "p", "r1", resume="allow")),
        "update": lambda: runs.update(instance, actor, key, RunPatch(notes="x")),
        "heartbeat": lambda: runs.heartbeat(instance, actor, key, 1.0),
        "mark_crashed": lambda: runs.mark_crashed(instance, actor, key, 1.0),
        "finish": lambda: runs.finish(instance, actor, key, 0, 1.0),
        "restore": lambda: restoring.restore_run(instance, actor, "ana", "p", "r1"),
        "create": lambda: projects.project(instance, actor, "ana", "p", create=True),
        "delete": lambda: deletion.delete_run(instance, actor, key),
    }


def test_to_strangers_nothing_exists(instance: Instance, stranger: Actor, run: RunRecord) -> None:
    for call in calls(instance, stranger, run).values():
        with pytest.raises(NotFound, match="you are eve"):
            call()
    with pytest.raises(NotFound) as there:
        runs.run(instance, stranger, "ana", "p", "r1")
    with pytest.raises(NotFound) as absent:
        runs.run(instance, stranger, "ana", "p", "r2")
    assert there.value.message.replace("r1", "r2") == absent.value.message


def test_who_may_only_read_can_change_nothing(instance: Instance, run: RunRecord) -> None:
    reads = {"run", "run_by_key", "runs", "project", "projects"}
    for name, call in calls(instance, Actor("vic", Role.VIEWER), run).items():
        if name in reads:
            call()
        else:
            with pytest.raises(Denied):
                call()


# --- change -------------------------------------------------------------------------------------


def test_patches_merge_by_top_level_key(instance: Instance, owner: Actor, run: RunRecord) -> None:
    runs.update(instance, owner, run.key, RunPatch(summary={"a": 1, "b": {"x": 1}}))
    patch = RunPatch(summary={"b": {"y": 2}, "c": math.inf}, config={"k": 1}, metadata={"m": 1})
    changed = runs.update(instance, owner, run.key, patch)
    assert changed.summary == {"a": 1, "b": {"y": 2}, "c": math.inf}
    assert (changed.config, changed.metadata) == ({"k": 1}, {"m": 1})
    patch = RunPatch(summary_removed=("a", "absent"), config_removed=("k",), config={"k2": 1})
    changed = runs.update(instance, owner, run.key, patch)
    assert (changed.summary.keys(), changed.config) == ({"b", "c"}, {"k2": 1})


def test_what_writers_define_adds_up(instance: Instance, owner: Actor, run: RunRecord) -> None:
    loss, acc = {"name": "loss", "summary": ["min"]}, {"name": "acc", "summary": ["max"]}
    notes: list[dict[str, Any]] = [
        {"metrics": {"loss": {"name": "loss"}}, "parameters": {"Net": 1}},
        {"metrics": {"acc": acc}, "code_path": "code/train.py"},
        {"metrics": {"loss": loss}},
    ]
    for note in notes:
        changed = runs.update(instance, owner, run.key, RunPatch(config={"_lineal": note}))
    assert changed.config["_lineal"] == {
        "metrics": {"loss": loss, "acc": acc},
        "parameters": {"Net": 1},
        "code_path": "code/train.py",
    }


def test_a_key_removed_and_set_at_once_is_set(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    runs.update(instance, owner, run.key, RunPatch(summary={"a": 1}))
    patch = RunPatch(summary={"a": 2}, summary_removed=("a",))
    assert runs.update(instance, owner, run.key, patch).summary == {"a": 2}


def test_writers_that_patch_at_once_lose_nothing(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    def write(writer: int) -> None:
        for i in range(10):
            runs.update(instance, owner, run.key, RunPatch(summary={f"w{writer}.{i}": i}))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read(instance, owner, run).summary) == 40


def test_every_editable_field_can_be_changed(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    patch = RunPatch(
        name="n", notes="", group="g", job_type="j", tags=("t",), git_commit="c", git_remote="r"
    )
    changed = runs.update(instance, owner, run.key, patch)
    assert (changed.name, changed.notes, changed.group, changed.job_type) == ("n", "", "g", "j")
    assert (changed.tags, changed.git_commit, changed.git_remote) == (("t",), "c", "r")
    assert runs.update(instance, owner, run.key, RunPatch()) == changed


def test_a_change_of_a_run_is_of_no_other(instance: Instance, owner: Actor, run: RunRecord) -> None:
    other = runs.start(instance, owner, RunSpec("ana", "p", "other", tags=("b", "a"))).run
    runs.update(instance, owner, run.key, RunPatch(tags=("t",), notes="x", config={"lr": 1}))
    assert read(instance, owner, other)._replace(heartbeat_at=None) == other._replace(
        heartbeat_at=None
    )


def test_a_missing_run_is_named_with_those_that_may_be_meant(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    def said(run_id: str) -> str:
        with pytest.raises(RunNotFoundError) as raised:
            runs.run(instance, owner, "ana", "p", run_id)
        return raised.value.message

    for name, project in (("train1", "p"), ("train2", "p"), ("train3", "q")):
        runs.start(instance, owner, RunSpec("ana", project, name, name="the name"))
    deletion.delete_run(instance, owner, runs.run(instance, owner, "ana", "p", "train2").key)
    assert "train1" in said("trai")
    assert "train2" not in said("trai")
    assert "train3" not in said("trai")
    assert "there is one in another project: ana/q/train3" in said("train3")
    assert "`the name` is the name of ana/p/train1" in said("the name")


def test_crashed_cannot_be_set(instance: Instance, owner: Actor, run: RunRecord) -> None:
    with pytest.raises(Invalid, match="silence"):
        runs.update(instance, owner, run.key, RunPatch(state=RunState.CRASHED))


# --- read ---------------------------------------------------------------------------------------


def test_an_unknown_run_is_an_error_with_near_misses(
    instance: Instance, owner: Actor, start: Any
) -> None:
    start("baseline1")
    with pytest.raises(RunNotFoundError, match="did you mean baseline1"):
        runs.run(instance, owner, "ana", "p", "baseline2")
    with pytest.raises(RunNotFoundError, match="did you mean ana/p"):
        runs.run(instance, owner, "ana", "p2", "baseline2")
    with pytest.raises(ValueError, match="no entity anna; did you mean ana"):
        runs.run(instance, owner, "anna", "p", "baseline2")
    with pytest.raises(RunNotFoundError, match="another project: ana/p/baseline1"):
        runs.run(instance, owner, "ana", "p2", "baseline1")
    with pytest.raises(NotFound, match="did you mean ana/p"):
        runs.runs(instance, owner, RunQuery("ana", "pp"), FIRST)


def test_lists_are_newest_first_and_paged_with_one_total(
    instance: Instance, owner: Actor, start: Any
) -> None:
    for number in range(5):
        start(f"r{number}", tags=(f"t{number}", "all"))
    start("other", project="q")
    page = runs.runs(instance, owner, RunQuery("ana", "p"), PageRequest(3))
    assert [run.run_id for run in page.items] == ["r4", "r3", "r2"]
    assert page.items[0].tags == ("t4", "all")
    assert page.total == 5
    page = runs.runs(instance, owner, RunQuery("ana", "p"), PageRequest(3, page.cursor))
    assert [run.run_id for run in page.items] == ["r1", "r0"]
    assert (page.cursor, page.total) == (None, None)


def test_filters_and_orders_work_together(instance: Instance, owner: Actor, start: Any) -> None:
    for number, accuracy in enumerate([0.3, math.nan, 0.9, None, 0.5]):
        run = start(f"r{number}", config={"seed": number}).run
        if accuracy is not None:
            runs.update(instance, owner, run.key, RunPatch(summary={"acc": accuracy}))
    assert ids(instance, owner, order="-summary_metrics.acc")[:3] == ["r2", "r4", "r0"]
    assert ids(instance, owner, filters={"summary_metrics.acc": {"$gt": 0.4}}) == ["r4", "r2"]
    assert ids(instance, owner, order="+config.seed.value") == ["r0", "r1", "r2", "r3", "r4"]


def test_an_empty_page_is_refused(instance: Instance, owner: Actor, run: RunRecord) -> None:
    with pytest.raises(Invalid):
        runs.runs(instance, owner, RunQuery("ana", "p"), PageRequest(0))


def test_records_by_key_leave_out_deleted_runs(
    instance: Instance, owner: Actor, start: Any
) -> None:
    kept, deleted = start("kept", tags=("t",)).run, start("deleted").run
    deletion.delete_run(instance, owner, deleted.key)
    with instance.database.reading() as connection:
        found = runs_db.by_keys(connection, [kept.key, deleted.key, 99], kept.created_at)
    assert {key: (run.run_id, run.tags) for key, run in found.items()} == {
        kept.key: ("kept", ("t",))
    }
