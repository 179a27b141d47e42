"""Deleting versions, collections, runs and projects.

What was deleted comes back by `restoring`, until the sweep has released it. Whole selections are
deleted by `retention` (docs/design/003-deletion.md).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.records import (
    CollectionId,
    CollectionKind,
    MembershipId,
    Page,
    PageRequest,
    RunKey,
)
from lineal.core.retention import Deletion
from lineal.db import collections as collections_db
from lineal.db import deletion as deletion_db
from lineal.db import gc_plan, protection
from lineal.db import projects as projects_db
from lineal.db import runs as runs_db
from lineal.db import versions as versions_db
from lineal.errors import Conflict
from lineal.service import catalog, finding, finding_runs
from lineal.service.instance import Instance

if TYPE_CHECKING:
    from lineal.db.rows import DeletionRow


def delete_version(
    instance: Instance,
    actor: Actor,
    membership_id: MembershipId,
    *,
    delete_aliases: bool,
    dry_run: bool = False,
) -> None:
    """Hide a version; its tombstone keeps name, number, digest and edges (DEL-1, LIN-9).

    A link is only unlinked. Raises Conflict while the version has aliases (unless
    `delete_aliases`), a protected alias (DEL-6), or is linked elsewhere (X-10). Deleting it twice
    changes nothing. dry_run: raise the same, and change nothing.
    """
    access.require(actor, Action.DELETE, f"version {membership_id}")
    now = instance.clock.now()
    with instance.database.writing() as connection:
        found = finding.membership(connection, actor, membership_id)
        if found.deleted_at is not None:
            return
        if found.is_link:
            if not dry_run:
                catalog.unlink(connection, actor, membership_id, now)
            return
        require_unprotected(connection, f"version {found.path}", [found.id])
        if found.aliases and not delete_aliases:
            raise Conflict(
                f"Version {found.path} has aliases ({', '.join(found.aliases)}); "
                "delete it with delete_aliases=True (`--delete-aliases`)"
            )
        if dry_run:
            return
        deletion_db.hide_versions(
            connection,
            [found.id],
            what=found.path,
            reason=deletion_db.USER,
            actor=actor.name,
            now=now,
        )


def delete_collection(instance: Instance, actor: Actor, collection_id: CollectionId) -> None:
    """Delete a collection: all versions of a sequence, all links of a portfolio (DEL-3).

    It is in no list until something is logged, linked or restored there: name and next number
    stay, so that a new version cannot take an old number. Raises Conflict naming links and
    protected aliases. Doing it again changes nothing.
    """
    access.require(actor, Action.DELETE, f"collection {collection_id}")
    now = instance.clock.now()
    with instance.database.writing() as connection:
        collections_db.lock(connection, collection_id)
        row = finding.collection_by_id(connection, actor, collection_id)
        if row.deleted_at is not None:
            return
        ids = deletion_db.versions_of_collection(connection, collection_id)
        if row.kind == CollectionKind.PORTFOLIO:
            for link in versions_db.live_members(connection, collection_id):
                catalog.unlink(connection, actor, link.membership_id, now)
        elif ids:
            path = "/".join(collections_db.full_name(connection, collection_id))
            require_unprotected(connection, f"collection {path}", ids)
            deletion_db.hide_versions(
                connection, ids, what=path, reason=deletion_db.USER, actor=actor.name, now=now
            )
        collections_db.hide(connection, collection_id, actor=actor.name, now=now)


def delete_run(
    instance: Instance,
    actor: Actor,
    run: RunKey,
    *,
    delete_artifacts: bool = False,
    force: bool = False,
) -> None:
    """Turn a run into a tombstone: hidden, but its id stays taken and lineage keeps its edges.

    delete_artifacts: also the versions that it logged first; if any is linked elsewhere or has a
    protected alias, nothing is deleted and Conflict names it, unless `force` (DEL-4, X-10).
    Restoring the run brings back what was deleted with it (`restoring.restore_run`).
    Doing it again changes nothing. Raises RunNotFoundError.
    """
    access.require(actor, Action.DELETE, f"run {run}")
    with instance.database.writing() as connection:
        row = finding_runs.by_key(connection, run, lock=True)
        now = instance.clock.now()
        produced: list[int] = []
        if delete_artifacts:
            produced = deletion_db.versions_of_run(connection, run)
            if not force:
                require_unprotected(
                    connection,
                    f"what run {runs_db.full_name(row)} logged",
                    produced,
                    or_else=", use force, or delete the run without its artifacts",
                )
        if row.deleted_at is not None and not produced:
            return
        deletion_id = deletion_db.record(
            connection,
            what=runs_db.full_name(row),
            reason=deletion_db.USER,
            actor=actor.name,
            now=now,
        )
        deletion_db.hide(connection, deletion_id, produced, actor=actor.name, now=now, force=force)
        deletion_db.hide_run(connection, deletion_id, run, actor=actor.name, now=now)


def delete_project(
    instance: Instance, actor: Actor, entity: str, name: str, *, force: bool = False
) -> None:
    """Hide a project with all its runs and versions, to be restored together (DEL-5).

    Its name stays taken. Raises ProjectNotFound, and Conflict naming links from other projects,
    protected aliases, and runs of other projects that used or logged its versions (RUN-38), unless
    `force`. Doing it again changes nothing.
    """
    full = f"{entity}/{name}"
    access.require(actor, Action.DELETE, f"project {full}")
    now = instance.clock.now()
    with instance.database.writing() as connection:
        row = projects_db.require_row(connection, entity, name, actor.name, lock=True)
        if row.deleted_at is not None:
            return
        ids = deletion_db.versions_of_project(connection, row.id)
        if not force:
            require_unprotected(
                connection, f"project {full}", ids, outside=row.id, or_else=", or use force"
            )
            _require_unused_elsewhere(connection, full, row.id)
        deletion_id = deletion_db.record(
            connection, what=full, reason=deletion_db.USER, actor=actor.name, now=now
        )
        deletion_db.hide_project(connection, deletion_id, row.id, actor=actor.name, now=now)
        # Nothing protects what is inside any more: the check above was made under the lock.
        deletion_db.hide(connection, deletion_id, ids, actor=actor.name, now=now, force=True)


def deletions(instance: Instance, actor: Actor, page: PageRequest) -> Page[Deletion]:
    """List all deletions, the newest first: who, when, why, and what is still hidden."""
    access.require(actor, Action.READ, "deletions")
    with instance.database.reading() as connection:
        rows, cursor, total = deletion_db.page(connection, page)
        names = _hidden_names(connection, [row.id for row in rows if row.version_count])
    found = tuple(record(instance, row, names.get(row.id, ())) for row in rows)
    return Page(found, cursor, total)


def record(instance: Instance, row: DeletionRow, versions: tuple[str, ...] = ()) -> Deletion:
    """Turn a row of `db.deletion` into a record; versions: names of some that it hides."""
    hidden = row.version_count + row.run_count + row.project_count
    is_over = row.restored_at is not None or hidden == row.released_count
    return Deletion(
        id=row.id,
        what=row.what,
        reason=row.reason,
        deleted_by=row.deleted_by,
        deleted_at=row.deleted_at,
        restored_at=row.restored_at,
        version_count=row.version_count,
        run_count=row.run_count,
        project_count=row.project_count,
        released_count=row.released_count,
        restorable_until=None if is_over else row.deleted_at + instance.undo_period,
        versions=versions,
    )


# --- the small steps ------------------------------------------------------------------------------


def _hidden_names(
    connection: Connection, deletion_ids: Sequence[int]
) -> dict[int, tuple[str, ...]]:
    """Return the names of the first versions that each deletion hides."""
    hidden = deletion_db.hidden_versions(connection, deletion_ids, finding.IN_MESSAGE_MOST)
    names = gc_plan.names_of(connection, [id for ids in hidden.values() for id in ids])
    return {key: tuple(names[id].name for id in ids) for key, ids in hidden.items()}


def require_unprotected(
    connection: Connection,
    what: str,
    version_ids: Sequence[int],
    *,
    outside: int | None = None,
    or_else: str = "",
) -> None:
    """Raise Conflict if any of the versions is linked or has a protected alias (X-10, DEL-6).

    outside: links in this project do not count. or_else: what else one may do, for the message.
    """
    protected = protection.protections_of(connection, version_ids)
    if protected:
        alias = protected[0].rpartition(":")[2]
        keeps = f"alias {protected[0]} keeps"
        if len(protected) > 1:
            keeps = f"aliases {finding.some(protected)} keep"
        raise Conflict(
            f"The protected {keeps} {what}; an administrator must take "
            f"{'it' if len(protected) == 1 else 'them'} off first, as "
            f"`lineal artifact alias {shlex.quote(protected[0])} {shlex.quote(alias)} --remove` "
            f"does{or_else}. Nothing was deleted"
        )
    linked = protection.links_of(connection, version_ids, outside=outside)
    if linked:
        raise Conflict(
            f"Cannot delete {what}: it is linked as {finding.some(linked)}; unlink it there first, "
            f"as `lineal artifact rm {shlex.quote(linked[0])}` does{or_else}. Nothing was deleted"
        )


def _require_unused_elsewhere(connection: Connection, project: str, project_id: int) -> None:
    """Raise Conflict if runs of other projects used or logged what is in this one."""
    found = protection.runs_elsewhere(connection, project_id, finding.IN_MESSAGE_MOST + 1)
    if found:
        raise Conflict(
            f"Cannot delete project {project}: runs of other projects used or logged versions that "
            f"are in it, {finding.some(found)}; use force. Nothing was deleted"
        )
