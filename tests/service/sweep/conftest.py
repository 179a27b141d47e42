"""Making sweeps and carrying out their trials, for the tests of sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lineal.core.access import Actor, Role
from lineal.core.records import RunKey, RunPatch, RunSpec
from lineal.core.trials import AgentKey, Answer, SweepRecord, SweepSpec, TrialState
from lineal.service import runs
from lineal.service.instance import Instance
from lineal.service.sweep import sweeps, trials
from tests.conftest import MovableClock
from tests.gc.databases import open_on

OWNER = Actor("ana", Role.OWNER)
GRID = {"method": "grid", "parameters": {"a": {"values": [1, 2]}, "b": {"min": 0, "max": 2}}}
RANDOM = {
    "method": "random",
    "metric": {"name": "loss"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}, "net": {"parameters": {"k": {"value": 3}}}},
}


@pytest.fixture
def instance(url: str, tmp_path: Path, clock: MovableClock) -> Iterator[Instance]:
    opened = open_on(url, tmp_path / "home", clock)
    yield opened
    opened.close()


def make(instance: Instance, document: dict[str, Any], **more: Any) -> SweepRecord:
    return sweeps.create(instance, OWNER, SweepSpec("ana", "p", document, **more))


def join(instance: Instance, sweep: SweepRecord, name: str = "one") -> AgentKey:
    return trials.join(instance, OWNER, sweep.key, name=name, host="here")


def ask(instance: Instance, sweep: SweepRecord, agent: AgentKey) -> Answer:
    return trials.next_trial(instance, OWNER, sweep.key, agent)


def run_of(instance: Instance, answer: Answer, sweep: SweepRecord, **summary: Any) -> RunKey:
    assert answer.trial is not None
    spec = RunSpec("ana", "p", answer.trial.run_id, resume="allow", sweep_id=sweep.sweep_id)
    started = runs.start(instance, OWNER, spec).run
    if summary:
        runs.update(instance, OWNER, started.key, RunPatch(summary=summary))
    return started.key


def done(
    instance: Instance,
    answer: Answer,
    sweep: SweepRecord,
    agent: AgentKey,
    state: TrialState = TrialState.FINISHED,
    **summary: Any,
) -> None:
    assert answer.trial is not None
    key = run_of(instance, answer, sweep, **summary)
    runs.finish(instance, OWNER, key, 0, 1.0)
    trials.finish(instance, OWNER, answer.trial.key, agent, state)


def again(instance: Instance, sweep: SweepRecord) -> SweepRecord:
    return sweeps.sweep(instance, OWNER, "ana", "p", sweep.sweep_id)
