"""What an agent shows at a terminal: each trial as it ends, and how the sweep goes."""

from __future__ import annotations

import time

from lineal.client import term
from lineal.core import sweeps
from lineal.core.trials import SweepRecord, TrialRecord, TrialState, parameters_text

PARAMETERS_MOST = 60
"""Characters of parameters in a line."""


class AgentView:
    """One line per trial; nothing where nobody watches."""

    def __init__(self, sweep: SweepRecord) -> None:
        self._sweep = sweep
        self._metric = sweeps.plan(sweep.document).metric
        self._began = time.monotonic()
        self._count = 0
        self._best: float | None = sweep.best_value
        self._said = ""
        if term.is_watched():
            term.info(f"sweep {sweep.path} ({sweep.document.get('method')}): asking for trials")

    def begins(self, trial: TrialRecord) -> None:
        self._said = ""

    def ends(self, trial: TrialRecord, took_seconds: float) -> None:
        self._count += 1
        if not term.is_watched():
            return
        parts = [f"trial {trial.number} {trial.state}"]
        if trial.value is not None and self._metric is not None:
            is_best = self._is_best(trial.value)
            parts.append(f"{self._metric.name}={trial.value:.6g}{' (best so far)' * is_best}")
        parts.append(parameters_text(trial.parameters)[:PARAMETERS_MOST])
        rate = self._count / max(time.monotonic() - self._began, 1e-9) * 60
        parts.append(f"{took_seconds:.1f} s · {rate:.3g}/min")
        (term.warning if trial.state is TrialState.FAILED else term.info)(" · ".join(parts))

    def waits(self, reason: str) -> None:
        if self._said != reason and term.is_watched():
            term.info(f"waiting: {reason}")
        self._said = reason

    def ended(self, reason: str) -> None:
        if not term.is_watched():
            return
        best = ""
        if self._best is not None and self._metric is not None:
            best = f"; best {self._metric.name}: {self._best:.6g}"
        term.info(f"sweep {self._sweep.path}: {reason}{best}")

    def _is_best(self, value: float) -> bool:
        assert self._metric is not None
        sign = self._metric.sign
        if self._best is not None and value * sign >= self._best * sign:
            return False
        self._best = value
        return True
