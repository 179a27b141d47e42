"""The strict path for personal data: content is gone when the call returns, and that is proved.

What stays is the tombstone: name, number, digest, producer, edges (invariant 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from lineal.blobs.store import StoredFile
from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.cleanup import NAMED_MOST, Amount, Failure, KeptBlob, Proof
from lineal.core.digest import Digest, Key, of_key, storage_key
from lineal.core.names import ArtifactPath
from lineal.core.records import CollectionKind, VersionRecord
from lineal.db import deletion as deletion_db
from lineal.db import gc as gc_db
from lineal.db import gc_plan
from lineal.db import versions as versions_db
from lineal.errors import Invalid, NotFound
from lineal.service import deletion, finding, gc, strays
from lineal.service.instance import Instance

PAGE = 10_000
"""Blobs read per query."""
NEEDED_BY_MOST = 5
"""Names of those that need a kept blob."""
UNDER_WAY = "an upload under way"


def purge(
    instance: Instance,
    actor: Actor,
    path: ArtifactPath,
    *,
    all_versions: bool = False,
    force: bool = False,
) -> Proof:
    """Delete the content of a version, or of a whole collection, at once and for good.

    all_versions: those of the path's name, tombstones too, whatever its ref says. The undo period
    does not matter; tombstones stay. Bytes that something else needs stay as well and are listed
    with what needs them: a purge never damages another version.
    Raises NotFound, Conflict (linked or protected, unless `force`), Invalid (links).

    May be repeated; after a crash the same call finishes, or any sweep does. What was downloaded
    elsewhere, and private copies of a process that is just logging the same, are out of reach.
    Source: TTL-1, DEL-7.
    """
    what = path.without_ref if all_versions else str(path)
    access.require(actor, Action.ADMINISTER, f"artifact {what}")
    with instance.database.reading() as connection:
        ids = _version_ids(connection, actor, path, all_versions=all_versions)
    content = _content(instance, ids)
    with instance.database.scrubbing():
        with instance.database.writing() as connection:
            _release(connection, actor, what, ids, instance.clock.now(), force=force)
        gc.forget_unneeded(instance, actor)
    copies = _remove_copies(instance, {Digest(row.digest) for row in content})
    return _proof(instance, what, ids, content, copies)


def _version_ids(
    connection: Connection, actor: Actor, path: ArtifactPath, *, all_versions: bool
) -> list[int]:
    row = finding.collection(connection, actor, path)
    if not all_versions:
        return [_version(connection, actor, path, row.id).id]
    if row.kind == CollectionKind.PORTFOLIO:
        raise Invalid(
            f"{path.without_ref} holds links only; purge the versions where they were logged"
        )
    return gc_db.versions_in(connection, row.id)


def _version(
    connection: Connection, actor: Actor, path: ArtifactPath, collection_id: int
) -> VersionRecord:
    found = versions_db.resolve(connection, collection_id, path.ref)
    if found is None:
        raise NotFound(
            f"No version `{path.ref}` in {path.without_ref} "
            f"(you are {actor.name}); a deleted version is named by its number"
        )
    if found.is_link:
        raise Invalid(
            f"{found.path} is a link; purge {found.source_entity}/{found.source_project}/"
            f"{found.source_collection}:v{found.source_number}, which has the content"
        )
    return found


def _content(instance: Instance, version_ids: Sequence[int]) -> list[Row[*tuple[Any, ...]]]:
    found: list[Row[*tuple[Any, ...]]] = []
    while True:
        after = found[-1].id if found else 0
        with instance.database.reading() as connection:
            page = gc_db.content_of(connection, version_ids, after=after, limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found


def _release(
    connection: Connection,
    actor: Actor,
    what: str,
    ids: Sequence[int],
    now: datetime,
    *,
    force: bool,
) -> None:
    if not force:
        deletion.require_unprotected(connection, what, ids, or_else=", or use force")
    deletion_id = deletion_db.record(
        connection, what=what, reason=deletion_db.PURGE, actor=actor.name, now=now
    )
    deletion_db.hide(connection, deletion_id, ids, actor=actor.name, now=now, force=force)
    gc_db.release_at_once(connection, ids, now)


@dataclass(frozen=True)
class _Copies:
    """Further copies of the same bytes that are no blobs."""

    removed: dict[Key, int]
    """Keys that were to be deleted, with sizes: killed uploads and lost races left them."""
    fresh: dict[Key, int]
    """An upload that is under way may still need them."""


def _remove_copies(instance: Instance, digests: set[Digest]) -> _Copies:
    copies = _Copies({}, {})
    for found in strays.find(instance):
        dead = [file for file in found.dead if _has_one_of(file, digests)]
        strays.delete(instance, dead)
        for files, into in ((dead, copies.removed), (found.fresh, copies.fresh)):
            for file in files:
                if file.key is not None and _has_one_of(file, digests):
                    into[file.key] = file.size
    return copies


def _has_one_of(file: StoredFile, digests: set[Digest]) -> bool:
    return file.key is not None and of_key(file.key) in digests


def _proof(
    instance: Instance,
    what: str,
    version_ids: Sequence[int],
    content: Sequence[Row[*tuple[Any, ...]]],
    copies: _Copies,
) -> Proof:
    """Ask the store for every key; what is still there is either needed or a failure."""
    blob_ids = {storage_key(Digest(row.digest), row.nonce): row.id for row in content}
    sizes = {key: row.size_bytes for key, row in zip(blob_ids, content, strict=True)}
    sizes |= copies.removed
    there = {key for key in sizes if instance.store.size(key) is not None}
    now = instance.clock.now()
    with instance.database.reading() as connection:
        named = gc_plan.names_of(connection, version_ids)
        stored = gc_db.still_stored(connection, [blob_ids[key] for key in there & blob_ids.keys()])
        kept = [key for key in blob_ids if blob_ids[key] in stored and key in there]
        survivors = gc_plan.Survivors(connection, cutoff=now - instance.undo_period, now=now)
        needed = [
            KeptBlob(
                key,
                sizes[key],
                tuple(gc_plan.needing(connection, survivors, [blob_ids[key]], NEEDED_BY_MOST)),
            )
            for key in kept[:NAMED_MOST]
        ]
    fresh = [KeptBlob(key, size, (UNDER_WAY,)) for key, size in copies.fresh.items()]
    removed = [key for key in sizes if key not in there]
    return Proof(
        what=what,
        purged_at=now,
        versions=tuple(named[id].name for id in version_ids),
        removed=tuple(removed),
        removed_bytes=sum(sizes[key] for key in removed),
        kept_total=Amount(
            len(kept) + len(fresh),
            sum(sizes[key] for key in kept) + sum(copies.fresh.values()),
        ),
        kept=tuple([*needed, *fresh][:NAMED_MOST]),
        failures=tuple(Failure(key, "the store still has it") for key in sorted(there - set(kept))),
    )
