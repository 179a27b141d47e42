"""Sweeps, their agents and trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineal import service
from lineal.client.embedded.base import Base
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


class EmbeddedSweeps(Base):
    def create_sweep(self, spec: SweepSpec) -> SweepRecord:
        return service.sweep.sweeps.create(self.instance, self.actor, spec)

    def sweep(self, entity: str, project: str, sweep_id: str) -> SweepRecord:
        return service.sweep.sweeps.sweep(self.instance, self.actor, entity, project, sweep_id)

    def sweeps(self, query: SweepQuery, page: PageRequest) -> Page[SweepRecord]:
        return service.sweep.sweeps.sweeps(self.instance, self.actor, query, page)

    def set_sweep_state(self, sweep: SweepKey, state: SweepState) -> SweepRecord:
        return service.sweep.sweeps.set_state(self.instance, self.actor, sweep, state)

    def update_sweep(self, sweep: SweepKey, document: JsonObject) -> SweepRecord:
        return service.sweep.sweeps.update(self.instance, self.actor, sweep, document)

    def sweep_importance(self, sweep: SweepKey) -> dict[str, float]:
        return service.sweep.importance.importance(self.instance, self.actor, sweep)

    def sweep_agents(self, sweep: SweepKey) -> list[AgentRecord]:
        return service.sweep.trials.agents(self.instance, self.actor, sweep)

    def trials(self, sweep: SweepKey, page: PageRequest) -> Page[TrialRecord]:
        return service.sweep.trials.trials(self.instance, self.actor, sweep, page)

    def trial_of_run(self, entity: str, project: str, sweep_id: str, run_id: str) -> TrialRecord:
        return service.sweep.trials.trial_of_run(
            self.instance, self.actor, entity, project, sweep_id, run_id
        )

    def enqueue_trial(self, sweep: SweepKey, parameters: JsonObject) -> TrialRecord:
        return service.sweep.trials.enqueue(self.instance, self.actor, sweep, parameters)

    def propose_trial(self, sweep: SweepKey) -> JsonObject | None:
        return service.sweep.trials.propose(self.instance, self.actor, sweep)

    def join_sweep(self, sweep: SweepKey, *, name: str, host: str) -> AgentKey:
        return service.sweep.trials.join(self.instance, self.actor, sweep, name=name, host=host)

    def leave_sweep(self, agent: AgentKey) -> None:
        service.sweep.trials.leave(self.instance, self.actor, agent)

    def next_trial(self, sweep: SweepKey, agent: AgentKey) -> Answer:
        return service.sweep.trials.next_trial(self.instance, self.actor, sweep, agent)

    def beat_trial(self, trial: TrialKey, agent: AgentKey) -> Beat:
        return service.sweep.trials.beat(self.instance, self.actor, trial, agent)

    def report_trial(self, trial: TrialKey, run_id: str, progress: TrialProgress) -> Beat:
        return service.sweep.trials.report(self.instance, self.actor, trial, run_id, progress)

    def finish_trial(self, trial: TrialKey, agent: AgentKey, state: TrialState) -> TrialRecord:
        return service.sweep.trials.finish(self.instance, self.actor, trial, agent, state)
