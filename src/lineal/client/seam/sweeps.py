"""Sweeps, their agents and trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lineal.core.records import JsonObject, Page, PageRequest

if TYPE_CHECKING:
    from lineal.core.trials import (
        AgentKey,
        AgentRecord,
        Answer,
        Beat,
        SweepKey,
        SweepQuery,
        SweepRecord,
        SweepSpec,
        SweepState,
        TrialKey,
        TrialProgress,
        TrialRecord,
        TrialState,
    )


class Sweeps(Protocol):
    """Sweeps, their agents and trials."""

    def create_sweep(self, spec: SweepSpec) -> SweepRecord: ...

    def sweep(self, entity: str, project: str, sweep_id: str) -> SweepRecord: ...

    def sweeps(self, query: SweepQuery, page: PageRequest) -> Page[SweepRecord]: ...

    def set_sweep_state(self, sweep: SweepKey, state: SweepState) -> SweepRecord: ...

    def update_sweep(self, sweep: SweepKey, document: JsonObject) -> SweepRecord: ...

    def sweep_importance(self, sweep: SweepKey) -> dict[str, float]:
        """Return how much of the difference between trials each parameter explains, largest first.

        The shares add up to 1; empty with too few results, or where no parameter explains any.
        """

    def sweep_agents(self, sweep: SweepKey) -> list[AgentRecord]: ...

    def trials(self, sweep: SweepKey, page: PageRequest) -> Page[TrialRecord]: ...

    def trial_of_run(
        self, entity: str, project: str, sweep_id: str, run_id: str
    ) -> TrialRecord: ...

    def enqueue_trial(self, sweep: SweepKey, parameters: JsonObject) -> TrialRecord: ...

    def propose_trial(self, sweep: SweepKey) -> JsonObject | None: ...

    def join_sweep(self, sweep: SweepKey, *, name: str, host: str) -> AgentKey: ...

    def leave_sweep(self, agent: AgentKey) -> None: ...

    def next_trial(self, sweep: SweepKey, agent: AgentKey) -> Answer: ...

    def beat_trial(self, trial: TrialKey, agent: AgentKey) -> Beat: ...

    def report_trial(self, trial: TrialKey, run_id: str, progress: TrialProgress) -> Beat: ...

    def finish_trial(self, trial: TrialKey, agent: AgentKey, state: TrialState) -> TrialRecord: ...
