"""Runs that are heard of, fall silent, end (RUN-9, RUN-16)."""

from __future__ import annotations

from typing import Any

import pytest

from lineal.core.access import Actor
from lineal.core.records import RunKey, RunPatch, RunRecord, RunState
from lineal.errors import RunNotFoundError
from lineal.service import deletion, runs
from lineal.service.instance import Instance
from tests.service.run.conftest import ids, read


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
