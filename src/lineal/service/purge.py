"""The strict path for personal data: content is gone when the call returns, and that is proved.

What stays is the tombstone: name, number, digest, producer, edges (invariant 5).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from sqlalchemy import Connection

from lineal.blobs.store import StoredFile
from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.digest import Digest, Key, Keys, of_key, storage_key
from lineal.core.full_names import ArtifactPath
from lineal.core.gc import REPORTED_MOST, Amount, Failure, KeptBlob, Proof
from lineal.core.records import CollectionKind, VersionRecord
from lineal.db import deletion as deletion_db
from lineal.db import gc as gc_db
from lineal.db import gc_plan
from lineal.db import versions as versions_db
from lineal.db.engine import batches
from lineal.errors import Invalid, NotFound
from lineal.service import deletion, finding, gc, strays
from lineal.service.instance import Instance

PAGE = 10_000
"""Blobs that are asked for at once."""
NO_ROW = 0
"""In place of the id of a blob."""
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
    copies = _remove_copies(instance, content)
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
        raise Invalid(f"{found.path} is a link; purge {found.source_path}, which has the content")
    return found


class _Blobs:
    """Keys with the rows and sizes of their blobs; 60 bytes for each, for there may be millions."""

    def __init__(self) -> None:
        self._keys = Keys()
        self._ids, self._sizes = array("q"), array("q")

    def add(self, key: Key, size_bytes: int, id: int = NO_ROW) -> None:
        self._keys.add(key)
        self._ids.append(id)
        self._sizes.append(size_bytes)

    def has(self, digest: Digest) -> bool:
        """Say whether a blob has this digest; they must have been added in the order of these."""
        place = bisect_left(range(len(self._ids)), digest, key=self._keys.digest)
        return place < len(self._ids) and self._keys.digest(place) == digest

    def __iter__(self) -> Iterator[tuple[Key, int, int]]:
        """Yield (key, id, size_bytes)."""
        return zip(self._keys, self._ids, self._sizes, strict=True)


def _content(instance: Instance, version_ids: Sequence[int]) -> _Blobs:
    """Return the stored blobs of versions, in the order of their digests."""
    found = _Blobs()
    with instance.database.reading() as connection:
        for row in gc_db.content_of(connection, version_ids):
            found.add(storage_key(Digest(row.digest), row.nonce), row.size_bytes, row.id)
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

    removed: _Blobs
    """What was to be deleted: killed uploads and lost races left it."""
    fresh: _Blobs
    """An upload that is under way may still need it."""


def _remove_copies(instance: Instance, content: _Blobs) -> _Copies:
    copies = _Copies(_Blobs(), _Blobs())
    for found in strays.find(instance):
        dead = [file for file in found.dead if _is_copy(file, content)]
        strays.delete(instance, dead)
        for files, into in ((dead, copies.removed), (found.fresh, copies.fresh)):
            for file in files:
                if file.key is not None and _is_copy(file, content):
                    into.add(file.key, file.size)
    return copies


def _is_copy(file: StoredFile, content: _Blobs) -> bool:
    return file.key is not None and content.has(of_key(file.key))


@dataclass
class _Asked:
    """What the store said of each key."""

    removed: Keys = field(default_factory=Keys)
    removed_bytes: int = 0
    kept: list[tuple[Key, int, int]] = field(default_factory=list)
    """The first of those that something needs, as (key, id, size_bytes)."""
    kept_total: Amount = field(default_factory=Amount)
    failures: list[Failure] = field(default_factory=list)


def _asked(instance: Instance, blobs: Iterable[tuple[Key, int, int]]) -> _Asked:
    """Ask the store for every key; what is still there is either needed or a failure."""
    asked = _Asked()
    for page in batches(blobs, PAGE):
        there = []
        for key, id, size_bytes in page:
            if instance.store.size(key) is None:
                asked.removed.add(key)
                asked.removed_bytes += size_bytes
            else:
                there.append((key, id, size_bytes))
        with instance.database.reading() as connection:
            stored = gc_db.still_stored(connection, [id for _, id, _ in there])
        kept = [each for each in there if each[1] in stored]
        asked.kept += kept[: REPORTED_MOST - len(asked.kept)]
        asked.kept_total += Amount(len(kept), sum(size for _, _, size in kept))
        asked.failures += [
            Failure(key, "the store still has it") for key, id, _ in there if id not in stored
        ]
    return asked


def _proof(
    instance: Instance, what: str, version_ids: Sequence[int], content: _Blobs, copies: _Copies
) -> Proof:
    asked = _asked(instance, chain(content, copies.removed))
    now = instance.clock.now()
    with instance.database.reading() as connection:
        named = gc_plan.names_of(connection, version_ids)
        survivors = gc_plan.Survivors(connection, cutoff=now - instance.undo_period, now=now)
        needed = [
            KeptBlob(key, size, tuple(gc_plan.needing(connection, survivors, [id], NEEDED_BY_MOST)))
            for key, id, size in asked.kept
        ]
    fresh = [KeptBlob(key, size, (UNDER_WAY,)) for key, _, size in copies.fresh]
    return Proof(
        what=what,
        purged_at=now,
        versions=tuple(named[id].name for id in version_ids),
        removed=asked.removed,
        removed_bytes=asked.removed_bytes,
        kept_total=asked.kept_total + Amount(len(fresh), sum(each.size_bytes for each in fresh)),
        kept=tuple([*needed, *fresh][:REPORTED_MOST]),
        failures=tuple(asked.failures),
    )
