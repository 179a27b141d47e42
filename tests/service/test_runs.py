"""Runs: start, resume, change, finish (RUN-1…RUN-17, SEED-1)."""

from __future__ import annotations

import math
import multiprocessing
import threading
from typing import Any

import pytest

from lineal.config import Settings
from lineal.core.access import Actor, Role
from lineal.core.records import (
    PageRequest,
    RunKey,
    RunPatch,
    RunQuery,
    RunRecord,
    RunSpec,
    RunState,
    StartedRun,
)
from lineal.db import runs as runs_db
from lineal.errors import (
    Denied,
    Invalid,
    NotFound,
    RunNotFoundError,
    UsageError,
)
from lineal.service import deletion, projects, restoring, runs
from lineal.service.instance import Instance, open_instance

FIRST = PageRequest(50)


@pytest.fixture
def start(instance: Instance, owner: Actor) -> Any:
    def started(run_id: str = "r1", project: str = "p", **spec: Any) -> StartedRun:
        return runs.start(instance, owner, RunSpec("ana", project, run_id, **spec))

    return started


@pytest.fixture
def run(start: Any) -> RunRecord:
    record: RunRecord = start().run
    return record


def read(instance: Instance, owner: Actor, run: RunRecord) -> RunRecord:
    return runs.run_by_key(instance, owner, run.key)


def ids(instance: Instance, owner: Actor, project: str = "p", **query: Any) -> list[str]:
    page = runs.runs(instance, owner, RunQuery("ana", project, **query), FIRST)
    return [run.run_id for run in page.items]


# --- start and resume ---------------------------------------------------------------------------


def test_a_new_run_has_what_was_asked_for(instance: Instance, owner: Actor, start: Any) -> None:
    started = start(
        name="first",
        notes="n",
        group="g",
        job_type="train",
        tags=("b", "a", "b"),
        config={"lr": 0.1, "nan": math.nan, "deep": {"x": (1, 2)}},
        host="h",
        program="train.py",
    )
    found = runs.run(instance, owner, "ana", "p", "r1")
    assert found == started.run or math.isnan(found.config["nan"])
    assert (found.name, found.notes, found.group, found.job_type) == ("first", "n", "g", "train")
    assert found.tags == ("b", "a")
    assert found.config["deep"] == {"x": [1, 2]}
    assert math.isnan(found.config["nan"])
    assert (found.state, found.last_step, found.user) == (RunState.RUNNING, -1, "ana")
    assert (started.is_resumed, started.elsewhere) == (False, None)


def test_runs_without_a_name_get_two_words_and_a_number(start: Any) -> None:
    names = [start(f"r{i}").run.name for i in range(20)]
    assert all(len(name.split("-")) == 3 and name.split("-")[2].isdigit() for name in names)
    assert len(set(names)) > 15


@pytest.mark.parametrize(
    ("resume", "exists", "outcome"),
    [
        ("must", True, "resumed"),
        ("must", False, RunNotFoundError),
        ("allow", True, "resumed"),
        ("allow", False, "created"),
        ("never", True, UsageError),
        ("never", False, "created"),
        (None, True, UsageError),
        (None, False, "created"),
    ],
)
def test_resume_follows_its_table(start: Any, resume: str, exists: bool, outcome: Any) -> None:
    if exists:
        start()
    if isinstance(outcome, str):
        assert start(resume=resume).is_resumed == (outcome == "resumed")
        return
    with pytest.raises(outcome):
        start(resume=resume)


def test_an_id_in_use_is_refused_with_both_choices(start: Any, run: RunRecord) -> None:
    with pytest.raises(UsageError, match=r'ana/p/r1 exists already.*"allow".*another id'):
        start()


def test_a_failed_must_leaves_no_project_behind(
    instance: Instance, owner: Actor, start: Any
) -> None:
    with pytest.raises(RunNotFoundError):
        start(project="typo", resume="must")
    with pytest.raises(NotFound):
        projects.project(instance, owner, "ana", "typo")


def test_must_names_the_run_in_another_project(start: Any, run: RunRecord) -> None:
    with pytest.raises(RunNotFoundError, match="another project: ana/p/r1"):
        start(project="other", resume="must")


def test_allow_says_where_else_a_run_has_this_id(start: Any, run: RunRecord) -> None:
    started = start(project="other", resume="allow")
    assert (started.is_resumed, started.elsewhere) == (False, "ana/p/r1")
    assert start(project="other", resume="allow").elsewhere is None


def test_a_run_elsewhere_that_is_deleted_is_not_offered(
    instance: Instance, owner: Actor, start: Any, run: RunRecord
) -> None:
    deletion.delete_run(instance, owner, run.key)
    assert start(project="other", resume="allow").elsewhere is None


def test_resuming_keeps_what_is_not_said_and_replaces_what_is(
    instance: Instance, owner: Actor, start: Any
) -> None:
    first = start(notes="old", group="g", tags=("a", "b"), config={"x": 1, "y": 1}).run
    runs.update(instance, owner, first.key, RunPatch(summary={"acc": 0.5}))
    runs.finish(instance, owner, first.key, 1, 10.0)
    again = start(resume="allow", notes="new", tags=("c",), config={"y": 2, "z": 3}).run
    assert again.key == first.key
    assert (again.notes, again.group, again.name) == ("new", "g", first.name)
    assert again.tags == ("c",)
    assert again.config == {"x": 1, "y": 2, "z": 3}
    assert again.summary == {"acc": 0.5}
    assert (again.state, again.exit_code, again.finished_at) == (RunState.RUNNING, None, None)


def test_tags_not_given_on_resume_stay_and_no_tags_empty_them(start: Any) -> None:
    start(tags=("a",))
    assert start(resume="must").run.tags == ("a",)
    assert start(resume="must", tags=()).run.tags == ()


def test_runtime_adds_up_over_attempts(instance: Instance, owner: Actor, start: Any) -> None:
    run = start().run
    runs.finish(instance, owner, run.key, 0, 60.0)
    start(resume="must")
    runs.heartbeat(instance, owner, run.key, 5.0)
    assert read(instance, owner, run).runtime_seconds == 65.0
    runs.finish(instance, owner, run.key, 0, 10.0)
    assert read(instance, owner, run).runtime_seconds == 70.0


def test_two_writers_at_once_do_not_count_time_twice(
    instance: Instance, owner: Actor, start: Any
) -> None:
    run = start().run
    runs.heartbeat(instance, owner, run.key, 30.0)
    assert start(resume="allow").is_resumed
    runs.heartbeat(instance, owner, run.key, 60.0)  # the first writer
    runs.heartbeat(instance, owner, run.key, 30.0)  # the second
    assert read(instance, owner, run).runtime_seconds == 60.0


def test_the_time_of_a_crashed_attempt_counts(
    instance: Instance, owner: Actor, start: Any, clock: Any
) -> None:
    run = start().run
    runs.heartbeat(instance, owner, run.key, 30.0)
    clock.move(seconds=301)
    start(resume="allow")
    runs.heartbeat(instance, owner, run.key, 1.0)
    assert read(instance, owner, run).runtime_seconds == 31.0


def test_a_pending_run_does_not_count_as_existing(
    instance: Instance, owner: Actor, start: Any
) -> None:
    run = start(config={"from": "sweep"}).run
    runs.update(instance, owner, run.key, RunPatch(state=RunState.PENDING))
    with pytest.raises(RunNotFoundError, match='pending and was never started; `resume="allow"`'):
        start(resume="must")
    started = start(config={"lr": 1})
    assert not started.is_resumed
    assert started.run.key == run.key
    assert started.run.config == {"from": "sweep", "lr": 1}


def test_a_failed_run_that_is_pending_again_is_resumed(
    instance: Instance, owner: Actor, start: Any
) -> None:
    run = start().run
    runs.finish(instance, owner, run.key, 1, 2.5)
    runs.update(instance, owner, run.key, RunPatch(state=RunState.PENDING))
    assert start(resume="must").is_resumed


@pytest.mark.parametrize(
    "spec",
    [
        {"run_id": "a/b"},
        {"run_id": ""},
        {"project": "a:b"},
        {"tags": ("a,b",)},
        {"resume": "auto"},
        {"notes": "\ud800"},
        {"name": "a\0b"},
        {"config": {"x": object()}},
        {"config": {"x": "\ud800"}},
    ],
)
def test_what_can_never_be_stored_is_invalid(start: Any, spec: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        start(**spec)


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


def start_once(settings: Settings, run_id: str, results: Any) -> None:
    instance = open_instance(settings)
    try:
        runs.start(instance, Actor("ana", Role.OWNER), RunSpec("ana", "race", run_id))
        results.put("created")
    except UsageError:
        results.put("refused")


def test_of_many_processes_that_start_one_id_exactly_one_succeeds(
    instance: Instance, settings: Settings
) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=start_once, args=(settings, "r", results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    outcomes = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert outcomes == ["created", "refused", "refused", "refused"]


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


def test_crashed_cannot_be_set(instance: Instance, owner: Actor, run: RunRecord) -> None:
    with pytest.raises(Invalid, match="silence"):
        runs.update(instance, owner, run.key, RunPatch(state=RunState.CRASHED))


# --- heartbeat and finish -----------------------------------------------------------------------


def test_a_run_that_falls_silent_has_crashed_until_it_is_heard_again(
    instance: Instance, owner: Actor, run: RunRecord, clock: Any
) -> None:
    clock.move(seconds=299)
    assert read(instance, owner, run).state is RunState.RUNNING
    clock.move(seconds=2)
    assert read(instance, owner, run).state is RunState.CRASHED
    assert ids(instance, owner, filters={"state": "crashed"}) == ["r1"]
    runs.heartbeat(instance, owner, run.key, 301.0)
    assert read(instance, owner, run).state is RunState.RUNNING
    assert ids(instance, owner, filters={"state": "crashed"}) == []


def test_a_run_whose_writer_died_has_crashed_until_it_is_heard_again(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    runs.mark_crashed(instance, owner, run.key, 12.0)
    found = read(instance, owner, run)
    assert (found.state, found.runtime_seconds) == (RunState.CRASHED, 12.0)
    assert ids(instance, owner, filters={"state": "crashed"}) == ["r1"]
    runs.heartbeat(instance, owner, run.key, 3.0)
    assert read(instance, owner, run).state is RunState.RUNNING


def test_resuming_a_crashed_run_adds_its_time(
    instance: Instance, owner: Actor, run: RunRecord, start: Any
) -> None:
    runs.mark_crashed(instance, owner, run.key, 12.0)
    assert start(resume="must").run.state is RunState.RUNNING
    runs.heartbeat(instance, owner, run.key, 3.0)
    assert read(instance, owner, run).runtime_seconds == 15.0


@pytest.mark.parametrize(
    "state", [RunState.PENDING, RunState.KILLED, RunState.PREEMPTING, RunState.PREEMPTED]
)
def test_only_a_running_run_crashes(
    instance: Instance, owner: Actor, run: RunRecord, state: RunState
) -> None:
    runs.update(instance, owner, run.key, RunPatch(state=state))
    runs.mark_crashed(instance, owner, run.key, 12.0)
    assert read(instance, owner, run).state is state


@pytest.mark.parametrize(
    ("before", "exit_code", "after"),
    [
        (None, 0, RunState.FINISHED),
        (None, 1, RunState.FAILED),
        (RunState.KILLED, 255, RunState.KILLED),
        (RunState.PREEMPTING, 143, RunState.PREEMPTED),
        (RunState.PREEMPTING, 0, RunState.FINISHED),
    ],
)
def test_the_exit_code_decides_the_state(
    instance: Instance,
    owner: Actor,
    run: RunRecord,
    before: RunState | None,
    exit_code: int,
    after: RunState,
) -> None:
    if before:
        runs.update(instance, owner, run.key, RunPatch(state=before))
    runs.finish(instance, owner, run.key, exit_code, 1.5)
    ended = read(instance, owner, run)
    assert (ended.state, ended.exit_code, ended.runtime_seconds) == (after, exit_code, 1.5)
    assert ended.finished_at is not None


@pytest.mark.parametrize("codes", [(3, 0), (0, 3)], ids=["first", "last"])
def test_a_run_that_one_writer_failed_has_failed_until_it_is_resumed(
    instance: Instance, owner: Actor, start: Any, codes: tuple[int, int]
) -> None:
    run = start().run
    start(resume="allow")
    for code in codes:
        runs.finish(instance, owner, run.key, code, 1.0)
    ended = read(instance, owner, run)
    assert (ended.state, ended.exit_code) == (RunState.FAILED, 3)
    start(resume="allow")
    runs.finish(instance, owner, run.key, 0, 1.0)
    assert read(instance, owner, run).state is RunState.FINISHED


def test_finishing_again_changes_nothing(
    instance: Instance, owner: Actor, run: RunRecord, clock: Any
) -> None:
    runs.finish(instance, owner, run.key, 0, 1.0)
    ended = read(instance, owner, run)
    clock.move(seconds=400)
    runs.finish(instance, owner, run.key, 0, 1.0)
    again = read(instance, owner, run)
    assert (again.state, again.finished_at) == (RunState.FINISHED, ended.finished_at)


def test_what_is_not_there_is_said(instance: Instance, owner: Actor) -> None:
    absent = RunKey(99)
    for call in (
        lambda: runs.run_by_key(instance, owner, absent),
        lambda: runs.heartbeat(instance, owner, absent, 1.0),
        lambda: runs.mark_crashed(instance, owner, absent, 1.0),
        lambda: runs.finish(instance, owner, absent, 0, 1.0),
        lambda: runs.update(instance, owner, absent, RunPatch()),
        lambda: deletion.delete_run(instance, owner, absent),
    ):
        with pytest.raises(RunNotFoundError):
            call()


# --- read ---------------------------------------------------------------------------------------


def test_an_unknown_run_is_an_error_with_near_misses(
    instance: Instance, owner: Actor, start: Any
) -> None:
    start("baseline1")
    with pytest.raises(RunNotFoundError, match="did you mean baseline1"):
        runs.run(instance, owner, "ana", "p", "baseline2")
    with pytest.raises(RunNotFoundError, match="did you mean ana/p"):
        runs.run(instance, owner, "ana", "p2", "baseline1")
    with pytest.raises(ValueError, match="no entity anna; did you mean ana"):
        runs.run(instance, owner, "anna", "p", "baseline1")
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


# --- projects -----------------------------------------------------------------------------------


def test_a_project_is_made_once_and_listed(instance: Instance, owner: Actor, start: Any) -> None:
    assert projects.projects(instance, owner, "ana", FIRST).items == ()
    made = projects.project(instance, owner, "ana", "b", create=True)
    assert projects.project(instance, owner, "ana", "b", create=True) == made
    assert projects.project(instance, owner, "ana", "b") == made
    start(project="a")
    start(project="c")
    page = projects.projects(instance, owner, "ana", PageRequest(2))
    assert ([project.name for project in page.items], page.total) == (["a", "b"], 3)
    page = projects.projects(instance, owner, "ana", PageRequest(2, page.cursor))
    assert ([project.name for project in page.items], page.cursor) == (["c"], None)


def test_unknown_projects_and_entities_name_their_neighbours(
    instance: Instance, owner: Actor, start: Any
) -> None:
    start(project="vision")
    with pytest.raises(NotFound, match="did you mean ana/vision"):
        projects.project(instance, owner, "ana", "vison")
    with pytest.raises(NotFound, match="did you mean ana"):
        projects.projects(instance, owner, "anna", FIRST)
    with pytest.raises(Invalid):
        projects.project(instance, owner, "ana", "a/b", create=True)
