"""Move a run to another project, with what it logged if that can go along (RUN-38)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from lineal.core import access, names
from lineal.core.access import Action, Actor
from lineal.core.records import MovedRun, RunKey
from lineal.db import collections as collections_db
from lineal.db import moving as moving_db
from lineal.db import projects as projects_db
from lineal.db import redirects as redirects_db
from lineal.db import runs as runs_db
from lineal.errors import Exists
from lineal.service import finding_runs
from lineal.service.instance import Instance

if TYPE_CHECKING:
    from lineal.db.rows import RunRow


def move(
    instance: Instance,
    actor: Actor,
    run: RunKey,
    entity: str,
    project: str,
    *,
    with_artifacts: bool = False,
) -> MovedRun:
    """Move a run to another project, which is made if need be; its old name leads to it.

    Lineage stays as it is. with_artifacts: a collection goes along, whole, when all its live
    versions were first logged by runs of the new project, this one among them, and the name is
    free there; `kept` says why another stayed. Its old name leads to it, and a new collection
    of that name goes on counting, so that `name:v0` never means something else.
    One transaction; doing it again changes nothing, and moves what could not go before.
    Raises RunNotFoundError, Gone, Invalid (names), Exists: the run's id is taken there.
    """
    names.entity_name(entity)
    names.project_name(project)
    access.require(actor, Action.WRITE, f"run {run}")
    access.require(actor, Action.WRITE, f"project {entity}/{project}")
    now = instance.clock.now()
    moved: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    with instance.database.writing() as connection:
        before = finding_runs.require(connection, run).project_id
        projects_db.hold(connection, before, projects_db.ensure(connection, entity, project, now))
        project_id = projects_db.require(connection, entity, project, actor.name)
        row = finding_runs.require(connection, run, lock=True)
        if row.project_id != project_id:
            _move_run(connection, row, project_id, f"{entity}/{project}", now)
        if with_artifacts:
            moved, kept = _move_collections(connection, run, project_id, f"{entity}/{project}", now)
        there = finding_runs.require(connection, run)
        return MovedRun(finding_runs.record(instance, connection, there), moved, kept)


def _move_run(
    connection: Connection, row: RunRow, project_id: int, project: str, now: datetime
) -> None:
    entity, _, name = project.partition("/")
    taken = runs_db.find(connection, entity, name, row.run_id)
    if taken is not None and taken.id != row.id:
        there = f"{project}/{row.run_id}"
        if runs_db.full_name(taken) != there:
            there += f", which leads to {runs_db.full_name(taken)}"
        elif taken.deleted_at is not None:
            there += ", which was deleted"
        raise Exists(
            f"Cannot move run {runs_db.full_name(row)}: there is a run {there}, "
            "and the id of a run is unique in its project"
        )
    runs_db.change(connection, row.id, {"project_id": project_id})
    redirects_db.add(connection, redirects_db.RUN, row.project_id, row.run_id, row.id, now)
    redirects_db.remove(connection, redirects_db.RUN, project_id, row.run_id)


def _move_collections(
    connection: Connection, run: RunKey, project_id: int, project: str, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    moved, kept = [], []
    for row in moving_db.produced_collections(connection, run, project_id):
        collections_db.lock(connection, row.id)
        target = connection, project_id, row.name
        taken = collections_db.named(*target) or collections_db.find(*target)
        if row.home < row.live:
            others = row.live - row.home
            noun = "version was" if others == 1 else "versions were"
            kept.append(f"{row.full_name}: {others} live {noun} not logged by a run of {project}")
        elif taken is not None and taken.id != row.id:
            kept.append(f"{row.full_name}: {project}/{row.name} exists already")
        else:
            _move_collection(connection, row, project_id, now)
            moved.append(f"{project}/{row.name}")
    return tuple(moved), tuple(kept)


def _move_collection(connection: Connection, row: RunRow, project_id: int, now: datetime) -> None:
    collections_db.change(connection, row.id, {"project_id": project_id})
    redirects_db.add(connection, redirects_db.COLLECTION, row.project_id, row.name, row.id, now)
    redirects_db.remove(connection, redirects_db.COLLECTION, project_id, row.name)
