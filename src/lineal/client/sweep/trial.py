"""One trial of a sweep as the process that carries it out knows it.

An agent that calls a function makes it; a program that an agent started makes it from its
environment. `init` takes run id and parameters from it, `run.log` tells it of the metric and is
told when to stop (SWP-5, SWP-7).
"""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lineal.client import session
from lineal.client.backend import Backend
from lineal.client.values import flat, plain
from lineal.config import Settings
from lineal.core import hyperband, sweeps
from lineal.core.trials import SweepRecord, TrialProgress, TrialRecord, TrialState
from lineal.errors import Invalid, LinealError, TrialStopped, UsageError

if TYPE_CHECKING:
    from lineal.client.run.run import Run


class Trial:
    """Parameters for one run, and whether it may go on; safe for threads."""

    def __init__(self, backend: Backend, sweep: SweepRecord, record: TrialRecord) -> None:
        self.record = record
        self.sweep = sweep
        self.ended: TrialState | None = None
        """How the trial is to end, once it must not go on."""
        self.exited: SystemExit | None = None
        """How its function left, if it called `sys.exit`."""
        self.signalled: int | None = None
        """What signal its agent was sent and passed on to its program."""
        self.runs: list[Run] = []
        """What its program started; usually one run."""
        self._backend = backend
        self._reason = ""
        self._lock = threading.Lock()
        plan = sweeps.plan(sweep.document)
        self._metric = plan.metric
        self._brackets = frozenset(hyperband.brackets(plan.stops) if plan.stops else ())
        self._logged = 0
        self._best = math.inf
        self._at: dict[int, float] = {}
        self._is_told = True

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.record.parameters)

    def settings(self, settings: Settings) -> Settings:
        """Return the settings of the trial's run: the sweep says which run it is, and where.

        Raises UsageError offline: nobody would learn the result.
        """
        if settings.mode == "offline":
            raise UsageError(
                f"The runs of sweep {self.sweep.path} cannot be offline: the sweep needs their "
                "results; unset LINEAL_MODE"
            )
        return dataclasses.replace(
            settings,
            entity=self.sweep.entity,
            project=self.sweep.project,
            sweep_id=self.sweep.sweep_id,
            run_id=self.record.run_id,
            resume="allow",
        )

    def begin(self, run: Run) -> None:
        """Take a run that has just started under this trial's control."""
        run.config._lock_to(self.parameters)
        run._trial = self
        self.runs.append(run)

    def logged(self, data: Mapping[str, Any]) -> None:
        """Hear what the run has logged; raises TrialStopped if it is not to go on."""
        self._raise_if_ended()
        if self._metric is None or not self._brackets:
            return
        value = self._value(data, self._metric)
        if value is None:
            return
        with self._lock:
            self._logged += 1
            self._best = min(self._best, value * self._metric.sign)
            self._is_told = False
            is_bracket = self._logged in self._brackets
            if is_bracket:
                self._at[self._logged] = self._best
        if is_bracket:
            self._tell()
            self._raise_if_ended()

    def tick(self) -> None:
        """Tell the sweep how far the run is; called every second or so."""
        if not self._is_told:
            self._tell()

    def stop(self, state: TrialState, reason: str) -> None:
        """End the trial: the next `log` of its run raises."""
        if self.ended is None:
            self.ended, self._reason = state, reason

    def _tell(self) -> None:
        with self._lock:
            self._is_told = True
            progress = TrialProgress(self._logged, self._best, dict(self._at))
        try:
            beat = self._backend.report_trial(self.record.key, self.record.run_id, progress)
        except LinealError:
            self._is_told = False  # it is tried again with the next tick
            return
        if not beat.goes_on:
            self.stop(beat.state, beat.reason)

    def _raise_if_ended(self) -> None:
        if self.ended is not None:
            raise TrialStopped(
                f"Trial {self.record.number} of sweep {self.sweep.path} ends here: {self._reason}"
            )

    def _value(self, data: Mapping[str, Any], metric: sweeps.Metric) -> float | None:
        found: Any = data.get(metric.name)
        if found is None and "." in metric.name:
            found = flat(data).get(metric.name)
        try:
            found = plain(found, metric.name)  # it may be a number of NumPy's
        except (TypeError, Invalid):  # a table or a picture, say
            return None
        return sweeps.result({metric.name: found}, metric)


def of_environment(settings: Settings) -> Trial:
    """Return the trial that an agent started this program for.

    Raises Invalid if the environment names a sweep but no run.
    """
    path = settings.sweep_id or ""
    parts = path.split("/")
    if len(parts) != 3 or settings.run_id is None:
        raise Invalid(
            f"LINEAL_SWEEP_ID is {path!r}; an agent sets entity/project/sweep there, and "
            "LINEAL_RUN_ID beside it"
        )
    backend = session.open_backend(settings)
    entity, project, sweep_id = parts
    sweep = backend.sweep(entity, project, sweep_id)
    record = backend.trial_of_run(entity, project, sweep_id, settings.run_id)
    return Trial(backend, sweep, record)
