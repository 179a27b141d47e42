"""Which run made what from what: recording edges, listing both ends; `lineage_graph` walks them."""

from __future__ import annotations

from sqlalchemy import Connection

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.lineage import RunEdge
from lineal.core.moments import in_utc
from lineal.core.records import (
    EdgeKind,
    Page,
    PageRequest,
    RunKey,
    RunRecord,
    VersionId,
    VersionRecord,
)
from lineal.db import lineage as lineage_db
from lineal.db import lineage_nodes
from lineal.db import runs as runs_db
from lineal.db import versions as versions_db
from lineal.db.lineage_nodes import End
from lineal.errors import Gone, NotFound
from lineal.service import finding
from lineal.service.instance import Instance

# --- recording ----------------------------------------------------------------------------------


def use(
    instance: Instance, actor: Actor, run: RunKey, version: VersionId, *, alias: str | None
) -> None:
    """Record that a run used a version; repeating it changes nothing.

    The exact version is kept, whatever happens to `alias` later (SEM-9).
    Raises NotFound, or Gone for what was deleted.
    """
    access.require(actor, Action.WRITE, f"run {run}")
    with instance.database.writing() as connection:
        _require_live(connection, actor, run, version)
        lineage_db.add_used(connection, run, version, alias, instance.clock.now())


def relog(instance: Instance, actor: Actor, run: RunKey, version: VersionId) -> None:
    """Attach an existing version to a run as one of its outputs; repeating changes nothing.

    Where that would close a cycle the edge is marked as re-logged (LIN-10).
    Raises NotFound, or Gone for what was deleted.
    """
    access.require(actor, Action.WRITE, f"run {run}")
    with instance.database.writing() as connection:
        _require_live(connection, actor, run, version)
        lineage_db.add_logged(connection, run, version, instance.clock.now(), is_new_version=False)


def _require_live(connection: Connection, actor: Actor, run: RunKey, version: VersionId) -> None:
    run_end = _run_end(connection, actor, run)
    if run_end.deleted_at is not None:
        raise Gone(
            f"Run {run_end.name} was deleted by {run_end.deleted_by} on "
            f"{in_utc(run_end.deleted_at)}; it takes part in nothing new"
        )
    version_end = _version_end(connection, actor, version)
    if version_end.deleted_at is not None:
        how = finding.how_it_went(connection, version, version_end.deleted_by)
        raise Gone(
            f"Artifact {version_end.name} {how} on {in_utc(version_end.deleted_at)}; restore it to "
            "use it"
        )


def _run_end(connection: Connection, actor: Actor, run: RunKey) -> End:
    """Return what is to be said of a run, deleted ones too; raises NotFound."""
    found = lineage_nodes.run_end(connection, run)
    if found is None:
        raise NotFound(f"No run {run} (you are {actor.name})")
    return found


def _version_end(connection: Connection, actor: Actor, version: VersionId) -> End:
    """Return the same of a version."""
    found = lineage_nodes.version_end(connection, version)
    if found is None:
        raise NotFound(f"No version {version} (you are {actor.name})")
    return found


# --- lists --------------------------------------------------------------------------------------


def runs_of(
    instance: Instance,
    actor: Actor,
    version: VersionId,
    kind: EdgeKind,
    page: PageRequest,
    *,
    with_documents: bool = True,
) -> Page[RunRecord]:
    """List the runs that used or logged a version, the oldest edge first; all of them (LIN-4).

    with_documents: as in RunQuery. Uses through links count; deleted runs are left out. Raises
    NotFound for an unknown version (a deleted one still answers) and Invalid for a cursor that no
    page returned.
    """
    access.require(actor, Action.READ, f"version {version}")
    with instance.database.reading() as connection:
        _version_end(connection, actor, version)
        keys, cursor, total = lineage_db.runs_of(connection, version, kind, page)
        records = runs_db.by_keys(
            connection, keys, instance.crashed_before(), with_documents=with_documents
        )
    return Page(tuple(records[key] for key in keys), cursor, total)


def versions_of(
    instance: Instance,
    actor: Actor,
    run: RunKey,
    kind: EdgeKind,
    page: PageRequest,
    *,
    with_metadata: bool = True,
) -> Page[VersionRecord]:
    """List the versions that a run used or logged, the oldest edge first; all of them.

    with_metadata: as in VersionQuery. Deleted versions are left out. Raises NotFound for an
    unknown run (a deleted one still answers) and Invalid for a cursor that no page returned.
    """
    access.require(actor, Action.READ, f"run {run}")
    with instance.database.reading() as connection:
        _run_end(connection, actor, run)
        ids, cursor, total = lineage_db.versions_of(connection, run, kind, page)
        records = versions_db.by_ids(connection, ids, with_metadata=with_metadata)
    return Page(tuple(records[id_] for id_ in ids), cursor, total)


def edges_of(instance: Instance, actor: Actor, run: RunKey, kind: EdgeKind) -> list[RunEdge]:
    """Return the edges to the live versions that a run used or logged, the oldest first.

    Raises NotFound for an unknown run (a deleted one still answers).
    """
    access.require(actor, Action.READ, f"run {run}")
    with instance.database.reading() as connection:
        _run_end(connection, actor, run)
        return lineage_db.edges_of_run(connection, run, kind)
