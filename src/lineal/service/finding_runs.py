"""Finding runs, and saying what is there instead or what became of them; as `finding`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from lineal.core.access import Actor
from lineal.core.moments import in_utc
from lineal.core.records import RunKey, RunRecord
from lineal.db import projects as projects_db
from lineal.db import runs as runs_db
from lineal.errors import NotFound, RunGone, RunNotFoundError
from lineal.nearest import NEAR_MISSES_MOST, near_misses
from lineal.service.instance import Instance

if TYPE_CHECKING:
    from lineal.db.rows import RunRow


def by_key(connection: Connection, run: RunKey, *, lock: bool = False) -> RunRow:
    """Return the row of a run, deleted ones too. Raises RunNotFoundError."""
    row = runs_db.find_by_key(connection, run, lock=lock)
    if row is None:
        raise RunNotFoundError(f"There is no run with the key {run}")
    return row


def require(connection: Connection, run: RunKey, *, lock: bool = False) -> RunRow:
    """Return the row of a live run. Raises RunNotFoundError or Gone."""
    row = by_key(connection, run, lock=lock)
    if row.deleted_at is not None:
        raise gone(row)
    return row


def record(instance: Instance, connection: Connection, row: RunRow) -> RunRecord:
    """Return what a row of `require` says of its run, with its tags."""
    return runs_db.records(connection, [row], instance.crashed_before())[0]


def require_named(
    connection: Connection,
    actor: Actor,
    entity: str,
    project: str,
    run_id: str,
    *,
    with_deleted: bool = False,
) -> RunRow:
    """Return the row of a run by its path, a moved one also by its old name.

    Raises RunNotFoundError naming near misses, or Gone unless `with_deleted`.
    """
    row = runs_db.find(connection, entity, project, run_id)
    if row is None:
        raise _not_found(connection, actor, entity, project, run_id)
    if row.deleted_at is not None and not with_deleted:
        raise gone(row)
    return row


def gone(row: RunRow) -> RunGone:
    """Say who deleted a run, and how it comes back if it can (RUN-4)."""
    assert row.deleted_at is not None
    name = runs_db.full_name(row)
    back = f"restore it with `lineal run restore {shlex.quote(name)}`, or use another id"
    if row.released_at is not None:
        back = "what it logged was released and cannot come back; use another id"
    return RunGone(
        f"Run {name} was deleted on {in_utc(row.deleted_at)} by {row.deleted_by}. "
        f"Its id is never used again: {back}",
        is_final=row.released_at is not None,
    )


def _not_found(
    connection: Connection, actor: Actor, entity: str, project: str, run_id: str
) -> RunNotFoundError:
    name = f"{entity}/{project}/{run_id}"
    project_id = projects_db.find(connection, entity, project)
    near, meant = near_runs(connection, run_id, project_id)
    if meant is None and project_id is None:
        try:
            projects_db.require(connection, entity, project, actor.name)
        except NotFound as error:
            return RunNotFoundError(f"No run {name}: {error.message}")
    return RunNotFoundError(f"No run {name} (you are {actor.name}){near}", meant=meant)


def near_runs(
    connection: Connection, run_id: str, project_id: int | None
) -> tuple[str, str | None]:
    """Return what continues a message, and the full name of the run that is meant, if one is."""
    elsewhere = runs_db.elsewhere(connection, run_id, project_id)
    if elsewhere is not None:
        return f"; there is one in another project: {elsewhere}", elsewhere
    called = runs_db.called(connection, run_id, project_id, NEAR_MISSES_MOST)
    if called is not None:
        return f"; `{run_id}` is the name of {called}", called
    if project_id is None:
        return "", None
    known = runs_db.ids(connection, project_id, NEAR_MISSES_MOST)
    if not known:
        return "; the project has no runs yet", None
    return near_misses(run_id, known, others="Runs there"), None
