"""Undoing deletions: what was hidden is live again, with its aliases (DEL-7)."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.full_names import ArtifactPath
from lineal.core.moments import in_utc
from lineal.core.names import version_number
from lineal.core.records import CollectionKind, RunRecord
from lineal.core.retention import Restored, RestoredVersion
from lineal.db import collections as collections_db
from lineal.db import deletion as deletion_db
from lineal.db import projects as projects_db
from lineal.db import restoring as restoring_db
from lineal.db import retention as retention_db
from lineal.db import runs as runs_db
from lineal.db import ttl as ttl_db
from lineal.db import versions as versions_db
from lineal.errors import Conflict, Gone, Invalid, NotFound, RunNotFoundError
from lineal.service import finding, finding_runs
from lineal.service.instance import Instance


def restore(instance: Instance, actor: Actor, deletion_id: int) -> Restored:
    """Undo a deletion: versions, runs and a project come back, with their aliases.

    An alias that somebody set since stays where it is (DEL-7). Raises NotFound, Gone once all of
    it was released, Conflict while a project that holds it is itself deleted. Doing it again
    changes nothing.
    """
    access.require(actor, Action.DELETE, f"deletion {deletion_id}")
    with instance.database.writing() as connection:
        return _restore(instance, connection, actor, deletion_id)


def restore_version(instance: Instance, actor: Actor, path: ArtifactPath) -> RestoredVersion:
    """Bring one version back, named by its number; a live one is left alone.

    Raises NotFound, Gone once its content was released, Conflict in a deleted project.
    """
    access.require(actor, Action.DELETE, f"artifact {path}")
    now = instance.clock.now()
    with instance.database.writing() as connection:
        collection = finding.collection(connection, actor, path)
        if version_number(path.ref) is None:
            raise Invalid(
                f"A deleted version has no aliases; name it by its number, not {path.ref!r}. "
                "`lineal deletions` lists what was deleted"
            )
        found = versions_db.resolve(connection, collection.id, path.ref)
        if found is None and collection.kind == CollectionKind.PORTFOLIO:
            raise NotFound(
                f"No link {path} (you are {actor.name}); one that was removed does not come back, "
                "link its version again with `lineal artifact link`"
            )
        if found is None:
            raise NotFound(
                f"No version {path}, nor a deleted one (you are {actor.name}); "
                "`lineal deletions` lists what was deleted"
            )
        if found.deleted_at is None:
            return RestoredVersion(found, Restored())
        if found.released_at is not None:
            raise finding.gone_version(connection, found)
        if found.is_link:
            raise Invalid(
                f"{found.path} is a link; restore {found.source_path}, and the link comes with it"
            )
        back = restoring_db.restore_version(connection, found.id, actor=actor.name, now=now)
        restored = _restored(connection, back, now)
        version = versions_db.by_membership(connection, found.membership_id)
    assert version is not None
    return RestoredVersion(version, restored)


def restore_collection(
    instance: Instance, actor: Actor, entity: str, project: str, name: str
) -> Restored:
    """Bring back what the last deletion hid in a collection, and the collection itself.

    Raises NotFound, also when nothing of it can be restored.
    """
    path = ArtifactPath(entity, project, name)
    access.require(actor, Action.DELETE, f"collection {path.without_ref}")
    now = instance.clock.now()
    with instance.database.writing() as connection:
        collection = finding.collection(connection, actor, path)
        deletion_id = deletion_db.newest_of_collection(connection, collection.id)
        if deletion_id is None and collection.deleted_at is None:
            raise NotFound(
                f"No version of {path.without_ref} was deleted that could be restored; "
                "`lineal deletions` lists what was deleted"
            )
        released = deletion_db.released_of_collection(connection, collection.id, deletion_id)
        if deletion_id is None:
            shown = collections_db.show(connection, [collection.id])
            return Restored(collections=shown, released=released)
        back = restoring_db.restore_in_collection(
            connection, collection.id, deletion_id, actor=actor.name, now=now
        )
        restored = _restored(connection, back, now)
    return replace(restored, released=released)


def restore_run(
    instance: Instance, actor: Actor, entity: str, project: str, run_id: str
) -> RunRecord:
    """Undo the deletion of a run, with the versions that were deleted with it (DEL-4).

    A live run is left alone. Raises RunNotFoundError, Gone, Conflict as `restore` does.
    """
    name = f"{entity}/{project}/{run_id}"
    access.require(actor, Action.DELETE, f"run {name}")
    with instance.database.writing() as connection:
        row = runs_db.find(connection, entity, project, run_id)
        if row is None:
            raise RunNotFoundError(
                f"No run {name} (you are {actor.name}); `lineal deletions` lists what was deleted"
            )
        if row.deleted_at is not None:
            if row.released_at is not None:
                raise finding_runs.gone(row)
            projects_db.require(connection, row.entity, row.project, actor.name)
            assert row.deletion_id is not None
            _restore(instance, connection, actor, row.deletion_id)
        return finding_runs.record(instance, connection, finding_runs.require(connection, row.id))


def restore_project(instance: Instance, actor: Actor, entity: str, name: str) -> Restored:
    """Undo the deletion of a project; a live one is left alone.

    What was deleted before the project stays deleted. Raises NotFound.
    """
    access.require(actor, Action.DELETE, f"project {entity}/{name}")
    with instance.database.writing() as connection:
        row = projects_db.require_row(connection, entity, name, actor.name)
        if row.deleted_at is None:
            return Restored()
        assert row.deletion_id is not None
        return _restore(instance, connection, actor, row.deletion_id)


def _restore(
    instance: Instance, connection: Connection, actor: Actor, deletion_id: int
) -> Restored:
    """Undo a deletion, which is locked before all that it hid: nobody else does so meanwhile."""
    now = instance.clock.now()
    deletion = deletion_db.lock(connection, deletion_id)
    if deletion is None:
        raise NotFound(
            f"No deletion {deletion_id} (you are {actor.name}); `lineal deletions` lists them"
        )
    hidden = deletion.version_count + deletion.run_count + deletion.project_count
    if deletion.restored_at is not None or not hidden:
        return Restored()
    if hidden == deletion.released_count:
        raise Gone(
            f"What {deletion.deleted_by} deleted on {in_utc(deletion.deleted_at)} "
            f"({deletion.what}) was released and cannot come back"
        )
    project = deletion_db.hidden_project_of(connection, deletion_id)
    if project is not None:
        raise Conflict(
            f"Project {project} is deleted itself; restore it first with "
            f"`lineal project restore {shlex.quote(project)}`"
        )
    back = restoring_db.restore(connection, deletion_id, actor=actor.name, now=now)
    return replace(_restored(connection, back, now), released=deletion.released_count)


def _restored(connection: Connection, back: restoring_db.Back, now: datetime) -> Restored:
    """Keep what came back from expiring again, and from policies; says what that was."""
    return Restored(
        versions=len(back.version_ids),
        runs=back.runs,
        projects=back.projects,
        aliases=back.aliases,
        exempted=ttl_db.exempt_expired(connection, back.version_ids, now),
        let_go=retention_db.keep_let_go(connection, back.version_ids, now),
        collections=back.collections,
    )
