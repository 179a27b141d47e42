"""Packs: many small files in one, because making a file costs more than writing ten kilobytes.

A pack is the files one after the other, then an index, then a footer; docs/design/007-packs.md.
It is written once, by one process, and appears whole by a rename. Afterwards only this changes: a
file in it is deleted by marking its index entry, and its bytes are given back to the disk.

Beside `files` below all rooms: the SDK writes packs, the local store keeps and reads them.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from lineal import libc
from lineal.errors import IntegrityError
from lineal.files.flushing import FLUSH_BYTES, begin_flush
from lineal.files.modes import set_mode
from lineal.files.reading import open_file
from lineal.files.refusals import access_to, room_on
from lineal.files.stamps import Stamp
from lineal.files.writing import write_all
from lineal.interrupts import deferred
from lineal.parallel import Threads

_ENTRY = struct.Struct("<32sQII")
"""SHA-256, offset, length, and whether it is deleted: 48 bytes, little-endian."""
_DELETED_AT = 44
"""Where in an entry its last field is."""
_FOOTER = struct.Struct("<QQ8s")
"""Offset of the index, its entries, the magic word: the last 24 bytes."""
_MAGIC = b"LNLPACK1"
_DELETED = struct.pack("<I", 1)

BYTES_MOST = 256 << 20
ENTRIES_MOST = 20_000
"""A pack that reaches either is closed: what one holds is sent, or sent again, as a whole."""
_BUFFER_BYTES = 1 << 20
_BUFFERS_MOST = 1_000
"""The kernel takes 1,024 pieces in one call."""
_ENTRIES_PER_LOOK = 30
"""To find one file in the index takes as long as making a dictionary of thirty entries."""
_AHEAD_BYTES = 256 << 10


class Place(NamedTuple):
    """Where in a pack a file is."""

    offset: int
    length: int
    entry: int
    """Number of its index entry."""


class Writer:
    """A pack being written; `seal` makes it one, `discard` removes it.

    A thread writes, a megabyte at a time, while the next files are read and hashed: a new page of
    memory for each four kilobytes takes as long as that.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with room_on(path):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
        self._entries: dict[bytes, tuple[int, int]] = {}
        self._buffers: list[bytes | memoryview] = []
        self._buffered = 0
        self._size = 0
        self._flushed = 0
        self._writing = Threads[None](1, "lineal-pack")

    @property
    def is_full(self) -> bool:
        return len(self._entries) >= ENTRIES_MOST or self._size >= BYTES_MOST

    def add(self, sha256: bytes, data: bytes | memoryview) -> None:
        """Append a file; one whose content is there already adds nothing."""
        if sha256 in self._entries:
            return
        self._entries[sha256] = self._size, len(data)
        if data:
            self._append(data)
        if self._buffered >= _BUFFER_BYTES or len(self._buffers) >= _BUFFERS_MOST:
            self._write_beside()

    def seal(self) -> None:
        """Write the index and close the file; it is not on the disk yet."""
        index = b"".join(
            _ENTRY.pack(sha256, offset, length, 0)
            for sha256, (offset, length) in sorted(self._entries.items())
        )
        footer = _FOOTER.pack(self._size, len(self._entries), _MAGIC)
        self._append(index + footer)
        self._writing.wait()
        self._write(self._buffers, self._size)
        with room_on(self.path):
            set_mode(self._descriptor, 0o444)
        self._close()

    def discard(self) -> None:
        """Remove the file, unless it was sealed."""
        if self._descriptor >= 0:
            self._close()
            os.unlink(self.path)

    def _close(self) -> None:
        with deferred():  # nobody may write to this descriptor, or close it, when it is another's
            self._writing.end()
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _append(self, data: bytes | memoryview) -> None:
        self._buffers.append(data)
        self._buffered += len(data)
        self._size += len(data)

    def _write_beside(self) -> None:
        self._writing.wait()
        self._writing.begin(partial(self._write, self._buffers, self._size))
        self._buffers, self._buffered = [], 0

    def _write(self, buffers: Sequence[bytes | memoryview], end: int) -> None:
        """Write what comes next; end: how much of the pack is written then."""
        with room_on(self.path):
            written = os.writev(self._descriptor, buffers)
            if written < sum(map(len, buffers)):
                write_all(self._descriptor, b"".join(buffers)[written:])
        if end - self._flushed >= FLUSH_BYTES:
            begin_flush(self._descriptor, self._flushed, end - self._flushed)
            self._flushed = end


class Pack:
    """A pack open for reading. Threads may share it; a forked child may go on with it.

    Another process may delete files in it meanwhile: its index is read again whenever the file
    has changed. Raises MissingFile if there is no such file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1
        self._descriptor = open_file(path)
        self._read_at_ns = -1
        self._entries = b""

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # When the last thread lets go of it; at the very end the names of this module are gone.
        if self._descriptor >= 0:
            close(self._descriptor)

    def places(self) -> dict[bytes, Place]:
        """Return SHA-256 → place of what is in it; raises IntegrityError if it is no pack."""
        return dict(self._entries_that(is_deleted=False))

    def deleted(self) -> list[Place]:
        """Return the places of what was deleted in it, in no useful order; raises as `places`."""
        return [place for _, place in self._entries_that(is_deleted=True)]

    def _entries_that(self, *, is_deleted: bool) -> Iterator[tuple[bytes, Place]]:
        entries = _ENTRY.iter_unpack(self._index())
        for number, (sha256, offset, length, is_marked) in enumerate(entries):
            if is_deleted == bool(is_marked):
                yield sha256, Place(offset, length, number)

    def find_all(self, sha256s: Sequence[bytes]) -> list[Place | None]:
        """Return the place of each, None for those that are not in it; raises as `places`."""
        index, size = self._index(), _ENTRY.size
        count = len(index) // size
        if len(sha256s) * _ENTRIES_PER_LOOK < count:
            return [_find(index, sha256) for sha256 in sha256s]
        numbers = {index[number * size : number * size + 32]: number for number in range(count)}
        return [
            None if (number := numbers.get(sha256)) is None else _place(index, number)
            for sha256 in sha256s
        ]

    def read_at(self, offset: int, length: int, *, ahead: int = 0) -> bytes:
        """Return bytes from a place that was asked for before; zeros if it was deleted since.

        ahead: of what is behind them, so many bytes at most come along.
        """
        return _read_whole(self._descriptor, self.path, length, offset, ahead=ahead)

    def _index(self) -> bytes:
        """Return the index as it is in the file: sorted, and a look into it needs no more."""
        stamp = Stamp.of_open(self.path, self._descriptor)
        if stamp.mtime_ns != self._read_at_ns:
            start, count = _footer(self._descriptor, self.path, stamp.size)
            self._entries = _read_whole(self._descriptor, self.path, count * _ENTRY.size, start)
            self._read_at_ns = stamp.mtime_ns
        return self._entries


class InTurn:
    """Reads files of packs, one after the other; of those that lie side by side many at once."""

    def __init__(self) -> None:
        self._pack: Pack | None = None
        self._start, self._read = 0, memoryview(b"")

    def file(self, path: str, offset: int, length: int) -> memoryview:
        """Return a file of the pack at a path; raises as `Pack` and `Pack.read_at`."""
        if self._pack is None or self._pack.path != path:
            self._pack, self._start, self._read = Pack(path), 0, memoryview(b"")
        begin, read = offset - self._start, len(self._read)
        if not 0 <= begin <= read - length:
            ahead = _AHEAD_BYTES if 0 <= begin <= read else 0  # else it does not follow the last
            self._read = memoryview(self._pack.read_at(offset, length, ahead=ahead))
            self._start, begin = offset, 0
        return self._read[begin : begin + length]


def delete(path: str, sha256s: Iterable[bytes]) -> int:
    """Delete files in a pack, for good; returns how many are left in it.

    May be repeated, and done by several processes at once. A crash half-way leaves zeros that
    are not marked yet; the next call does that.
    """
    pack = Pack(path)
    wanted = [place for place in pack.find_all(list(sha256s)) if place is not None]
    if wanted:
        set_mode(path, 0o644)
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            start, _ = _footer(descriptor, path, os.fstat(descriptor).st_size)
            _erase(descriptor, wanted, pack.deleted())
            os.fsync(descriptor)  # a mark says that the bytes are gone, also after a power cut
            for place in wanted:
                os.pwrite(descriptor, _DELETED, start + place.entry * _ENTRY.size + _DELETED_AT)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return len(Pack(path).places())


def _find(index: bytes, sha256: bytes) -> Place | None:
    size = _ENTRY.size

    def named(number: int) -> bytes:
        return index[number * size : number * size + len(sha256)]

    number = bisect_left(range(len(index) // size), sha256, key=named)
    if named(number) != sha256:  # after the last, there is no name
        return None
    return _place(index, number)


def _place(index: bytes, number: int) -> Place | None:
    """Return where the file of an index entry is, None if it was deleted."""
    _, offset, length, is_deleted = _ENTRY.unpack_from(index, number * _ENTRY.size)
    return None if is_deleted else Place(offset, length, number)


def _read(descriptor: int, path: str, length: int, offset: int) -> bytes:
    with access_to(path):
        return os.pread(descriptor, length, offset)


def _read_whole(descriptor: int, path: str, length: int, offset: int, *, ahead: int = 0) -> bytes:
    data = _read(descriptor, path, length + ahead, offset)
    while len(data) < length:  # a file system may answer in pieces
        more = _read(descriptor, path, length - len(data), offset + len(data))
        if not more:
            raise IntegrityError(f"The pack {path} is shorter than it says")
        data += more
    return data


def _footer(descriptor: int, path: str, size: int) -> tuple[int, int]:
    """Return (offset of the index, number of entries)."""
    footer = _read(descriptor, path, _FOOTER.size, max(size - _FOOTER.size, 0))
    if len(footer) == _FOOTER.size:
        start, count, magic = _FOOTER.unpack(footer)
        if magic == _MAGIC and start + count * _ENTRY.size + _FOOTER.size == size:
            return start, count
    raise IntegrityError(f"{path} is not a whole pack: its footer is damaged")


def _erase(descriptor: int, wanted: Sequence[Place], deleted: Sequence[Place]) -> None:
    """Give bytes back to the disk; where the file system makes no holes, overwrite them.

    deleted: what was deleted before. A hole is made over neighbours that are among these, too:
    only so a block goes whose files are deleted one after the other.
    """
    holes = _united([*wanted, *deleted])
    starts = [start for start, _ in holes]
    around = {holes[bisect_right(starts, place.offset) - 1] for place in wanted}
    if all(libc.punch_hole(descriptor, *hole) for hole in sorted(around)):
        return
    for offset, length in _united(wanted):
        _overwrite(descriptor, offset, length)


def _united(places: Iterable[Place]) -> list[tuple[int, int]]:
    """Unite neighbours to (offset, length): one call frees them, and the blocks they share."""
    runs: list[tuple[int, int]] = []
    for place in sorted(places):
        start, length = runs[-1] if runs else (0, 0)
        if runs and start + length == place.offset:
            runs[-1] = start, length + place.length
        else:
            runs.append((place.offset, place.length))
    return runs


def _overwrite(descriptor: int, offset: int, length: int) -> None:
    zeros = bytes(min(length, _BUFFER_BYTES))
    while length > 0:
        count = os.pwrite(descriptor, zeros[:length], offset)
        offset, length = offset + count, length - count
