"""Starting and resuming runs (RUN-1…RUN-17, SEED-1)."""

from __future__ import annotations

import math
import multiprocessing
from typing import Any

import pytest

from lineal.config import Settings
from lineal.core.access import Actor, Role
from lineal.core.records import RunPatch, RunRecord, RunSpec, RunState
from lineal.errors import Invalid, NotFound, RunNotFoundError, UsageError
from lineal.service import deletion, projects, runs
from lineal.service.instance import Instance, open_instance
from tests.service.run.conftest import read


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
        {"tags": ("a\0b",)},
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
