"""A sweep as the public API shows it (API-12, SWP-12…SWP-14)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lineal.client import session
from lineal.client.artifact.artifact import Artifact
from lineal.client.backend import Backend
from lineal.client.known_attributes import KnownAttributes
from lineal.client.public import runs as public_runs
from lineal.client.public.lists import PAGE_SIZE, LazyList
from lineal.client.public.run import Run
from lineal.client.public.runs import Runs
from lineal.client.public.user import User
from lineal.client.shown import Shown
from lineal.client.sweep.sweep import as_point
from lineal.client.values import iso
from lineal.core import sweeps
from lineal.core.records import RunQuery
from lineal.core.trials import AgentRecord, SweepRecord, SweepState, TrialRecord
from lineal.errors import Invalid, NotFound

if TYPE_CHECKING:
    from lineal.core.sweeps import Metric


class StateText(str):
    """A state that also equals W&B's word for it, such as `FINISHED` or `CANCELED`.

    Scripts written for W&B compare with that, and one that waits would wait for ever. Its hash is
    that of our word: look W&B's up in a list, not in a set.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        word = other.lower() if other.isupper() else other
        return str.__eq__(self, "cancelled" if word == "canceled" else word)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class Sweep(KnownAttributes, Shown):
    """One sweep, as it was when last loaded."""

    def __init__(self, backend: Backend, record: SweepRecord) -> None:
        self._backend = backend
        self._record = record

    @property
    def id(self) -> str:
        return self._record.sweep_id

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def description(self) -> str | None:
        return self._record.description

    @property
    def entity(self) -> str:
        return self._record.entity

    @property
    def project(self) -> str:
        return self._record.project

    @property
    def path(self) -> list[str]:
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str:
        return f"{self._backend.url}/{self.entity}/{self.project}/sweeps/{self.id}"

    @property
    def state(self) -> str:
        """SWP-8: `pending`, `running`, `paused`, `stopped`, `cancelled` or `finished`.

        It equals W&B's words in capitals, too.
        """
        return StateText(self._record.state.value)

    @property
    def config(self) -> dict[str, Any]:
        """The sweep's document, as it was written; changing it changes no sweep."""
        return copy.deepcopy(self._record.document)

    @property
    def method(self) -> str:
        """`grid`, `random` or `bayes`."""
        return str(self._record.document["method"])

    @property
    def user(self) -> User:
        return User(self._record.user)

    @property
    def created_at(self) -> str:
        return iso(self._record.created_at)

    @property
    def updated_at(self) -> str:
        return iso(self._record.updated_at)

    @property
    def order(self) -> str | None:
        """What `best_run` orders by: the metric, `+` to minimise, `-` to maximise."""
        metric = self._metric
        if metric is None:
            return None
        return f"{'+' if metric.sign > 0 else '-'}summary_metrics.{metric.name}"

    @property
    def expected_run_count(self) -> int | None:
        """Runs in all; None if nothing ends the sweep by itself.

        What `enqueue_run` adds to a grid comes on top, unless it is one of the grid's points.
        """
        return sweeps.plan(self._record.document).trial_count

    @property
    def runs(self) -> Runs:
        """All runs of the sweep, the newest first; a list that loads as it is read.

        Those that were moved to another project are not among them; `best_run` knows them.
        """
        return self._runs(None)

    def best_run(self, order: str | None = None) -> Run | None:
        """Return the best run by the sweep's metric and goal, or first by `order`; None: no runs.

        Runs without a value, or with NaN, are not the best of any; one of `prior_runs` may be.
        order: as of `Api.runs`, or the bare name of a metric: the one with the least value, for
        the metric of the sweep by its goal, unless `+` or `-` says otherwise.
        """
        if order is None and self._metric is not None:
            self.load()
            best = self._record.best_run_id
            if best is not None:
                return Run(self._backend, self._backend.run(self.entity, self.project, best))
            # what runs still may be better than nothing
        try:
            return next(iter(self._runs(order or self.order)), None)
        except Invalid:
            if order is None or order.lstrip("+-").startswith("summary_metrics."):
                raise
            found = next(iter(self._runs(self._order_by(order))), None)
            if found is None or order.lstrip("+-") not in found.summary:
                raise
            return found

    @property
    def best_loss(self) -> float | None:
        """What the best run has for the sweep's metric; None if none has, or there is no metric."""
        metric = self._metric
        best = None if metric is None else self.best_run()
        return None if metric is None or best is None else sweeps.result(best.summary, metric)

    def _order_by(self, metric: str) -> str | None:
        if self._metric is not None and metric == self._metric.name:
            return self.order
        sign = metric[0] if metric[:1] in ("+", "-") else ""
        return f"{sign}summary_metrics.{metric.removeprefix(sign)}"

    def best_artifact(self, type: str = "model") -> Artifact | None:
        """Return the newest artifact of a type that the best run logged; None: there is none."""
        best = self.best_run()
        if best is None:
            return None
        newest_first = reversed(best.logged_artifacts())
        return next((each for each in newest_first if each.type == type), None)

    def agents(self) -> list[AgentRecord]:
        """Return who worked for the sweep, the oldest first."""
        return self._backend.sweep_agents(self._record.key)

    def trials(self, per_page: int = PAGE_SIZE) -> LazyList[TrialRecord]:
        """Return what was handed out, the newest first, and what became of it."""
        return LazyList(
            lambda page: self._backend.trials(self._record.key, page),
            lambda trial: trial,
            per_page=per_page,
        )

    def enqueue_run(self, config: Mapping[str, Any]) -> TrialRecord:
        """Have these parameters tried before any that the search chooses.

        A point of the sweep's grid whose turn is still to come is tried now, and not again then.
        Raises Invalid if the sweep has a parameter that these lack or lacks one that they name, or
        for a value that is no number, text, list or dict, Conflict once it is over.
        """
        return self._backend.enqueue_trial(self._record.key, as_point(config))

    def pause(self) -> None:
        """Hand out nothing new until `resume`."""
        self._set(SweepState.PAUSED)

    def resume(self) -> None:
        self._set(SweepState.RUNNING)

    def stop(self) -> None:
        """Hand out nothing more; what runs may finish."""
        self._set(SweepState.STOPPED)

    def cancel(self) -> None:
        """Hand out nothing more, and stop what runs."""
        self._set(SweepState.CANCELLED)

    def load(self, force: bool = True) -> Sweep:
        if force:
            session.flush()  # what runs of this process logged counts
            self._record = self._backend.sweep(self.entity, self.project, self.id)
        return self

    def _to_show(self) -> tuple[str, list[tuple[str, Any]]]:
        best = ("best run", self._record.best_run_id)
        values = [("state", self.state), ("order", self.order), best]
        shown = [(key, value) for key, value in values if value is not None]
        return f"Sweep {'/'.join(self.path)} ({self.name})", shown

    def __repr__(self) -> str:
        return f"<Sweep {'/'.join(self.path)} ({self.state})>"

    # --- private ---

    @property
    def _metric(self) -> Metric | None:
        return sweeps.plan(self._record.document).metric

    def _set(self, state: SweepState) -> None:
        self._record = self._backend.set_sweep_state(self._record.key, state)

    def _runs(self, order: str | None) -> Runs:
        query = RunQuery(
            self.entity,
            self.project,
            filters={"sweep": self.id},
            order=order,
            with_documents=False,
        )
        empty = f"sweep {'/'.join(self.path)} has no runs yet"
        return public_runs.runs(self._backend, query, empty=empty)


def of_run(backend: Backend, entity: str, project: str, sweep_id: str | None) -> Sweep | None:
    """Return the sweep that a run belongs to, None if to none, or to one that nobody knows."""
    if sweep_id is None:
        return None
    try:
        return Sweep(backend, backend.sweep(entity, project, sweep_id))
    except NotFound:
        return None
