"""Where the bytes are: by project, collection or version."""

from __future__ import annotations

import re

from sqlalchemy import Connection

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.full_names import ArtifactPath
from lineal.core.gc import Amount, StorageReport, StorageRow
from lineal.db import gc_plan
from lineal.db import projects as projects_db
from lineal.db import storage as storage_db
from lineal.errors import Invalid
from lineal.service import finding, strays
from lineal.service.instance import Instance

_DIGITS = re.compile("([0-9]+)")


def storage(
    instance: Instance,
    actor: Actor,
    *,
    entity: str | None = None,
    project: str | None = None,
    collection: str | None = None,
) -> StorageReport:
    """Report stored bytes: of all projects, of an entity's, of a project's collections, or of a
    collection's versions.

    Exact at one moment: own, shared, pending, drafts, orphaned and elsewhere add up to `total`.
    For all projects the names of all files in the store are read, too, right after that.
    Raises NotFound, naming what is called alike. Source: DEL-8.
    """
    what = "/".join(part for part in (entity, project, collection) if part)
    access.require(actor, Action.READ, f"the storage of {what or 'the instance'}")
    if (project and not entity) or (collection and not project):
        raise Invalid("Name the entity with a project, and both with a collection")
    now = instance.clock.now()
    cutoff = now - instance.undo_period
    with instance.database.reading() as connection:
        scope = _scope(connection, actor, entity, project, collection)
        names = storage_db.names(connection, scope)
        sums = storage_db.sums(connection, scope, cutoff=cutoff, now=now)
        condemned = gc_plan.condemned_amount(connection)
    found = [StorageRow(names[unit], *sizes) for unit, *sizes in sums.rows]
    found.sort(key=_largest_first)
    sizes = {kind: size for kind, (_, size) in sums.totals.items()}
    no_blobs = strays.Totals(Amount(), Amount(), ())
    if not what:
        no_blobs = strays.totals(instance, expired_by=now)
    return StorageReport(
        rows=tuple(found),
        total=Amount(sum(count for count, _ in sums.totals.values()), sum(sizes.values())),
        own_bytes=sizes.get(storage_db.OWN, 0),
        shared_bytes=sizes.get(storage_db.SHARED, 0),
        pending_bytes=sizes.get(storage_db.WAITING, 0),
        draft_bytes=sizes.get(storage_db.DRAFTS, 0),
        orphaned_bytes=sizes.get(storage_db.ORPHANED, 0),
        elsewhere_bytes=sizes.get(storage_db.OTHERS, 0),
        condemned=condemned,
        strays=no_blobs.dead,
        fresh_strays=no_blobs.fresh,
    )


def _largest_first(row: StorageRow) -> tuple[int, list[str | int]]:
    """Order rows by their bytes, then by name; `v9` comes before `v10`."""
    parts = _DIGITS.split(row.name)  # every second one is a number
    name = [int(part) if index % 2 else part for index, part in enumerate(parts)]
    return -row.own_bytes - row.shared_bytes - row.pending_bytes, name


def _scope(
    connection: Connection,
    actor: Actor,
    entity: str | None,
    project: str | None,
    collection: str | None,
) -> storage_db.Scope:
    if entity is None:
        return storage_db.Scope()
    if project is None:
        return storage_db.Scope(entity=projects_db.require_entity(connection, entity, actor.name))
    if collection is None:
        return storage_db.Scope(
            project=projects_db.require(connection, entity, project, actor.name)
        )
    row = finding.collection(connection, actor, ArtifactPath(entity, project, collection))
    return storage_db.Scope(collection=row.id)
