"""The entries of a version, read a segment at a time, when first needed (ART-15).

A version that is read has them as they are, a draft that was made from it has its changes on top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from lineal.core.digest import Digest
from lineal.core.manifest import (
    Entry,
    ManifestHead,
    Segment,
    SegmentHead,
    decode_entries,
    entries_under,
    entry_in,
    segment_of,
    segments_under,
)
from lineal.nearest import NEAR_MISSES_MOST, nearest

if TYPE_CHECKING:
    from lineal.client.backend import Backend
    from lineal.core.records import VersionId

SEGMENTS_HELD = 64
"""Segments of a version kept as they are stored (100 kB each), for looking up entries."""
LOOKED_UP_SINGLY = 8
"""Entries of a segment in a row, before all of them are decoded, which takes as long as 100."""


class Base:
    """The entries of a version; asked for by path, they are looked up one by one or decoded all."""

    def __init__(
        self,
        ask: Callable[[], ManifestHead],
        read: Callable[[Sequence[SegmentHead]], Iterator[Segment]],
    ) -> None:
        self._ask, self._read = ask, read
        self._head: ManifestHead | None = None
        self._held: dict[Digest, bytes] = {}
        self._last: tuple[Digest, int, dict[str, Entry] | None] = Digest(""), 0, None
        """The segment that was looked into last, how often in a row, and its entries by path."""

    @classmethod
    def of(cls, backend: Backend, version: VersionId) -> Base:
        return cls(
            lambda: backend.manifest(version), lambda heads: backend.read_segments(version, heads)
        )

    @property
    def head(self) -> ManifestHead:
        # not `cached_property`: until Python 3.12 it has a lock that a fork can leave held
        if self._head is None:
            self._head = self._ask()
        return self._head

    def get(self, path: str) -> Entry | None:
        """Look an entry up, at best in the order of the paths, or in any."""
        head = segment_of(self.head, path)
        if head is None:
            return None
        last, count, entries = self._last  # once: another thread may look into another segment
        if last != head.digest:
            count, entries = 0, None
        if entries is None and count < LOOKED_UP_SINGLY:
            self._last = head.digest, count + 1, None
            return entry_in(self._lines(head), path)
        if entries is None:  # more of its entries are likely to be asked for
            entries = {entry.path: entry for entry in decode_entries(self._lines(head))}
            self._last = head.digest, count, entries
        return entries.get(path)

    def _lines(self, head: SegmentHead) -> bytes:
        lines = self._held.get(head.digest)
        if lines is None:
            lines = b"".join(segment.lines for segment in self._read([head]))
            if len(self._held) >= SEGMENTS_HELD:
                self._held.clear()
            self._held[head.digest] = lines
        return lines

    def under(self, prefix: str) -> Iterator[Entry]:
        """Yield the entries whose path begins with a prefix, sorted."""
        heads = segments_under(self.head, prefix)
        if len(heads) == 1:  # more of its folders and files are likely to be asked for
            yield from entries_under(self._lines(heads[0]), prefix)
            return
        for segment in self._read(heads):
            yield from entries_under(segment.lines, prefix)

    def near(self, path: str) -> str:
        """Return what to say of a path that is no file: that it is a folder, or what is near it."""
        if next(self.under(f"{path}/"), None) is not None:
            return (
                f": {path!r} is a folder; download(path_prefix={f'{path}/'!r}) fetches it, "
                f"manifest.get_entries_in_directory({path!r}) lists its files"
            )
        folder = path.rpartition("/")[0]
        known = (entry.path for entry in self.under(f"{folder}/" if folder else ""))
        near = nearest(path, islice(known, NEAR_MISSES_MOST))
        return f"; did you mean {near[0]!r}?" if near else ""

    def segment(self, head: SegmentHead) -> Iterator[Entry]:
        for segment in self.segments([head]):
            yield from decode_entries(segment.lines)

    def segments(self, heads: Sequence[SegmentHead]) -> Iterator[Segment]:
        """Yield segments in the order asked; raises Gone if the version was released."""
        return self._read(heads)


NOTHING = Base(lambda: ManifestHead(Digest(""), ()), lambda _: iter(()))
"""What a draft begins with that was made from no version."""
