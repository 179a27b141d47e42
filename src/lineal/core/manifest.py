"""The manifest: a two-level Merkle tree over the entries of a version.

Entries sorted by path are cut into segments at paths whose hash is divisible by 1024, so a cut
depends on names alone and one changed file touches one segment. A segment's digest is the
SHA-256 of its canonical JSON lines; the version's digest is the SHA-256 of the list of its
segments. See docs/design/002-manifest.md; requirements MAN-1…MAN-7.

Everything here streams: no function needs more than one segment in memory.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from lineal.core.digest import Digest, of_bytes, of_hash
from lineal.core.file_paths import entry_path
from lineal.errors import HostilePath, IntegrityError

CUT_MODULUS = 1024
"""Entries per segment on average; with 1,000,000 entries the list of segments has 1,000."""

NO_EXTRA: Mapping[str, Any] = {}


class Entry(NamedTuple):
    """One file of an artifact. A tuple, because a million of them may pass through."""

    path: str
    digest: Digest
    size: int
    """Bytes; 0 where a reference does not know."""
    ref: str | None = None
    """Where the bytes live, if not with us."""
    extra: Mapping[str, Any] = NO_EXTRA
    """What a reference needs to be read again: `etag`, `versionID`."""


class SegmentHead(NamedTuple):
    """What the list of segments says of one segment."""

    digest: Digest
    first_path: str
    entry_count: int
    size_bytes: int
    """Sum of the sizes of its entries, references included."""


class Segment(NamedTuple):
    """A head and its canonical JSON lines, uncompressed."""

    head: SegmentHead
    lines: bytes


class ManifestHead(NamedTuple):
    """A whole manifest without its entries; `digest` is the version's digest."""

    digest: Digest
    segments: tuple[SegmentHead, ...]

    @property
    def entry_count(self) -> int:
        return sum(segment.entry_count for segment in self.segments)

    @property
    def size_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self.segments)


class Diff(NamedTuple):
    """What turns one set of entries into another; each tuple is sorted by path."""

    added: tuple[Entry, ...] = ()
    removed: tuple[Entry, ...] = ()
    changed: tuple[tuple[Entry, Entry], ...] = ()
    """(before, after) pairs of one path."""
    renamed: tuple[tuple[Entry, Entry], ...] = ()
    """(before, after) pairs of one content; these are in neither `added` nor `removed`."""

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.renamed)


def starts_segment(path: str) -> bool:
    """Tell whether a cut is made before this path."""
    hashed = hashlib.sha256(path.encode()).digest()
    return ((hashed[0] << 8) | hashed[1]) % CUT_MODULUS == 0


def encode_entry(entry: Entry) -> bytes:
    """Return the canonical JSON line: keys sorted, no spaces, only what is set, UTF-8."""
    path, digest, size, ref, extra = entry
    if ref is None and not extra:  # a stored file; building the text is six times faster
        return (
            f'{{"digest":"{digest}","path":{encode_basestring(path)},"size":{size}}}\n'
        ).encode()
    fields: dict[str, Any] = {"digest": digest, "path": path, "size": size}
    if ref is not None:
        fields["ref"] = ref
    if extra:
        fields["extra"] = dict(extra)
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return (text + "\n").encode()


def decode_entries(lines: bytes) -> Iterator[Entry]:
    """Read canonical JSON lines back into entries."""
    # one call for all lines takes a third of the time of one for each
    for fields in json.loads(b"[" + lines.rstrip(b"\n").replace(b"\n", b",") + b"]"):
        yield Entry(
            fields["path"],
            Digest(fields["digest"]),
            fields["size"],
            fields.get("ref"),
            fields.get("extra", NO_EXTRA),
        )


def entry_in(lines: bytes, path: str) -> Entry | None:
    """Return the entry of a path among canonical lines without reading the others."""
    wanted = f'"path":{encode_basestring(path)},'.encode(errors="surrogatepass")
    at = lines.find(wanted)
    while at >= 0:
        end = lines.index(b"\n", at)
        (entry,) = decode_entries(lines[lines.rfind(b"\n", 0, at) + 1 : end])
        if entry.path == path:  # else these are words of its `extra`
            return entry
        at = lines.find(wanted, end)
    return None


def entries_under(lines: bytes, prefix: str) -> Iterator[Entry]:
    """Yield the entries among canonical lines whose path begins with a prefix.

    They are neighbours, so only they are read, and what there may be of them in an `extra`.
    """
    wanted = f'"path":{encode_basestring(prefix)[:-1]}'.encode(errors="surrogatepass")
    first = lines.find(wanted)
    if first < 0:
        return
    end = lines.index(b"\n", lines.rfind(wanted))
    for entry in decode_entries(lines[lines.rfind(b"\n", 0, first) + 1 : end]):
        if entry.path.startswith(prefix):
            yield entry


def build_segments(entries: Iterable[Entry]) -> Iterator[Segment]:
    """Cut entries into segments; raises ValueError unless sorted by their unique paths.

    Python compares strings by code point, which is the order of their UTF-8 bytes.
    """
    lines: list[bytes] = []
    first_path, previous, size_bytes = "", "", 0
    for entry in entries:
        if lines and entry.path <= previous:
            raise ValueError(f"entries not sorted or not unique at {entry.path!r}")
        if lines and starts_segment(entry.path):
            yield _segment(first_path, lines, size_bytes)
            lines, size_bytes = [], 0
        if not lines:
            first_path = entry.path
        previous = entry.path
        lines.append(encode_entry(entry))
        size_bytes += entry.size
    if lines:
        yield _segment(first_path, lines, size_bytes)


def _segment(first_path: str, lines: list[bytes], size_bytes: int) -> Segment:
    content = b"".join(lines)
    return Segment(SegmentHead(of_bytes(content), first_path, len(lines), size_bytes), content)


def manifest_head(segments: Iterable[SegmentHead]) -> ManifestHead:
    """Compute the version's digest: SHA-256 over one canonical line per segment."""
    heads = tuple(segments)
    root = hashlib.sha256(b"lineal-manifest-v1\n")
    for head in heads:
        root.update(
            f'["{head.digest}",{head.entry_count},{encode_basestring(head.first_path)},'
            f"{head.size_bytes}]\n".encode()
        )
    return ManifestHead(of_hash(root), heads)


def check_digest(segment: Segment) -> None:
    """Raise IntegrityError unless a segment has the content its digest promises."""
    if of_bytes(segment.lines) != segment.head.digest:
        raise IntegrityError(f"Manifest segment {segment.head.digest} does not match its digest")


def check_segment(segment: Segment) -> list[Entry]:
    """Return a segment's entries after checking them and all its head says.

    Raises IntegrityError, also for a path that a download would refuse, or that comes twice: a
    segment may come from another machine.
    """
    head = segment.head
    check_digest(segment)
    entries = list(decode_entries(segment.lines))
    if (
        len(entries) != head.entry_count
        or sum(entry.size for entry in entries) != head.size_bytes
        or (entries and entries[0].path != head.first_path)
    ):
        raise IntegrityError(f"Manifest segment {head.digest} does not match its description")
    before = ""
    for entry in entries:
        if entry.path <= before:
            raise IntegrityError(f"Manifest segment {head.digest} has {entry.path!r} out of place")
        before = entry.path
        try:
            is_plain = entry_path(before) == before
        except HostilePath as error:
            raise IntegrityError(f"Manifest segment {head.digest}: {error}") from error
        if not is_plain:
            raise IntegrityError(f"Manifest segment {head.digest} spells {before!r} in its own way")
    return entries


def segment_of(manifest: ManifestHead, path: str) -> SegmentHead | None:
    """Return the one segment that can hold this path."""
    after = bisect_right(manifest.segments, path, key=lambda head: head.first_path)
    return manifest.segments[after - 1] if after else None


def segments_under(manifest: ManifestHead, prefix: str) -> tuple[SegmentHead, ...]:
    """Return the segments that can hold paths beginning with `prefix`."""
    if not prefix:
        return manifest.segments
    start = max(bisect_right(manifest.segments, prefix, key=lambda head: head.first_path) - 1, 0)
    return tuple(
        head
        for head in manifest.segments[start:]
        if head.first_path <= prefix or head.first_path.startswith(prefix)
    )


def different_segments(
    before: ManifestHead, after: ManifestHead
) -> tuple[list[SegmentHead], list[SegmentHead]]:
    """Return the segments found in only one of the two: all that a diff has to read."""
    old = {head.digest for head in before.segments}
    new = {head.digest for head in after.segments}
    return (
        [head for head in before.segments if head.digest not in new],
        [head for head in after.segments if head.digest not in old],
    )


def diff(before: Iterable[Entry], after: Iterable[Entry]) -> Diff:
    """Compare two sets of entries; files that only changed their path count as renamed."""
    old = {entry.path: entry for entry in before}
    new = {entry.path: entry for entry in after}
    added = {path: entry for path, entry in new.items() if path not in old}
    removed = {path: entry for path, entry in old.items() if path not in new}
    changed = [(old[path], new[path]) for path in old.keys() & new.keys() if old[path] != new[path]]
    renamed = _renames(removed, added)
    for source, target in renamed:
        del removed[source.path], added[target.path]
    return Diff(
        added=tuple(sorted(added.values())),
        removed=tuple(sorted(removed.values())),
        changed=tuple(sorted(changed, key=lambda pair: pair[0].path)),
        renamed=tuple(renamed),
    )


def _renames(removed: Mapping[str, Entry], added: Mapping[str, Entry]) -> list[tuple[Entry, Entry]]:
    by_content: dict[tuple[str, int, str | None], deque[Entry]] = {}
    for _, entry in sorted(removed.items()):
        by_content.setdefault((entry.digest, entry.size, entry.ref), deque()).append(entry)
    pairs = []
    for _, entry in sorted(added.items()):
        sources = by_content.get((entry.digest, entry.size, entry.ref))
        if sources and sources[0].extra == entry.extra:
            pairs.append((sources.popleft(), entry))
    return pairs


def rewrite(
    base: ManifestHead,
    read: Callable[[SegmentHead], Iterable[Entry]],
    changes: Iterable[tuple[str, Entry | None]],
) -> Iterator[SegmentHead | Segment]:
    """Yield the segments of `base` with changes applied: as heads where nothing changed.

    changes: (path, new entry, or None to remove it), sorted by path. Reads only segments that
    change, and a neighbour where a removed path had been a cut. The result is the same as
    building all segments anew.
    """
    by_segment = _by_segment(base, changes)
    if not base.segments:
        yield from build_segments(entry for _, entry in by_segment.get(0, ()) if entry)
        return
    pending: SegmentHead | list[Entry] | None = None
    for index, head in enumerate(base.segments):
        changed = by_segment.get(index)
        following = head if changed is None else _changed(read(head), changed)
        if isinstance(following, list):
            if not following:
                continue
            if pending and not starts_segment(following[0].path):
                before = pending if isinstance(pending, list) else read(pending)
                pending = [*before, *following]
                continue
        yield from _flushed(pending)
        pending = following
    yield from _flushed(pending)


def _by_segment(
    base: ManifestHead, changes: Iterable[tuple[str, Entry | None]]
) -> dict[int, list[tuple[str, Entry | None]]]:
    groups: dict[int, list[tuple[str, Entry | None]]] = {}
    for change in changes:
        after = bisect_right(base.segments, change[0], key=lambda head: head.first_path)
        groups.setdefault(max(after - 1, 0), []).append(change)
    return groups


def _changed(entries: Iterable[Entry], changes: Iterable[tuple[str, Entry | None]]) -> list[Entry]:
    by_path: dict[str, Entry | None] = {entry.path: entry for entry in entries}
    by_path.update(changes)
    return [entry for _, entry in sorted(by_path.items()) if entry is not None]


def _flushed(pending: SegmentHead | list[Entry] | None) -> Iterator[SegmentHead | Segment]:
    if isinstance(pending, list):
        yield from build_segments(pending)
    elif pending is not None:
        yield pending
