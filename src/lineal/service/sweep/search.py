"""Choosing the next point of a sweep: by Optuna, told of every trial whatever agent ran it.

A process keeps one study per sweep in memory and feeds it with what is new, so that a point costs
milliseconds however many trials there were. Nothing in here is needed again after a restart: the
trials in the database are all there is to know.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lineal.core.distributions import Scale, Space
from lineal.core.numbers import is_finite
from lineal.core.parameters import Path
from lineal.core.sweeps import Plan, at
from lineal.core.trials import TrialState
from lineal.errors import Unavailable

if TYPE_CHECKING:
    from lineal.db.rows import TrialRow

Point = dict[str, float]
"""Name of a parameter (`name_of`) → where in its space."""
COUNTS = (TrialState.FINISHED, TrialState.STOPPED)
"""Trials whose results a search learns from; the others only say what is being tried."""


def name_of(path: Path) -> str:
    """Return one text for a path; two paths never share one, dots or not."""
    return json.dumps(list(path))


def point_of(plan: Plan, parameters: Mapping[str, Any]) -> Point | None:
    """Return the point whose values a config has, None if it has none."""
    point: Point = {}
    for path, distribution in plan.searched.items():
        try:
            found = distribution.point(at(parameters, path))
        except KeyError:
            return None
        if found is None:
            return None
        point[name_of(path)] = found
    return point


class Search:
    """What one process knows of one sweep; safe for threads."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._lock = threading.Lock()
        self._optuna = _load()
        self._spaces = {
            name_of(path): self._space(distribution.space)
            for path, distribution in plan.searched.items()
        }
        self._study = self._new_study(plan)
        self._numbers: dict[int, int] = {}
        """Key of a trial → its number in the study."""
        self.revision = -1
        """Of the newest change that the study knows."""

    def learn(self, trials: Iterable[TrialRow]) -> None:
        """Take over trials that were added or changed, in the order of their revisions."""
        with self._lock:
            for trial in trials:
                self._take(trial)
                self.revision = trial.revision

    def ask(self) -> tuple[int, Point]:
        """Return the study's number of a new point, and the point."""
        with self._lock:
            trial = self._study.ask(self._spaces)
            return trial.number, dict(trial.params)

    def took(self, number: int, key: int) -> None:
        """Say which trial a point became."""
        with self._lock:
            self._numbers[key] = number

    def forget(self, number: int) -> None:
        """Say that a point became no trial."""
        with self._lock:
            self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)

    def _take(self, trial: TrialRow) -> None:
        states = self._optuna.trial.TrialState
        is_over = trial.state not in (TrialState.RUNNING, TrialState.QUEUED)
        is_useful = is_over and trial.value is not None and trial.state in COUNTS
        state = states.COMPLETE if is_useful else states.FAIL if is_over else states.RUNNING
        number = self._numbers.get(trial.id)
        if number is None:
            if set(trial.point) != set(self._spaces):
                return  # put in the queue by hand, with values that no point has
            if not all(map(is_finite, trial.point.values())):
                return  # as earlier versions of Lineal took NaN from a run's config
            self._add(trial.point, trial.value if is_useful else None, state)
            self._numbers[trial.id] = len(self._study.get_trials(deepcopy=False)) - 1
        elif is_over:
            self._study.tell(
                number,
                values=trial.value if is_useful else None,
                state=state,
                skip_if_finished=True,
            )

    def _add(self, point: Point, value: float | None, state: Any) -> None:
        self._study.add_trial(
            self._optuna.trial.create_trial(
                params={name: self._param(name, at) for name, at in point.items()},
                distributions=self._spaces,
                value=value,
                state=state,
            )
        )

    def _param(self, name: str, at: float) -> float | int:
        """Return a number as the study has it: whole ones are not floats."""
        space = self._spaces[name]
        return at if isinstance(space, self._optuna.distributions.FloatDistribution) else int(at)

    def _space(self, space: Space) -> Any:
        kinds = self._optuna.distributions
        if space.scale is Scale.CHOICE:
            return kinds.CategoricalDistribution(tuple(range(int(space.high) + 1)))
        if space.scale is Scale.WHOLE:
            return kinds.IntDistribution(int(space.low), int(space.high))
        return kinds.FloatDistribution(space.low, space.high, log=space.scale is Scale.LOG)

    def _new_study(self, plan: Plan) -> Any:
        samplers = self._optuna.samplers
        direction = plan.metric.goal if plan.metric else "minimize"
        verbosity = self._optuna.logging.get_verbosity()
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # `constant_liar` counts as experimental
                if plan.method == "bayes":
                    # what others are trying counts as bad for the moment: agents spread out
                    sampler: Any = samplers.TPESampler(constant_liar=True)
                else:
                    sampler = samplers.RandomSampler()
                return self._optuna.create_study(direction=direction, sampler=sampler)
        finally:
            self._optuna.logging.set_verbosity(verbosity)


def _load() -> Any:
    try:
        import optuna  # 0.5 s, and only searches need it
    except ImportError as error:
        raise Unavailable("Sweeps that search need Optuna: pip install 'lineal[sweeps]'") from error
    return optuna
