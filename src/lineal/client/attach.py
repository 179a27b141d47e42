"""Going on with a run that another process has begun (RUN-16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineal.client import session
from lineal.client.init import init
from lineal.errors import UsageError

if TYPE_CHECKING:
    from lineal.client.run.run import Run


def attach(
    attach_id: str | None = None, run_id: str | None = None, *, run: Run | None = None
) -> Run:
    """Return a run that another process has begun, to log to it from here as well.

    attach_id, or run_id, which means the same: `run.path`, or `[[entity/]project/]run_id`, where
    the settings say the rest. run: one of this process, which is returned, as is any other that it
    has. The first `finish()` ends the run, so what attaches should end before what began it.
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
    return init(mode=mode or None, entity=entity, project=project, id=wanted, resume="must")
