"""What is said about sweeps, their trials and agents; `core.sweeps` says what a sweep is told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, NewType

from lineal.core.records import JsonObject

SweepKey = NewType("SweepKey", int)
TrialKey = NewType("TrialKey", int)
AgentKey = NewType("AgentKey", int)


class SweepState(StrEnum):
    """SWP-8."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    """Hands out nothing new."""
    STOPPED = "stopped"
    """What runs may finish."""
    CANCELLED = "cancelled"
    """What runs is stopped, too."""
    FINISHED = "finished"


class TrialState(StrEnum):
    RUNNING = "running"
    QUEUED = "queued"
    """Its agent died or left it, or its run was preempted: the next agent takes it."""
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    """Early, because others do better; its result counts."""
    CANCELLED = "cancelled"


ENDED = (TrialState.FINISHED, TrialState.FAILED, TrialState.STOPPED, TrialState.CANCELLED)

OVER = (SweepState.STOPPED, SweepState.CANCELLED, SweepState.FINISHED)
"""In these a sweep hands out nothing more."""
MAY_BECOME = {
    SweepState.PAUSED: (SweepState.PENDING, SweepState.RUNNING),
    SweepState.RUNNING: (SweepState.PAUSED, SweepState.STOPPED),
    SweepState.STOPPED: (SweepState.PENDING, SweepState.RUNNING, SweepState.PAUSED),
    SweepState.CANCELLED: (
        SweepState.PENDING, SweepState.RUNNING, SweepState.PAUSED, SweepState.STOPPED,
    ),
}  # fmt: skip
"""What a person may make of a sweep, and from which states."""


class SweepSpec(NamedTuple):
    """A sweep to be made."""

    entity: str
    project: str
    document: JsonObject
    """As `core.sweeps.plan` reads it."""
    prior_runs: tuple[str, ...] = ()
    """Ids of runs of the project whose results inform the search."""


class SweepQuery(NamedTuple):
    entity: str
    project: str
    filters: JsonObject | None = None
    order: str | None = None
    """`+`/`-` and what filters name; None: the newest first."""


class SweepRecord(NamedTuple):
    key: SweepKey
    sweep_id: str
    entity: str
    project: str
    name: str
    description: str | None
    state: SweepState
    document: JsonObject
    user: str
    created_at: datetime
    updated_at: datetime
    trial_counts: dict[TrialState, int]
    """Trials by state; runs that were there before do not count."""
    best_run_id: str | None
    best_value: float | None

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.sweep_id}"


class TrialRecord(NamedTuple):
    """One point that a sweep hands out, and what became of it."""

    key: TrialKey
    number: int
    """Counts from 0 in each sweep, never twice; runs that were there before have none below 0."""
    parameters: JsonObject
    """As the run's config gets them."""
    state: TrialState
    run_id: str
    attempt: int
    """1 for the first agent that took it."""
    value: float | None
    """Of the metric, once it ended."""
    is_prior: bool
    created_at: datetime
    ended_at: datetime | None


class AgentRecord(NamedTuple):
    key: AgentKey
    name: str
    host: str
    is_alive: bool
    created_at: datetime
    heartbeat_at: datetime
    trial_count: int


class Answer(NamedTuple):
    """What an agent that asks for work is told."""

    trial: TrialRecord | None
    is_resumed: bool = False
    """The trial's run was preempted: it goes on under the same id (RUN-20)."""
    waits: bool = False
    """There may be work later: the sweep is paused, or a trial of another agent may come back."""
    reason: str = ""
    """Why there is no trial, for the person who reads it."""


class Beat(NamedTuple):
    """What an agent is told that says its trial goes on."""

    goes_on: bool
    state: TrialState
    """How the trial is to end, where it does not go on."""
    reason: str = ""


class TrialProgress(NamedTuple):
    """How far a trial is, for those who compare trials: told by the run."""

    logged: int
    """Values of the metric so far."""
    best: float
    """The best of them, smaller being better: larger-is-better metrics come negated."""
    at: dict[int, float]
    """Bracket → the best until then."""


def parameters_text(parameters: JsonObject) -> str:
    """Write parameters in a line, such as `lr=0.1 optimizer.name=adam`."""
    return " ".join(f"{path}={_short(value)}" for path, value in by_path(parameters))


def by_path(parameters: JsonObject, above: str = "") -> list[tuple[str, Any]]:
    """Return (path, value) of parameters, nested ones with dots."""
    found: list[tuple[str, Any]] = []
    for name, value in parameters.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and value:
            found += by_path(value, f"{path}.")
        else:
            found.append((path, value))
    return found


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
