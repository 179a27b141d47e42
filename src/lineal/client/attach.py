"""Going on with a run that another process has begun (RUN-16)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from lineal.client import session
from lineal.client.init import init
from lineal.client.pages import all_of
from lineal.client.public.api import Api
from lineal.config import WITH_INSTANCE, default_entity, load
from lineal.core.records import PageRequest, RunQuery, RunState
from lineal.errors import UsageError

if TYPE_CHECKING:
    from lineal.client.public.run import Run as FoundRun
    from lineal.client.run.core import RunCore
    from lineal.client.run.run import Run


def attach(
    attach_id: str | None = None, run_id: str | None = None, *, run: Run | None = None
) -> Run:
    """Return a run that another process has begun, to log to it from here as well.

    attach_id, or run_id, which means the same: `run.path`, or `[[entity/]project/]run_id`. Without
    its project it is the one that is running, unless the settings name a project. run: one of this
    process, which is returned, as is any other that it has.
    The first `finish()` ends the run, so what attaches should end before what began it.
    Raises UsageError without any of them or with several, and while another run is active;
    RunNotFoundError.
    """
    given = attach_id or run_id
    if (given is None) == (run is None):
        raise UsageError("attach takes a run, or the path of one: `attach(run.path)`")
    mode, _, path = (run._attach_id if run is not None else str(given)).rpartition(":")
    *place, wanted = path.strip("/").split("/")
    if len(place) > 2:
        raise UsageError(f"{path!r} is not the path of a run: entity/project/run_id")
    project = place[-1] if place else None
    entity = place[0] if len(place) == 2 else None
    for each in session.open_runs():
        if each.id == wanted and project in (None, each.project) and entity in (None, each.entity):
            return each
    if project is None:
        project = _project_of(wanted)
    return init(mode=mode or None, entity=entity, project=project, id=wanted, resume="must")


def reduced(run: RunCore) -> tuple[Callable[..., Run | FoundRun], tuple[str, str]]:
    """Return by what another process makes a run out of a pickled one.

    Raises UsageError for an offline run that is over: it stays in its folder.
    """
    if run.offline and run._is_finished:
        run.backend.__reduce__()  # says that this cannot be
    return sent, (run.settings.home, run._attach_id)


def sent(home: str, attach_id: str) -> Run | FoundRun:
    """Return a run that was pickled: attached while it goes on, after its end as `Api` has it.

    So a worker goes on with the run of its trainer, and an old checkpoint that holds one is read
    without beginning that run again. Raises RunNotFoundError.
    """
    mode, _, path = attach_id.rpartition(":")
    if path in {run.path for run in session.open_runs()}:
        return attach(attach_id)
    entity, project, run_id = path.split("/")
    if mode in WITH_INSTANCE:
        found = Api(overrides={"base_url": f"file://{home}"}).run(path)
        if found.state != RunState.RUNNING:
            return found
    return init(
        mode=mode,
        entity=entity,
        project=project,
        id=run_id,
        resume="must",
        settings={"home": home},
    )


def _project_of(run_id: str) -> str | None:
    """Return where the entity has a running run with this id, if that is in one project alone.

    None also where the settings name the project, or the run is in no instance: `init` knows.
    """
    settings = load(base=session.settings())
    if settings.project is not None or settings.mode not in WITH_INSTANCE:
        return None
    backend, entity = session.open_backend(settings), default_entity(settings)
    is_it = {"name": run_id, "state": str(RunState.RUNNING)}
    found = [
        project.name
        for project in all_of(partial(backend.projects, entity))
        if backend.runs(RunQuery(entity, project.name, is_it), PageRequest(1)).items
    ]
    return found[0] if len(found) == 1 else None
