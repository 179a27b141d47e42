"""A version written by many runs: contributions are merged when one of them finishes (ART-44)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any

from sqlalchemy import Row

from lineal.core.manifest import Entry, build_segments, decode_entries, manifest_head
from lineal.db import blobs as blobs_db
from lineal.db import drafts as drafts_db
from lineal.db import runs as runs_db
from lineal.errors import Conflict
from lineal.service import transfers
from lineal.service.instance import Instance

PAGE_SEGMENTS = 64
"""Segments stored per transaction: some 65,000 entries, well under a second of the write lock."""


def merge(instance: Instance, draft: Row[Any]) -> tuple[Row[Any], list[int]]:
    """Give the finishing draft the union of all contributions, by path.

    Returns the draft with its new manifest, and the ids of the contributions in it. Raises
    Conflict naming the path and both runs where two contributed different content.
    """
    with instance.database.reading() as connection:
        contributions = drafts_db.contributions(
            connection, draft.collection_id, draft.distributed_id
        )
    parts = [*contributions, draft]
    streams = [_entries(instance, part) for part in parts]
    merged = list(build_segments(_united(instance, parts, streams)))
    head = manifest_head(segment.head for segment in merged)
    with instance.database.writing() as connection:
        manifest_id = blobs_db.ensure_manifest(connection, head)
        blobs_db.replace_condemned(connection, manifest_id)
        drafts_db.change(connection, [draft.id], {"manifest_id": manifest_id})
    for page in blobs_db.batches(merged, PAGE_SEGMENTS):
        checked = transfers.check_segments(page)
        with instance.database.writing() as connection:
            transfers.fill(connection, manifest_id, checked)
    with instance.database.reading() as connection:
        changed = drafts_db.by_id(connection, draft.id)
    assert changed is not None
    return changed, [part.id for part in contributions]


def _entries(instance: Instance, draft: Row[Any]) -> Iterator[Entry]:
    with instance.database.reading() as connection:
        head = blobs_db.manifest_head(connection, draft.manifest_id)
    for segment in transfers.segments(instance, head.segments):
        yield from decode_entries(segment.lines)


def _united(
    instance: Instance, parts: list[Row[Any]], streams: Iterable[Iterator[Entry]]
) -> Iterator[Entry]:
    tagged = [zip(stream, repeat(index)) for index, stream in enumerate(streams)]
    previous: tuple[Entry, int] | None = None
    for entry, index in heapq.merge(*tagged, key=lambda pair: pair[0].path):
        if previous is not None and previous[0].path == entry.path:
            if previous[0] != entry:
                raise _conflict(instance, entry.path, parts[previous[1]], parts[index])
            continue
        previous = entry, index
        yield entry


def _conflict(instance: Instance, path: str, one: Row[Any], other: Row[Any]) -> Conflict:
    keys = [draft.run_id for draft in (one, other) if draft.run_id is not None]
    with instance.database.reading() as connection:
        found = runs_db.by_keys(connection, keys, instance.clock.now() - instance.crashed_after)
    labels = [found[key].run_id if key in found else "a client without a run" for key in keys]
    return Conflict(
        f"Path {path!r} was contributed with different content by {' and '.join(labels)}; "
        "give each run its own folder in the artifact"
    )
