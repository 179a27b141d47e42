"""A version written by many runs: contributions are merged when one of them finishes (ART-44)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import repeat
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.contributions import Made, Part
from lineal.core.digest import Digest
from lineal.core.manifest import Entry, build_segments, decode_entries, manifest_head
from lineal.core.moments import in_utc
from lineal.core.records import DraftId, DraftSpec, RunKey, VersionId
from lineal.db import collections as collections_db
from lineal.db import drafts as drafts_db
from lineal.db import manifests as manifests_db
from lineal.db import runs as runs_db
from lineal.db import versions as versions_db
from lineal.db.engine import batches
from lineal.errors import Conflict, Gone, NotFound
from lineal.service import transfers
from lineal.service.instance import Instance

if TYPE_CHECKING:
    from lineal.db.rows import DraftRow

PAGE_SEGMENTS = 64
"""Segments stored per transaction: some 65,000 entries, well under a second of the write lock."""


def merge(instance: Instance, draft: DraftRow, stored: Sequence[Digest]) -> list[int]:
    """Give the finishing draft the union of all contributions, by path.

    stored: those of the draft's own awaited blobs whose bytes are in the store. Returns the ids of
    the contributions in the union. Raises Conflict naming the path and both runs where two
    contributed different content, or one a file and the other a folder, or if bytes of the draft's
    own are not stored, Gone where a contribution waited longer than a draft may, NotFound where
    nobody contributed anything and the draft is empty, too; the finishing draft is no contribution
    then.
    """
    assert draft.distributed_id is not None
    with instance.database.writing() as connection:
        own = transfers.lock_draft(instance, connection, draft.id)
        waiting = drafts_db.contributions(connection, draft.collection_id, draft.distributed_id)
        parts = _taken_by(own, waiting)
        is_part = any(drafts_db.is_part_of(part, own) for part in parts)
        if len(parts) == is_part and not drafts_db.asked(own).is_elsewhere:  # nobody else's
            _require_content(connection, own, draft.distributed_id)
    _require_unexpired(instance, parts)
    if not is_part:
        parts.append(own)
    merged = list(build_segments(_united(instance, parts)))
    head = manifest_head(segment.head for segment in merged)
    with instance.database.writing() as connection:
        locked = transfers.lock_draft(instance, connection, draft.id)
        if not is_part:
            # complete, as every contribution: another draft may be the one that finishes
            transfers.complete(instance, connection, locked, stored, nonce=draft.nonce)
        # its own part becomes a contribution, so that something keeps it while the whole is built
        part_id = drafts_db.add_part(connection, locked)
        manifest_id, _ = manifests_db.ensure_manifest(connection, head)
        drafts_db.change(connection, [draft.id], {"manifest_id": manifest_id})
    for page in batches(merged, PAGE_SEGMENTS):
        checked = transfers.check_segments(page)
        with instance.database.writing() as connection:
            transfers.lock_draft(instance, connection, draft.id)
            missing = manifests_db.missing_segments(connection, manifest_id)
            transfers.fill(connection, missing, checked)
    return sorted({part_id, *(part.id for part in parts)} - {draft.id})


def _require_content(connection: Connection, own: DraftRow, distributed_id: str) -> None:
    """Refuse to finish nothing: most likely the id or the name is not what the others gave."""
    if manifests_db.manifest_head(connection, transfers.manifest_of(own)).entry_count:
        return
    path = "/".join(collections_db.full_name(connection, own.collection_id))
    text = f"Nothing was contributed to {path} under {distributed_id!r}"
    number = drafts_db.number_made(connection, own.collection_id, distributed_id)
    if number is not None:
        text += f" since v{number} was made of it"
    others = drafts_db.distributed_ids(connection, own.collection_id)
    if others:
        text += f"; contributions to it wait under {', '.join(map(repr, others))}"
    raise NotFound(f"{text}, and the finishing call holds no files itself: no version was made")


def _taken_by(own: DraftRow, parts: list[DraftRow]) -> list[DraftRow]:
    """Return the contributions that a finishing draft takes: of a copy, none made after it."""
    if drafts_db.asked(own).as_of is None:
        return parts
    until = _as_of(own)
    return [each for each in parts if drafts_db.is_part_of(each, own) or _as_of(each) <= until]


def _as_of(draft: DraftRow) -> datetime:
    said = drafts_db.asked(draft).as_of
    created_at: datetime = draft.created_at
    return created_at if said is None else datetime.fromisoformat(said)


def parts_of(instance: Instance, actor: Actor, run: RunKey) -> list[Part]:
    """Return what a run contributed to versions of many, or finished them with, in order."""
    access.require(actor, Action.READ, f"run {run}")
    with instance.database.reading() as connection:
        return [_part(connection, row) for row in drafts_db.parts_of_run(connection, run)]


def _part(connection: Connection, row: DraftRow) -> Part:
    collection = collections_db.by_id(connection, row.collection_id)
    assert collection is not None
    entity, project, name = collections_db.full_name(connection, row.collection_id)
    asked = drafts_db.asked(row)
    is_expired = row.state == drafts_db.CONTRIBUTED and row.manifest_id is None
    head = manifests_db.manifest_head(connection, row.manifest_id) if row.manifest_id else None
    spec = DraftSpec(
        client_id=row.client_id,
        entity=entity,
        project=project,
        collection=name,
        type=collection.type,
        manifest=head or manifest_head(()),
        run=row.run_id,
        description=asked.description,
        metadata=asked.metadata,
        aliases=tuple(asked.aliases),
        tags=tuple(asked.tags),
        history_step=asked.history_step,
        sources=tuple(VersionId(each) for each in asked.sources),
        distributed_id=row.distributed_id,
        is_final=asked.is_final and not drafts_db.is_part(row),
        ttl_seconds=asked.ttl_seconds,
    )
    return Part(DraftId(row.id), spec, _as_of(row), row.version_id, is_expired)


def made_of(
    instance: Instance, actor: Actor, collection: tuple[str, str, str], distributed_id: str
) -> list[Made]:
    """Return the versions that were made of what was contributed under an id, the first first.

    Each once, and none that was deleted since.
    """
    access.require(actor, Action.READ, "/".join(collection))
    with instance.database.reading() as connection:
        found = collections_db.find_by_names(connection, *collection, None)
        if found is None:
            return []
        moments = {
            row.version_id: _as_of(row)
            for row in drafts_db.finishing(connection, found.id, distributed_id)
            if row.version_id is not None
        }
        versions = [versions_db.by_id(connection, each) for each in moments]
        return [
            Made(each, moments[each.id])
            for each in versions
            if each is not None and each.deleted_at is None
        ]


def _require_unexpired(instance: Instance, parts: list[DraftRow]) -> None:
    """Refuse to finish without a contribution that is gone: the version would silently lack it."""
    now = instance.clock.now()
    gone = [part for part in parts if part.manifest_id is None or part.expires_at <= now]
    if gone:
        raise Gone(
            f"What {_labels(instance, gone)[0]} contributed to {gone[0].distributed_id!r} expired "
            f"on {in_utc(gone[0].expires_at)}; contribute it again under another distributed id"
        )


def _entries(instance: Instance, draft: DraftRow) -> Iterator[Entry]:
    with instance.database.reading() as connection:
        head = manifests_db.manifest_head(connection, transfers.manifest_of(draft))
    for segment in transfers.segments(instance, head.segments):
        yield from decode_entries(segment.lines)


def _united(instance: Instance, parts: list[DraftRow]) -> Iterator[Entry]:
    tagged = [zip(_entries(instance, part), repeat(part)) for part in parts]
    above: list[tuple[Entry, DraftRow]] = []
    """Files whose paths the path begins with; the last one may be the same."""
    for entry, part in heapq.merge(*tagged, key=lambda pair: pair[0].path):
        while above and not entry.path.startswith(above[-1][0].path):
            above.pop()
        if above and above[-1][0].path == entry.path:
            if above[-1][0] != entry:
                what = f"Path {entry.path!r} was contributed with different content"
                raise _conflict(instance, what, above[-1][1], part)
            continue
        for file, other in above:
            if entry.path[len(file.path)] == "/":
                what = f"Path {file.path!r} was contributed as a file, and as a folder with"
                raise _conflict(instance, f"{what} {entry.path!r},", other, part)
        above.append((entry, part))
        yield entry


def _conflict(instance: Instance, what: str, one: DraftRow, other: DraftRow) -> Conflict:
    labels = _labels(instance, [one, other])
    who = f"twice by {labels[0]}" if one.run_id == other.run_id else f"by {' and '.join(labels)}"
    return Conflict(
        f"{what} {who}; give each writer its own folder in the artifact, and contribute all parts "
        f"under another id than {one.distributed_id!r}: what was contributed cannot be taken back"
    )


def _labels(instance: Instance, drafts: list[DraftRow]) -> list[str]:
    keys = [draft.run_id for draft in drafts]
    known = [key for key in keys if key is not None]
    with instance.database.reading() as connection:
        found = runs_db.by_keys(connection, known, instance.crashed_before())
    return [found[key].run_id if key in found else "a client without a run" for key in keys]
