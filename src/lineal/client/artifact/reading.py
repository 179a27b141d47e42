"""Reading one file of a version without downloading it, wherever its bytes are.

Stored bytes of this machine are read from where they lie, references from their own store, each
only in the parts that are asked for. A small file out of a pack is held against its digest; parts
of a large one cannot be, `lineal verify` checks the whole.
"""

from __future__ import annotations

import io
import os
import tempfile
import threading

from lineal.client.backend import Backend
from lineal.client.references import References
from lineal.client.references.local import LocalRanges
from lineal.client.references.scheme import Ranges
from lineal.core.digest import PREFIX, Digest, check_stored, of_bytes
from lineal.core.manifest import Entry
from lineal.core.records import VersionId
from lineal.core.transfers import Location
from lineal.errors import MissingFile
from lineal.files.writing import write_stream
from lineal.packs import Pack

AHEAD_BYTES = 256 << 10
"""Read at once where less is asked for: small reads of a remote store cost a request each."""


def opened(backend: Backend, version: VersionId, entry: Entry, references: References) -> Reader:
    """Open a file of a version for reading; it can be seeked, and closes what it opened.

    Raises MissingFile or ReferenceChanged if the recorded bytes are not there any more, Denied
    and Unavailable as the store of a reference answers; reading later raises the same.
    """
    if entry.ref is not None:
        ranges = references.of(entry.ref).ranges(entry)
    else:
        location = backend.locate(version, [entry.digest]).get(entry.digest)
        try:
            if location is None:
                raise MissingFile("no place is known for them")
            ranges = _stored(backend, location, entry)
        except MissingFile as error:
            raise MissingFile(
                f"The bytes of {entry.path} ({entry.digest}) are not stored any more: "
                f"{error.message}. `lineal verify` says what else is lost"
            ) from error
    return Reader(ranges)


def _stored(backend: Backend, location: Location, entry: Entry) -> Ranges:
    if location.path is not None:
        return LocalRanges(location.path)
    if location.pack is not None:
        data = Pack(location.pack).read_at(location.offset, location.size)
        check_stored(of_bytes(data), entry.digest, entry.path)
        return BytesRanges(data)
    with backend.open(location) as source, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "whole")
        check_stored(Digest(PREFIX + write_stream(source, path)), entry.digest, entry.path)
        return LocalRanges(path)  # stays readable after its name is gone


class BytesRanges:
    """Parts of a small file that was read as a whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, start: int, stop: int) -> bytes:
        return self._data[start:stop]

    def close(self) -> None:
        return


class Reader(io.BufferedIOBase):
    """A file over ranges, read ahead where little is asked for.

    A seek holds for the next read of the thread that made it: DuckDB shares one file among its
    threads, and each seeks, then reads. Without a seek, a read begins where the last one of any
    thread ended, as in every file.
    """

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._end_of_last = 0
        self._sought = threading.local()
        self._ahead = (0, b"")

    @property
    def size(self) -> int:
        """Bytes; what fsspec's own files have, and some of its functions ask for."""
        return self._ranges.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        at: int = getattr(self._sought, "at", self._end_of_last)
        return at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = self._ranges.size
        at = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: size}[whence] + offset
        if at < 0:
            raise ValueError(f"negative seek position {at}")
        self._sought.at = self._end_of_last = at
        return at

    def read(self, size: int | None = -1, /) -> bytes:
        if self.closed:
            raise ValueError("read of a closed file")
        start, end = self.tell(), self._ranges.size
        stop = end if size is None or size < 0 else min(start + size, end)
        data = self._part(start, stop) if start < stop else b""
        self._end_of_last = start + len(data)
        self._sought.__dict__.clear()
        return data

    read1 = read

    def peek(self, _size: int = 0, /) -> bytes:
        """Return some bytes that come next, without moving; lines are read by it."""
        start, end = self.tell(), self._ranges.size
        if start >= end:
            return b""
        ahead, at = self._read_ahead(start, start + 1)
        return ahead[at : at + io.DEFAULT_BUFFER_SIZE]

    def _part(self, start: int, stop: int) -> bytes:
        if stop - start >= AHEAD_BYTES:
            return self._ranges.read(start, stop)
        ahead, at = self._read_ahead(start, stop)
        return ahead[at : at + stop - start]

    def _read_ahead(self, start: int, stop: int) -> tuple[bytes, int]:
        """Return bytes that hold those asked for, and where in them these begin."""
        first, ahead = self._ahead
        if not first <= start <= stop <= first + len(ahead):
            first = start
            ahead = self._ranges.read(start, min(start + AHEAD_BYTES, self._ranges.size))
            self._ahead = (first, ahead)
        return ahead, start - first

    def close(self) -> None:
        if not self.closed:
            self._ranges.close()
        super().close()
