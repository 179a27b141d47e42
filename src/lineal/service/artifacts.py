"""Writing a version: begin, (send,) commit.

Order of writing: bytes, blob stored, version, alias (docs/design/001-storage.md). Until `commit`
returns, nothing of a draft is visible. Both calls are idempotent under the draft's client id,
since a client repeats a call whose answer it did not get.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection

from lineal import service
from lineal.core import access, limits, names
from lineal.core.access import Action, Actor
from lineal.core.digest import Digest
from lineal.core.manifest import Segment
from lineal.core.records import (
    Begun,
    CollectionKind,
    Committed,
    DraftId,
    DraftSpec,
    Introduction,
    RunKey,
    VersionId,
)
from lineal.db import blobs as blobs_db
from lineal.db import collections as collections_db
from lineal.db import drafts as drafts_db
from lineal.db import lineage as lineage_db
from lineal.db import lineage_nodes
from lineal.db import manifests as manifests_db
from lineal.db import projects as projects_db
from lineal.db import versions as versions_db
from lineal.db.drafts import Asked
from lineal.errors import Exists, Invalid, NotFound, Superseded
from lineal.service import finding_runs, log_calls, transfers
from lineal.service.instance import Instance
from lineal.service.log_calls import LogCall

if TYPE_CHECKING:
    from lineal.db.rows import CollectionRow, DraftRow, DraftToCommit, TotalsRow

INLINE_UPLOADS = 2_000
"""So many blobs to be sent are named by `begin` itself, which saves asking for them."""
NUMBER_MAX = 1_000_000_000
"""Of a copied version; leaves the collection room for as many again."""


def begin(
    instance: Instance, actor: Actor, draft: DraftSpec, segments: Sequence[Segment] = ()
) -> Begun:
    """Open a draft and say which segments are still to be sent.

    If the collection already has this content, return that version and open nothing; the run is
    recorded as a further producer and the aliases are applied (SEM-2).

    segments: any that the caller thinks are new; those we lack are taken, the rest ignored.
    Raises Denied or NotFound (rights, or no such source), Invalid (names, metadata, another type),
    IntegrityError (a segment that is not what its head says), Exists (the name belongs to a
    portfolio), RunNotFoundError, Gone (the project or the run was deleted), Superseded (see
    `DraftSpec.on_latest`). Keeps every stored blob of the manifest alive until the draft expires.
    Source: SEM-1, SEM-2, SEM-3, NAM-2.
    """
    _check(draft)
    access.require(actor, Action.WRITE, f"project {draft.entity}/{draft.project}")
    checked = transfers.check_segments(segments)
    now = instance.clock.now()
    asked = log_calls.asked_by(draft)
    call = _Begin(actor, draft, asked, checked, now, now + instance.draft_ttl)
    # A power cut may take a draft back: nothing shows it, and its files become strays.
    with instance.database.writing(is_durable=False) as connection:
        begun = _begun(connection, call)
    if begun is None:  # what is reused becomes visible at once, and so must stay
        with instance.database.writing() as connection:
            begun = _begun(connection, call, may_reuse=True)
        assert begun is not None
    return begun


def check_collection(instance: Instance, actor: Actor, draft: DraftSpec) -> None:
    """Raise what `begin` will say of the collection that is there, Invalid or Exists (NAM-2)."""
    access.require(actor, Action.WRITE, f"project {draft.entity}/{draft.project}")
    with instance.database.reading() as connection:
        collection = collections_db.find_by_names(
            connection, draft.entity, draft.project, draft.collection, draft.run
        )
    if collection is not None:
        _require_fitting(collection, draft)


def commit(instance: Instance, actor: Actor, draft_id: DraftId) -> Committed:
    """Turn a draft whose bytes are all stored into a version with a number and aliases.

    A contribution to a distributed version only becomes part of it once another draft finishes
    it (ART-44); then `version` is None. Raises Conflict naming what is missing, Gone if the
    draft expired, or its project or run was deleted since, Superseded if another version came
    first; what was sent is stored then, and need not be sent with the next attempt.
    Source: SEM-1, SEM-12, VER-1, ALI-1.
    """
    access.require(actor, Action.WRITE, f"draft {draft_id}")
    with instance.database.reading() as connection:
        draft = transfers.find_draft(instance, connection, actor, draft_id)
        if draft.state != drafts_db.OPEN:
            return _committed_before(connection, draft)
        awaited = blobs_db.awaited(connection, transfers.manifest_of(draft))
    stored = transfers.stored_now(instance, draft, awaited)
    contributions: list[int] = []
    if draft.distributed_id is not None and drafts_db.asked(draft).is_final:
        contributions = service.distributed.merge(instance, draft, stored)
    with instance.database.writing() as connection:
        locked = drafts_db.to_commit(connection, draft_id, draft.collection_id)
        assert locked is not None  # drafts are never deleted
        now = instance.clock.now()
        transfers.require_unexpired(locked, now)
        if locked.state != drafts_db.OPEN:  # the first attempt of this very call won
            return _committed_before(connection, locked)
        call = LogCall(locked.collection_id, locked.run_id, drafts_db.asked(locked), actor, now)
        is_part = locked.distributed_id is not None and not call.asked.is_final
        parts = drafts_db.by_ids(connection, contributions)
        if not is_part:
            _hold(connection, call, locked, parts)
        totals = transfers.complete(instance, connection, locked, stored, nonce=draft.nonce)
        if is_part:
            # it waits for the others as long as a draft may
            values = {"state": drafts_db.CONTRIBUTED, "expires_at": now + instance.draft_ttl}
            drafts_db.change(connection, [draft_id], values)
            return Committed(None, is_new=False)
        finished = _finish(connection, call, locked, totals, parts)
    if finished is None:
        raise Superseded(f"Draft {draft_id} adds to a version that is not the latest any more")
    return finished


# --- begin, step by step ------------------------------------------------------------------------


class _Begin(NamedTuple):
    """A call of `begin`."""

    actor: Actor
    draft: DraftSpec
    asked: Asked
    segments: Sequence[transfers.CheckedSegment]
    now: datetime
    expires_at: datetime
    """When the draft does, if one is opened."""


def _check(draft: DraftSpec) -> None:
    names.entity_name(draft.entity)
    names.project_name(draft.project)
    names.artifact_name(draft.collection)
    names.type_name(draft.type)
    names.aliases(draft.aliases)
    names.tags(draft.tags)
    limits.check_metadata(draft.metadata)
    if draft.ttl_seconds is not None:
        limits.check_ttl(draft.ttl_seconds, draft.type)
    if draft.number is not None and not 0 <= draft.number <= NUMBER_MAX:
        raise Invalid(f"Versions are numbered from 0 to {NUMBER_MAX:,}, not {draft.number}")
    limits.check_on_unchanged(draft.on_unchanged)
    if draft.introduction is not None:
        _check_introduction(draft.introduction)


def _check_introduction(said: Introduction) -> None:
    names.tags(said.tags)
    if said.ttl_seconds is not None:
        limits.check_seconds(said.ttl_seconds)
    if said.policy is not None:
        from lineal.core import retention  # 5 ms that few runs need

        retention.check(retention.selection_from_json(said.policy))


def _begun(connection: Connection, call: _Begin, *, may_reuse: bool = False) -> Begun | None:
    """Answer `begin`; None if a version would have to be reused, and may not."""
    draft = call.draft
    known = drafts_db.by_client_id(connection, draft.client_id)
    if known is not None:
        return _begun_before(connection, call, known)
    for source in call.asked.sources:
        if lineage_nodes.version_end(connection, VersionId(source)) is None:
            raise NotFound(f"No version {source} to derive {draft.collection} from")
    collection = _sequence(connection, draft, call.now)
    # the run before the collection, that before its version, as whoever deletes does: no deadlock
    if draft.run is not None:
        lineage_db.hold(connection, draft.run)
    if draft.distributed_id is None and draft.on_unchanged != "new_version":
        collections_db.lock(connection, collection.id)
        same = versions_db.same_content(connection, collection.id, draft.manifest.digest)
        if same is not None and _is_whole(connection, same):
            if not may_reuse:
                return None
            if draft.on_latest and not _is_latest(connection, collection.id, draft.base):
                raise Superseded(f"{draft.collection} got another version meanwhile")
            return _reuse(connection, call, collection.id, same)
    opened, missing = _opened(connection, call)
    draft_id = drafts_db.add(connection, _row(call, collection.id) | opened)
    uploads = None
    if not missing and draft.manifest.entry_count <= INLINE_UPLOADS:
        uploads = transfers.first_uploads(
            connection, opened["manifest_id"], opened["nonce"], most=INLINE_UPLOADS
        )
    return Begun(DraftId(draft_id), None, missing, uploads)


def _is_whole(connection: Connection, version_id: int) -> bool:
    """Say whether all bytes of a version are stored; `verify` may have found some of them lost."""
    manifest_id = versions_db.manifest_id(connection, version_id)
    return manifest_id is not None and not blobs_db.awaited(connection, manifest_id, limit=1)


def _opened(connection: Connection, call: _Begin) -> tuple[dict[str, Any], tuple[Digest, ...]]:
    """Return what makes a row an open draft, and the segments still to be sent."""
    manifest_id, missing = manifests_db.ensure_manifest(connection, call.draft.manifest)
    if missing is None:
        missing = manifests_db.missing_segments(connection, manifest_id)
    lacking = transfers.fill(connection, missing, call.segments)
    opened = {
        "manifest_id": manifest_id,
        "nonce": secrets.token_hex(8),
        "state": drafts_db.OPEN,
        "expires_at": call.expires_at,
    }
    return opened, lacking


def _begun_before(connection: Connection, call: _Begin, known: DraftRow) -> Begun:
    """Answer as the first time; a draft that expired meanwhile is opened anew (SEM-13).

    It gets a new nonce: the sweep may be deleting what the old one stored. While it is open it
    becomes what is asked for now: after a failure that may be another run, project or alias. So
    does a contribution that waited too long.
    """
    known_id = DraftId(known.id)
    locked = drafts_db.by_id(connection, known_id, lock=True)
    assert locked is not None
    if locked.version_id is not None:
        return Begun(known_id, versions_db.by_id(connection, locked.version_id))
    is_late = transfers.is_late(locked, call.now)
    if locked.state == drafts_db.CONTRIBUTED and not is_late:
        return Begun(known_id, None)
    values = _row(call, _sequence(connection, call.draft, call.now).id)
    is_other = locked.distributed_id != call.draft.distributed_id  # it may hold others' parts
    if is_late or is_other:
        opened, missing = _opened(connection, call)
        values |= opened
    else:
        missing = tuple(manifests_db.missing_segments(connection, transfers.manifest_of(locked)))
    drafts_db.change(connection, [known_id], values)
    return Begun(known_id, None, missing)


def _sequence(connection: Connection, draft: DraftSpec, now: datetime) -> CollectionRow:
    """Return the collection to log to, made if need be.

    Raises Invalid for another type, Exists for a portfolio, Gone for a deleted project or run,
    RunNotFoundError.
    """
    known = collections_db.find_by_names(
        connection, draft.entity, draft.project, draft.collection, draft.run
    )
    if draft.run is not None and (known is None or not known.is_run_live):
        finding_runs.require(connection, draft.run)
    collection: CollectionRow | None = known
    if collection is None:
        project_id = projects_db.ensure(connection, draft.entity, draft.project, now)
        collection = collections_db.ensure(
            connection, project_id, draft.collection, draft.type, CollectionKind.SEQUENCE, now
        )
    _require_fitting(collection, draft)
    if draft.introduction is not None and collections_db.is_only_begun(collection):
        _introduce(connection, collection, draft.introduction)
    return collection


def _introduce(connection: Connection, collection: CollectionRow, said: Introduction) -> None:
    """Say of a collection that is new what is said of it where it comes from, or the first does."""
    values = {
        "description": collection.description or said.description,
        "ttl_seconds": said.ttl_seconds
        if collection.ttl_seconds is None
        else collection.ttl_seconds,
        "retention": collection.retention or said.policy,
    }
    collections_db.change(connection, collection.id, values)
    if said.tags:
        collections_db.set_tags(connection, collection.id, said.tags)


def _require_fitting(collection: CollectionRow, draft: DraftSpec) -> None:
    path = f"{draft.entity}/{draft.project}/{draft.collection}"
    if collection.kind != CollectionKind.SEQUENCE:
        raise Exists(f"{path} holds links only; log under another name and link the version there")
    hint = "; use that type or another name"
    if collections_db.is_only_begun(collection):
        hint = f", which it got from a draft that was begun before{hint}"
    elif collection.deleted_at is not None:
        hint = f", also now that it is deleted{hint}"
    names.require_type(f"Artifact {path}", collection.type, draft.type, hint)


def _row(call: _Begin, collection_id: int) -> dict[str, Any]:
    draft = call.draft
    return {
        "client_id": draft.client_id,
        "collection_id": collection_id,
        "run_id": draft.run,
        "distributed_id": draft.distributed_id,
        "created_by": call.actor.name,
        "created_at": call.now,
        "spec": call.asked._asdict(),
    }


def _reuse(connection: Connection, call: _Begin, collection_id: int, version_id: int) -> Begun:
    committed = {
        "nonce": secrets.token_hex(8),
        "state": drafts_db.COMMITTED,
        "expires_at": call.now,
        "version_id": version_id,
    }
    draft_id = drafts_db.add(connection, _row(call, collection_id) | committed)
    log_call = LogCall(collection_id, call.draft.run, call.asked, call.actor, call.now)
    return Begun(DraftId(draft_id), log_calls.carry_out(connection, log_call, version_id))


# --- commit, step by step -----------------------------------------------------------------------


def _committed_before(connection: Connection, draft: DraftRow) -> Committed:
    if draft.version_id is None:
        return Committed(None, is_new=False)
    return Committed(versions_db.by_id(connection, draft.version_id), is_new=False)


def _require_target(connection: Connection, actor: Actor, draft: DraftToCommit) -> None:
    """Refuse to write into a project, or for a run, that was deleted since `begin`."""
    if not draft.is_project_live:
        entity, project, _ = collections_db.full_name(connection, draft.collection_id)
        projects_db.require(connection, entity, project, actor.name)
    if draft.run_id is not None and not draft.is_run_live:
        finding_runs.require(connection, draft.run_id)


def _hold(
    connection: Connection, call: LogCall, draft: DraftToCommit, parts: Sequence[DraftRow]
) -> None:
    """Lock what a version is to be made in, in the order in which others do: no deadlock.

    The runs before the collection, as whoever deletes a run does; the collection before blobs, as
    `begin` does.
    """
    _require_target(connection, call.actor, draft)
    lineage_db.hold(connection, *_producers(call, parts))
    collections_db.lock(connection, call.collection_id)


def _producers(call: LogCall, parts: Sequence[DraftRow]) -> list[RunKey]:
    """Return the runs that made it; the one that finished comes first."""
    run_ids = (call.run_id, *(part.run_id for part in parts))
    return [run_id for run_id in run_ids if run_id is not None]


def _finish(
    connection: Connection,
    call: LogCall,
    draft: DraftToCommit,
    totals: TotalsRow,
    parts: Sequence[DraftRow],
) -> Committed | None:
    """Make the version; None if the draft's base had to be the latest, and is not any more.

    totals: of the draft's manifest. parts: contributions whose content it holds, too; their
    aliases, tags and sources go to the version, and their runs are further producers.
    """
    call = log_calls.united(call, parts)
    asked = call.asked
    if asked.on_latest and not _is_latest(connection, call.collection_id, asked.base):
        return None
    version_id = membership = None
    if asked.on_unchanged != "new_version":
        version_id = versions_db.same_content(connection, call.collection_id, totals.digest)
    is_new = version_id is None
    if version_id is None:
        version_id, membership = _add_version(connection, call, totals)
        lineage_db.add_derived(connection, VersionId(version_id), asked.sources)
    drafts_db.change(
        connection,
        [draft.id, *(part.id for part in parts)],
        {"state": drafts_db.COMMITTED, "version_id": version_id},
    )
    version = log_calls.carry_out(connection, call, version_id, membership)
    producers = _producers(call, parts)
    if asked.as_of is not None and asked.base is not None:  # it completes that version
        producers += lineage_db.loggers(connection, VersionId(asked.base))
    for run_id in dict.fromkeys(producers):  # after the one that finished
        if run_id != call.run_id:
            lineage_db.add_logged(
                connection, run_id, VersionId(version_id), call.now, is_new_version=is_new
            )
    return Committed(version, is_new=is_new)


def _add_version(
    connection: Connection, call: LogCall, totals: TotalsRow
) -> tuple[int, versions_db.Membership]:
    asked, now = call.asked, call.now
    values = {
        "collection_id": call.collection_id,
        "manifest_id": totals.id,
        "digest": totals.digest,
        "size_bytes": totals.size_bytes,
        "entry_count": totals.entry_count,
        "description": asked.description,
        "metadata": asked.metadata or {},
        "history_step": asked.history_step,
        "created_by": call.actor.name,
        "created_at": now,
        "updated_at": now,
        "ttl_seconds": asked.ttl_seconds,
    }
    return versions_db.add(connection, values, now, wanted_number=asked.number)


def _is_latest(connection: Connection, collection_id: int, base: int | None) -> bool:
    """Say whether a collection's latest version is this one; None: it has none."""
    latest = versions_db.resolve(connection, collection_id, names.LATEST)
    return base == (None if latest is None else latest.id)
