"""Copying versions from one backend to another: only what is missing there, every byte checked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from lineal.client import term
from lineal.client.backend import Backend
from lineal.core.manifest import SegmentHead
from lineal.core.records import (
    Direction,
    DraftId,
    DraftSpec,
    EdgeKind,
    LineageQuery,
    Location,
    Page,
    PageRequest,
    Upload,
    VersionId,
    VersionRecord,
)
from lineal.errors import MissingFile

SEGMENTS_AT_ONCE = 16
BLOBS_AT_ONCE = 1_000
T = TypeVar("T")


def copy_version(
    source: Backend, version: VersionRecord, target: Backend, spec: DraftSpec
) -> VersionRecord:
    """Write a version into another backend as `spec` says, and return what it is there.

    Content that the target has is not sent again; killed and repeated, it sends what is missing.
    Raises MissingFile for bytes that the source lost, IntegrityError or SourceChanged for bytes
    that are damaged there.
    """
    begun = target.begin(spec)
    if begun.version is not None:
        return begun.version
    _send_segments(source, version, target, begun.draft, set(begun.missing_segments))
    _send_blobs(source, version, target, begun.draft)
    copied = target.commit(begun.draft).version
    assert copied is not None  # it is no contribution to a distributed version
    return copied


def derived_from(source: Backend, version: VersionRecord) -> set[VersionId]:
    """Return the versions that it took entries over from (LIN-11)."""
    root = f"version:{version.id}"
    query = LineageQuery(Direction.UPSTREAM, depth=1, derived=True)
    return {
        VersionId(int(edge.source.partition(":")[2]))
        for edge in source.lineage(root, query).edges
        if edge.kind is EdgeKind.DERIVED and edge.target == root
    }


def all_of(page: Callable[[PageRequest], Page[T]]) -> Iterator[T]:
    """Yield a list page by page, to the end."""
    request = PageRequest()
    while True:
        found = page(request)
        yield from found.items
        if found.cursor is None:
            return
        request = PageRequest(cursor=found.cursor)


def _send_segments(
    source: Backend, version: VersionRecord, target: Backend, draft: DraftId, missing: set[str]
) -> None:
    heads: Sequence[SegmentHead] = source.manifest(version.id).segments
    segments = source.read_segments(version.id, [head for head in heads if head.digest in missing])
    while page := list(itertools.islice(segments, SEGMENTS_AT_ONCE)):
        target.put_segments(draft, page)


def _send_blobs(source: Backend, version: VersionRecord, target: Backend, draft: DraftId) -> None:
    uploads = target.missing_blobs(draft)
    label = f"copying {version.name}"
    with term.progress(label, files=version.entry_count, size=version.size_bytes) as progress:
        while batch := list(itertools.islice(uploads, BLOBS_AT_ONCE)):
            located = source.locate([upload.digest for upload in batch], version=version.id)
            for upload in batch:
                if upload.digest not in located:
                    raise MissingFile(
                        f"The content {upload.digest} of {version.path} is lost in {source.url}; "
                        "`lineal verify` there says what else is"
                    )
                _send(source, located[upload.digest], target, upload)
                progress.advance(files=1, size=upload.size)
            target.confirm(draft, batch)


def _send(source: Backend, location: Location, target: Backend, upload: Upload) -> None:
    if location.path is not None:
        target.send(upload, location.path, take=False, link=False)
        return
    with source.open(location) as packed:  # which is checked as it is read
        target.send_bytes(upload, packed.read())
