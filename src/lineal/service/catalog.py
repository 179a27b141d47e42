"""Versions and collections: reading, listing and linking them, changing what they say."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from lineal.core import access, limits, names
from lineal.core.access import Action, Actor
from lineal.core.full_names import ArtifactPath
from lineal.core.moments import in_utc
from lineal.core.records import (
    AliasMove,
    CollectionId,
    CollectionKind,
    CollectionPatch,
    CollectionQuery,
    CollectionRecord,
    JsonObject,
    MembershipId,
    Page,
    PageRequest,
    VersionId,
    VersionPatch,
    VersionQuery,
    VersionRecord,
)
from lineal.db import aliases as aliases_db
from lineal.db import collections as collections_db
from lineal.db import lists as lists_db
from lineal.db import projects as projects_db
from lineal.db import redirects as redirects_db
from lineal.db import versions as versions_db
from lineal.errors import Conflict, Exists, Gone, Invalid
from lineal.service import finding
from lineal.service.instance import Instance

if TYPE_CHECKING:
    from lineal.db.rows import CollectionRow

# --- reading versions ---------------------------------------------------------------------------


def version(
    instance: Instance, actor: Actor, path: ArtifactPath, *, with_deleted: bool = False
) -> VersionRecord:
    """Resolve a name; raises NotFound naming what is there instead, Gone for a deleted version.

    with_deleted: return that one, too; its number leads to it for ever, its aliases do not.
    Source: NAM-5, NAM-6, VER-3, ALI-4; pain 70.
    """
    access.require(actor, Action.READ, f"artifact {path}")
    with instance.database.reading() as connection:
        found = finding.version(connection, actor, path)
        if found.deleted_at is not None and not with_deleted:
            raise finding.gone_version(connection, found)
    return found


def version_by_id(instance: Instance, actor: Actor, version_id: VersionId) -> VersionRecord:
    """Return a version in its source collection, also a deleted one."""
    access.require(actor, Action.READ, f"version {version_id}")
    with instance.database.reading() as connection:
        return finding.version_by_id(connection, actor, version_id)


def versions(
    instance: Instance, actor: Actor, query: VersionQuery, page: PageRequest
) -> Page[VersionRecord]:
    """List the versions of a collection, the newest first unless ordered otherwise (API-4).

    Raises NotFound (project or collection), Gone (deleted project), Invalid for another type than
    the collection's and for a filter, order or cursor that is wrong.
    """
    path = ArtifactPath(query.entity, query.project, query.collection)
    access.require(actor, Action.READ, f"collection {path.without_ref}")
    with instance.database.reading() as connection:
        collection = finding.collection(connection, actor, path)
        names.require_type(f"Collection {path.without_ref}", collection.type, query.type)
        return lists_db.versions_page(connection, collection.id, query, page)


def links(instance: Instance, actor: Actor, version_id: VersionId) -> list[VersionRecord]:
    """List the live links of a version, its source not among them (ART-14).

    Raises NotFound for an unknown version; those of a deleted one are listed all the same.
    """
    access.require(actor, Action.READ, f"version {version_id}")
    with instance.database.reading() as connection:
        finding.version_by_id(connection, actor, version_id)
        return versions_db.links(connection, version_id)


def alias_history(
    instance: Instance, actor: Actor, collection_id: CollectionId, alias: str | None
) -> list[AliasMove]:
    """List where an alias of a collection has been, the oldest move first.

    alias: None for all of them, those of deleted versions included; one that never was has no
    moves. Raises NotFound for an unknown collection; a deleted one still answers.
    """
    access.require(actor, Action.READ, f"collection {collection_id}")
    with instance.database.reading() as connection:
        finding.collection_by_id(connection, actor, collection_id)
        rows = aliases_db.moves(connection, collection_id, alias)
    return [
        AliasMove(
            alias=row.alias,
            before=_version_name(row.before_number),
            after=_version_name(row.after_number),
            actor=row.moved_by,
            moved_at=row.moved_at,
        )
        for row in rows
    ]


# --- reading collections ------------------------------------------------------------------------


def collection(
    instance: Instance, actor: Actor, entity: str, project: str, name: str
) -> CollectionRecord:
    """Return a collection; raises NotFound naming near misses, Gone for a deleted one."""
    path = ArtifactPath(entity, project, name)
    access.require(actor, Action.READ, f"collection {path.without_ref}")
    with instance.database.reading() as connection:
        row = finding.collection(connection, actor, path)
        if row.deleted_at is not None:
            raise finding.gone_collection(row, path.without_ref)
        return collections_db.record(connection, row.id)


def collection_by_id(
    instance: Instance, actor: Actor, collection_id: CollectionId
) -> CollectionRecord:
    """Return a collection under the name that it has by now, a deleted one too. Raises NotFound."""
    access.require(actor, Action.READ, f"collection {collection_id}")
    with instance.database.reading() as connection:
        finding.collection_by_id(connection, actor, collection_id)
        return collections_db.record(connection, collection_id)


def collections(
    instance: Instance, actor: Actor, query: CollectionQuery, page: PageRequest
) -> Page[CollectionRecord]:
    """List the collections of a project, by name unless ordered otherwise (API-5).

    Raises NotFound, Gone (deleted project), Invalid for a filter, order or cursor that is wrong.
    """
    access.require(actor, Action.READ, f"project {query.entity}/{query.project}")
    with instance.database.reading() as connection:
        project_id = projects_db.require(connection, query.entity, query.project, actor.name)
        return lists_db.collections_page(connection, project_id, query, page)


def artifact_types(instance: Instance, actor: Actor, entity: str, project: str) -> list[str]:
    """List the types of a project's collections in alphabetical order. Raises NotFound, Gone."""
    access.require(actor, Action.READ, f"project {entity}/{project}")
    with instance.database.reading() as connection:
        project_id = projects_db.require(connection, entity, project, actor.name)
        return collections_db.types(connection, project_id)


# --- changing -----------------------------------------------------------------------------------


def update_version(
    instance: Instance, actor: Actor, membership_id: MembershipId, patch: VersionPatch
) -> VersionRecord:
    """Change what is written on a version; description, metadata and tags are the source's.

    Metadata is merged by top-level key, so that two writers both count.

    With `expected_version`, aliases are moved only if each is where the caller thinks it is,
    else Conflict says where it is (ALI-6). Raises Gone for a deleted version and for a link that
    was removed. All or nothing. Source: ART-12, ART-13, ALI-2.
    """
    access.require(actor, Action.WRITE, f"version {membership_id}")
    added, removed = names.aliases(patch.aliases_added), names.strings(patch.aliases_removed)
    tags = names.tags(patch.tags_added)
    now = instance.clock.now()
    with instance.database.writing() as connection:
        found, collection_id = _locked(connection, actor, membership_id)
        _require_expected(connection, found, collection_id, patch)
        own = [name for name in removed if name in found.aliases]
        aliases_db.take_off(connection, collection_id, own, actor=actor.name, now=now)
        aliases_db.put(
            connection,
            collection_id,
            versions_db.Membership(membership_id, found.number),
            added,
            actor=actor.name,
            now=now,
        )
        versions_db.remove_tags(connection, found.id, patch.tags_removed)
        versions_db.add_tags(connection, found.id, tags)
        values: dict[str, Any] = {"updated_at": now}
        if patch.description is not None:
            values["description"] = patch.description
        if patch.metadata is not None or patch.metadata_removed:
            values["metadata"] = _merged_metadata(connection, found.id, patch)
        versions_db.change(connection, found.id, values)
        return finding.membership(connection, actor, membership_id)


def link_version(
    instance: Instance,
    actor: Actor,
    version_id: VersionId,
    target: ArtifactPath,
    aliases: Sequence[str],
    *,
    number: int | None = None,
) -> VersionRecord:
    """Put a version into a portfolio, with a number and a `latest` of that portfolio's own.

    number: the one to take if the portfolio has never given it. Linking it again only moves the
    aliases. Raises Exists if the target holds versions of its
    own, or is shown as something else than the target's display name, Invalid if it holds another
    type, or for a name that may not be. Source: REG-2, REG-3, ART-9, NAM-1, NAM-4.
    """
    access.require(actor, Action.WRITE, f"project {target.entity}/{target.project}")
    wanted = list(dict.fromkeys([*names.aliases(aliases), names.LATEST]))
    names.entity_name(target.entity)
    names.project_name(target.project)
    names.artifact_name(target.name)
    now = instance.clock.now()
    with instance.database.writing() as connection:
        source = finding.version_by_id(connection, actor, version_id)
        portfolio = _portfolio(connection, target, source, now)
        collections_db.lock(connection, portfolio.id)
        if not versions_db.lock(connection, version_id):
            gone = finding.version_by_id(connection, actor, version_id)
            raise finding.gone_version(connection, gone)
        link = versions_db.live_membership(connection, portfolio.id, version_id)
        if link is None:
            link = versions_db.add_membership(
                connection, portfolio.id, version_id, now, wanted_number=number
            )
        aliases_db.put(connection, portfolio.id, link, wanted, actor=actor.name, now=now)
        return finding.membership(connection, actor, MembershipId(link.id))


def unlink_version(instance: Instance, actor: Actor, membership_id: MembershipId) -> None:
    """Remove a link; raises Invalid for a version in its own collection (DEL-2).

    Doing it again changes nothing.
    """
    access.require(actor, Action.WRITE, f"version {membership_id}")
    now = instance.clock.now()
    with instance.database.writing() as connection:
        found = finding.membership(connection, actor, membership_id)
        if not found.is_link:
            raise Invalid(f"{found.path} is not a link; use delete() to delete the version itself")
        unlink(connection, actor, membership_id, now)


def update_collection(
    instance: Instance, actor: Actor, collection_id: CollectionId, patch: CollectionPatch
) -> CollectionRecord:
    """Rename, describe, retag, or change the type of a collection (API-6, pain 73).

    Its old name goes on leading to it while nothing else has that name.
    Raises Gone for a deleted one, Exists for a name that is taken, Invalid for a name, display
    name or tag that cannot be.
    """
    access.require(actor, Action.WRITE, f"collection {collection_id}")
    with instance.database.writing() as connection:
        collections_db.lock(connection, collection_id)
        row = finding.collection_by_id(connection, actor, collection_id)
        if row.deleted_at is not None:
            path = "/".join(collections_db.full_name(connection, collection_id))
            raise finding.gone_collection(row, path)
        now = instance.clock.now()
        values: dict[str, Any] = {"updated_at": now}
        if patch.name is not None and patch.name != row.name:
            names.user_artifact(names.artifact_name(patch.name), patch.type or row.type)
            _take_name(connection, row, patch.name, now)
            values["name"] = patch.name
        if patch.type is not None and patch.type != row.type:
            _require_type_change(row, patch.type)
            values["type"] = patch.type
        if patch.description is not None:
            values["description"] = patch.description
        if patch.display_name is not None:
            values["display_name"] = names.display_name(patch.display_name)
        collections_db.change(connection, collection_id, values)
        if patch.tags is not None:
            current = collections_db.record(connection, collection_id).tags
            after = names.tags_after(current, patch.tags_before, names.tags(patch.tags))
            collections_db.set_tags(connection, collection_id, after)
        return collections_db.record(connection, collection_id)


# --- the small steps ----------------------------------------------------------------------------


def _locked(
    connection: Connection, actor: Actor, membership_id: MembershipId
) -> tuple[VersionRecord, int]:
    """Return a live version or link, and its collection, in which nobody else moves an alias now.

    Raises NotFound, or Gone for a deleted version and for a link that was removed.
    """
    finding.membership(connection, actor, membership_id)
    collection_id = versions_db.collection_of(connection, membership_id)
    collections_db.lock(connection, collection_id)
    found = finding.membership(connection, actor, membership_id)  # as it is now that it is locked
    if found.deleted_at is not None:
        raise finding.gone_version(connection, found)
    removed_at = versions_db.removed_at(connection, membership_id)
    if removed_at is not None:
        raise Gone(
            f"Link {found.path} was removed on {in_utc(removed_at)}; link {found.source_name} "
            "again, or change that itself"
        )
    return found, collection_id


def _merged_metadata(
    connection: Connection, version_id: VersionId, patch: VersionPatch
) -> JsonObject:
    """Return what the metadata becomes. Raises Invalid where that is too large (MET-1)."""
    before = versions_db.metadata_to_change(connection, version_id)
    kept = {key: value for key, value in before.items() if key not in patch.metadata_removed}
    merged = kept | (patch.metadata or {})
    limits.check_metadata(merged)
    return merged


def _require_expected(
    connection: Connection, found: VersionRecord, collection_id: int, patch: VersionPatch
) -> None:
    if not patch.expected_version:
        return
    now_at = aliases_db.numbers(connection, collection_id, list(patch.expected_version))
    for alias, expected in patch.expected_version.items():
        if expected is not None and names.version_number(str(expected)) is None:
            raise Invalid(
                f"Alias `{alias}` is expected on {expected!r}, which is no version such as `v3`; "
                "say None (`none` on the command line) where it is to be on none yet"
            )
        actual = _version_name(now_at.get(alias))
        if actual != expected:
            raise Conflict(
                f"Alias `{alias}` of {found.entity}/{found.project}/{found.collection} is on "
                f"{actual or 'no version'}, not on {expected or 'none'}; nothing was changed"
            )


def unlink(
    connection: Connection, actor: Actor, membership_id: MembershipId, now: datetime
) -> None:
    """Remove a link, if it is there still."""
    collection_id = versions_db.collection_of(connection, membership_id)
    collections_db.lock(connection, collection_id)
    if versions_db.removed_at(connection, membership_id) is not None:
        return  # the grace period of what it kept goes on (TTL-11)
    link = finding.membership(connection, actor, membership_id)
    aliases_db.take_off(
        connection, collection_id, link.aliases, actor=actor.name, now=now, asked_for=False
    )
    versions_db.remove_membership(connection, membership_id, now)
    if names.LATEST in link.aliases:
        aliases_db.settle_latest(connection, [collection_id], actor=actor.name, now=now)


def _portfolio(
    connection: Connection, target: ArtifactPath, source: VersionRecord, now: datetime
) -> CollectionRow:
    project_id = projects_db.ensure(connection, target.entity, target.project, now)
    row = collections_db.ensure(
        connection,
        project_id,
        target.name,
        source.type,
        CollectionKind.PORTFOLIO,
        now,
        display_name=names.display_name(target.display_name),
    )
    if target.display_name not in (None, row.display_name):
        raise Exists(
            f"{target.display_name!r} would be the collection {target.without_ref}, which is there "
            f"already as {row.display_name or row.name!r}; link to `{target.name}` if you mean that"
        )
    if row.kind != CollectionKind.PORTFOLIO:
        raise Exists(f"{target.without_ref} holds versions of its own; link to another name")
    names.require_type(f"Collection {target.without_ref}", row.type, source.type)
    return row


def _take_name(connection: Connection, row: CollectionRow, name: str, now: datetime) -> None:
    """Let a collection be renamed: its old name leads on, and the new one leads nowhere else."""
    holder = collections_db.named(connection, row.project_id, name)
    if holder is not None:
        path = "/".join(collections_db.full_name(connection, holder.id))
        why = "exists already"
        if collections_db.is_only_begun(holder):
            why = "has a draft, and may have versions soon"
        elif holder.deleted_at is not None:  # its numbers are never given again (DEL-10)
            back = f"`lineal artifact restore {shlex.quote(path)}` brings it back"
            why = f"was deleted, and keeps its name and numbers ({back})"
        raise Exists(f"Collection {path} {why}; choose another name")
    redirects_db.add(connection, redirects_db.COLLECTION, row.project_id, row.name, row.id, now)
    redirects_db.remove(connection, redirects_db.COLLECTION, row.project_id, name)


def _require_type_change(row: CollectionRow, type: str) -> None:
    names.type_name(type)
    names.user_artifact(row.name, row.type)
    names.user_artifact(row.name, type)
    if row.kind != CollectionKind.SEQUENCE:
        raise Invalid(f"The type of {row.name} follows its links and cannot be changed")


def _version_name(number: int | None) -> str | None:
    return None if number is None else f"v{number}"
