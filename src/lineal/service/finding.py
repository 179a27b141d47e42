"""Finding versions and collections, and saying what is there instead or where they went.

For use cases, within their transaction: each has asked who may before. Deleted ones are found,
too; what that means is the caller's matter.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from lineal.core import names
from lineal.core.access import Actor
from lineal.core.full_names import ArtifactPath
from lineal.core.moments import in_utc
from lineal.core.records import CollectionId, MembershipId, VersionId, VersionRecord
from lineal.db import aliases as aliases_db
from lineal.db import collections as collections_db
from lineal.db import deletion as deletion_db
from lineal.db import projects as projects_db
from lineal.db import versions as versions_db
from lineal.errors import Gone, NotFound
from lineal.nearest import NEAR_MISSES_MOST, near_misses, nearest

if TYPE_CHECKING:
    from lineal.db.rows import CollectionRow

IN_MESSAGE_MOST = 5
"""Names that one message lists."""
ALIASES_IN_MESSAGE_MOST = 20


def collection(connection: Connection, actor: Actor, path: ArtifactPath) -> CollectionRow:
    """Return the row of a collection, a moved one also by its old name; the ref is not looked at.

    Raises NotFound naming near misses, Gone for a deleted project.
    """
    project_id = projects_db.require(connection, path.entity, path.project, actor.name)
    row = collections_db.find(connection, project_id, path.name)
    if row is None:
        known = collections_db.names(connection, project_id, NEAR_MISSES_MOST)
        project = "/".join((path.entity, path.project))
        listed = f"`lineal artifact ls {shlex.quote(project)}` lists"
        hint = (
            near_misses(path.name, known, others=listed)
            if known
            else "; none is there yet, `lineal artifact put PATH` logs one"
        )
        raise NotFound(f"No artifact {path.without_ref} (you are {actor.name}){hint}")
    return row


def collection_by_id(
    connection: Connection, actor: Actor, collection_id: CollectionId
) -> CollectionRow:
    """Return the row of a collection. Raises NotFound."""
    row = collections_db.by_id(connection, collection_id)
    if row is None:
        raise NotFound(f"No collection {collection_id} (you are {actor.name})")
    return row


def version(connection: Connection, actor: Actor, path: ArtifactPath) -> VersionRecord:
    """Return a version; a deleted one by its number or digest only.

    Raises NotFound naming what is there instead, Gone for a deleted project or collection.
    """
    row = collection(connection, actor, path)
    found = versions_db.resolve(connection, row.id, path.ref)
    if found is None and row.deleted_at is not None:
        raise gone_collection(row, path.without_ref)
    if found is None:
        raise _no_version(connection, actor, path, row.id)
    return found


def version_by_id(connection: Connection, actor: Actor, version_id: VersionId) -> VersionRecord:
    """Return a version in its source collection. Raises NotFound."""
    found = versions_db.by_id(connection, version_id)
    if found is None:
        raise NotFound(f"No version {version_id} (you are {actor.name})")
    return found


def membership(connection: Connection, actor: Actor, membership_id: MembershipId) -> VersionRecord:
    """Return a version or link, a removed one too. Raises NotFound."""
    found = versions_db.by_membership(connection, membership_id)
    if found is None:
        raise NotFound(f"No version {membership_id} (you are {actor.name})")
    return found


def gone_collection(row: CollectionRow, name: str) -> Gone:
    """Say who deleted a collection, and how it comes back; name: with entity and project."""
    assert row.deleted_at is not None
    return Gone(
        f"Artifact {name} was deleted by {row.deleted_by} on {in_utc(row.deleted_at)}; "
        f"`lineal artifact restore {shlex.quote(name)}` brings back what can be restored, "
        "and its name can be logged to again"
    )


def gone_version(connection: Connection, found: VersionRecord) -> Gone:
    """Say who or what deleted a version, and how it comes back if it can (TTL-13)."""
    assert found.deleted_at is not None
    back = f"; restore it with `lineal artifact restore {shlex.quote(found.path)}`"
    if found.released_at is not None:
        back = "; its content was released and cannot come back"
    how = how_it_went(connection, found.id, found.deleted_by)
    return Gone(f"Version {found.path} {how} on {in_utc(found.deleted_at)}{back}")


def how_it_went(connection: Connection, version_id: VersionId, deleted_by: str | None) -> str:
    """Say what became of a deleted version: `expired`, `was deleted by ana` …"""
    reason = deletion_db.reason_of(connection, version_id)
    if reason == deletion_db.EXPIRED:
        return "expired, and was deleted"
    if reason == deletion_db.RETENTION:
        return "was deleted by a retention policy"
    return f"was deleted by {deleted_by}"


def some(found: Sequence[str], most: int = IN_MESSAGE_MOST) -> str:
    """Name some of what was found, in one line."""
    return ", ".join(found[:most]) + (" …" if len(found) > most else "")


def _no_version(
    connection: Connection, actor: Actor, path: ArtifactPath, collection_id: int
) -> NotFound:
    known = aliases_db.names(connection, collection_id)
    if names.LATEST not in known and _has_live_version(connection, collection_id):
        known = sorted([*known, names.LATEST])  # taken off by hand, it falls back (ALI-4)
    shown = some(_nearest(path.ref, known), ALIASES_IN_MESSAGE_MOST)
    there = f"Aliases there: {shown}" if known else "It has no live version"
    if not known and deletion_db.newest_of_collection(connection, collection_id) is not None:
        restore = f"`lineal artifact restore {shlex.quote(path.without_ref)}`"
        there += f"; {restore} brings back what was deleted last"
    if known and names.version_number(path.ref) is not None:
        numbers = versions_db.live_numbers(connection, collection_id, IN_MESSAGE_MOST + 1)
        there = f"Versions there: {some([f'v{number}' for number in numbers])}. {there}"
    return NotFound(
        f"No version `{path.ref}` in {path.without_ref} (you are {actor.name}). {there}"
    )


def _nearest(ref: str, known: list[str]) -> list[str]:
    """Return aliases with those in front that may have been meant, if there are too many to name.

    A pipeline may name every version: of so many, only a part is looked at for what is near.
    """
    if len(known) <= ALIASES_IN_MESSAGE_MOST:
        return known
    near = nearest(ref, known[:NEAR_MISSES_MOST], count=3)
    near += [names.LATEST] if names.LATEST in known and names.LATEST not in near else []
    return near + [alias for alias in known if alias not in near]


def _has_live_version(connection: Connection, collection_id: int) -> bool:
    return versions_db.resolve(connection, collection_id, names.LATEST) is not None
