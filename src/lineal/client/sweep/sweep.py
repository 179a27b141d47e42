"""`sweep` makes a sweep; `controller` watches one and can put points into its queue (SWP-11)."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from lineal.client import session, term
from lineal.client.backend import Backend
from lineal.client.default_project import default_project
from lineal.client.pages import BULK_PAGE_SIZE, all_of
from lineal.client.public import addresses
from lineal.client.values import as_metric, kind_of, plain
from lineal.config import WITH_INSTANCE, Settings, load
from lineal.core import full_names, names, parameters
from lineal.core.mistakes import Mistakes
from lineal.core.trials import OVER, SweepRecord, SweepSpec, TrialRecord, TrialState
from lineal.errors import Invalid, NotFound, SweepNotFound, UsageError

_SWEEP = "sweep"
"""Stands before the place of a value that cannot be JSON, in lack of a key."""
LOOK_SECONDS = 5.0


def sweep(
    sweep: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
    entity: str | None = None,
    project: str | None = None,
    prior_runs: Sequence[str] | None = None,
) -> str:
    """Make a sweep and return its id (SWP-1); `agent` carries it out.

    sweep: its document, or a function that returns it. prior_runs: ids of runs of the project
    whose results the search begins with. Raises Invalid naming every mistake in the document, or a
    run of another project.
    """
    given = sweep() if callable(sweep) else sweep
    if not isinstance(given, Mapping):
        raise Invalid(f"A sweep is described by a mapping, not a {type(given).__name__}")
    return create(given, entity=entity, project=project, prior_runs=prior_runs).sweep_id


def create(
    document: Mapping[str, Any],
    *,
    entity: str | None = None,
    project: str | None = None,
    prior_runs: Sequence[str] | None = None,
) -> SweepRecord:
    """Do what `sweep` does; returns all that is known of the new sweep."""
    said = as_document(document)
    settings = load({"entity": entity, "project": project})
    if settings.quiet or settings.silent:  # else what `init` was told goes on to hold
        term.configure(quiet=settings.quiet, silent=settings.silent)
    backend = open_backend(settings)
    entity = entity or document.get("entity") or settings.entity or backend.entity
    project = project or document.get("project") or default_project(settings)
    prior = [
        _prior_run(addresses.path_of(backend, run), entity, project)
        for run in names.strings(prior_runs, "prior_runs")
    ]
    record = backend.create_sweep(SweepSpec(entity, project, said, tuple(dict.fromkeys(prior))))
    session.sweep_made(record.entity, record.project, record.sweep_id)
    term.info(
        f"sweep {record.path} created; start agents with `lineal agent {shlex.quote(record.path)}`"
    )
    return record


def _prior_run(path: str, entity: str, project: str) -> str:
    """Return the id of a run that a sweep begins with; raises Invalid for another project's."""
    *place, run_id = full_names.run_path(path, entity, project)
    if place != [entity, project]:
        raise Invalid(
            f"Run {'/'.join([*place, run_id])} cannot inform a sweep of {entity}/{project}: that "
            "begins with runs of its own project. Make it there, or move the run with "
            "`lineal run mv`"
        )
    return run_id


def as_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sweep's document as JSON; raises Invalid for what agents could not be given."""
    if not isinstance(document, Mapping):
        raise Invalid(f"A sweep is a dict with `method` and `parameters`, not {document!r}")
    mistakes = Mistakes()
    parameters.check_names(document.get("parameters"), mistakes)
    mistakes.raise_any()
    found: dict[str, Any] = plain(dict(document), _SWEEP, otherwise=_no_choice)
    return found


def as_point(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of one trial as JSON; raises Invalid for what agents could not be given."""
    if not isinstance(values, Mapping):
        raise Invalid(f"A trial's parameters are a dict of names and values, not {values!r}")
    found: dict[str, Any] = plain(dict(values), "parameters", otherwise=_no_choice)
    return found


def _no_choice(value: Any, key: str) -> Any:
    try:
        return as_metric(value, key)
    except TypeError as error:
        place = key.removeprefix(f"{_SWEEP}.")
        raise Invalid(
            f"This is wrong in the sweep: `{place}` is a {kind_of(value)}, and agents are given "
            "numbers, texts, lists and dicts; give its name, and look that up in the program"
        ) from error


def find(
    settings: Settings, path: str, *, project: str | None = None
) -> tuple[Backend, SweepRecord]:
    """Return a sweep by `[[entity/]project/]id`, and where it is. Raises SweepNotFound, Invalid.

    An id alone is that of a sweep in `project`, where that is given. Else it is one that this
    process made, one of the default project, or one of any project of the entity: ids are random.
    """
    backend = open_backend(settings)
    owner = settings.entity or backend.entity
    path = addresses.path_of(backend, path)
    place = full_names.sweep_path(path, owner, project or default_project(settings))
    session.flush()  # what runs of this process logged counts
    is_id_alone = project is None and "/" not in path.strip("/")
    if not is_id_alone:
        return backend, backend.sweep(*place)
    sweep_id = place[2]
    own = session.place_of_sweep(sweep_id)
    projects = all_of(partial(backend.projects, owner), size=BULK_PAGE_SIZE)
    others = ((owner, each.name) for each in projects)
    for entity, name in chain([own] if own else [], [place[:2]], others):
        try:
            return backend, backend.sweep(entity, name, sweep_id)
        except NotFound:
            continue
    raise SweepNotFound(
        f"No project of {owner} has a sweep {sweep_id} (you are {backend.username}); "
        "`lineal sweep ls` lists all sweeps"
    )


def open_backend(settings: Settings) -> Backend:
    """Return the backend that keeps sweeps; raises UsageError offline: agents share a sweep."""
    if settings.mode not in WITH_INSTANCE:
        raise UsageError(
            f"Sweeps need the instance, but the mode is {settings.mode}; unset LINEAL_MODE, "
            "or say `lineal online` in this folder"
        )
    return session.open_backend(settings)


def all_trials(backend: Backend, record: SweepRecord) -> list[TrialRecord]:
    """Return all trials of a sweep, by number."""
    found = all_of(partial(backend.trials, record.key), size=BULK_PAGE_SIZE)
    return sorted(found, key=lambda trial: trial.number)


class Controller:
    """Watches a sweep. What it does is done by agents anyway; W&B's local controller has its look.

    `schedule` puts points of your own before those of the search.
    """

    def __init__(self, sweep_id: str, entity: str | None, project: str | None) -> None:
        settings = load({"entity": entity, "project": project})
        self._backend, self._record = find(settings, sweep_id, project=project)
        self.sweep_id = self._record.sweep_id

    def run(self, verbose: bool = False) -> None:
        """Wait until the sweep is over, printing its status."""
        while not self.done():
            self.print_status()
            time.sleep(LOOK_SECONDS)
        self.print_status()

    def step(self) -> None:
        self._record = self._backend.sweep(*self._record.path.split("/"))

    def done(self) -> bool:
        self.step()
        return self._record.state in OVER

    def search(self) -> dict[str, Any] | None:
        """Return the parameters that would come next; None if there are none."""
        return self._backend.propose_trial(self._record.key)

    def schedule(self, parameters: Mapping[str, Any] | None) -> None:
        """Have parameters tried next, such as those of `search`."""
        if parameters is not None:
            self._backend.enqueue_trial(self._record.key, as_point(parameters))

    def stopping(self) -> list[str]:
        """Return the runs that were stopped early."""
        trials = all_trials(self._backend, self._record)
        return [trial.run_id for trial in trials if trial.state is TrialState.STOPPED]

    def print_status(self) -> None:
        record = self._record
        counts = ", ".join(f"{count} {state}" for state, count in record.trial_counts.items())
        best = "" if record.best_value is None else f"; best {record.best_value:.6g}"
        term.info(f"sweep {record.path} is {record.state}: {counts or 'no trials yet'}{best}")


def controller(
    sweep_id_or_config: str | Mapping[str, Any] | None = None,
    entity: str | None = None,
    project: str | None = None,
) -> Controller:
    """Return the controller of a sweep, made first if a document is given (SWP-11)."""
    if sweep_id_or_config is None:
        raise Invalid("controller needs the id of a sweep, or the document of a new one")
    if isinstance(sweep_id_or_config, str):
        return Controller(sweep_id_or_config, entity, project)
    made = create(sweep_id_or_config, entity=entity, project=project)
    return Controller(made.path, None, None)
