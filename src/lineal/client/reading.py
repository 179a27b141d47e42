"""Reading one file of a version without downloading it, wherever its bytes are.

Stored bytes of this machine are read from where they lie, references from their own store, each
only in the parts that are asked for. A small file out of a pack is held against its digest; parts
of a large one cannot be, `lineal verify` checks the whole.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from typing import Any, BinaryIO

from lineal.client.backend import Backend
from lineal.client.references import References
from lineal.client.references.local import LocalRanges
from lineal.client.references.scheme import Ranges
from lineal.core.digest import PREFIX
from lineal.core.manifest import Entry
from lineal.core.records import Location, VersionId
from lineal.errors import IntegrityError, MissingFile
from lineal.packs import Pack

AHEAD_BYTES = 256 << 10
"""Read at once where less is asked for: small reads of a remote store cost a request each."""


def opened(
    backend: Backend, version: VersionId, entry: Entry, references: References
) -> io.BufferedReader:
    """Open a file of a version for reading; it can be seeked, and closes what it opened.

    Raises MissingFile or ReferenceChanged if the recorded bytes are not there any more, Denied
    and Unavailable as the store of a reference answers; reading later raises the same.
    """
    if entry.ref is not None:
        ranges = references.of(entry.ref).ranges(entry)
    else:
        location = backend.locate([entry.digest], version=version).get(entry.digest)
        if location is None:
            raise MissingFile(f"The bytes of {entry.path} ({entry.digest}) are not stored any more")
        ranges = _stored(backend, location)
    return io.BufferedReader(Reader(ranges), AHEAD_BYTES)


def _stored(backend: Backend, location: Location) -> Ranges:
    if location.path is not None:
        return LocalRanges(location.path)
    if location.pack is not None:
        data = Pack(location.pack).read_at(location.offset, location.size)
        if f"{PREFIX}{hashlib.sha256(data).hexdigest()}" != location.digest:
            raise IntegrityError(f"The stored bytes do not have the digest {location.digest}")
        return BufferRanges(io.BytesIO(data))
    kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the ranges
    with backend.open(location) as source:
        shutil.copyfileobj(source, kept)
    return BufferRanges(kept)


class BufferRanges:
    """Parts of what was fetched as a whole."""

    def __init__(self, content: BinaryIO | Any) -> None:
        self._content = content
        self._size: int = content.seek(0, io.SEEK_END)

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        self._content.seek(start)
        data: bytes = self._content.read(max(0, stop - start))
        return data

    def close(self) -> None:
        self._content.close()


class Reader(io.RawIOBase):
    """A file over ranges; `opened` puts a buffer in front of it."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ranges.size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        stop = min(self._at + len(view), self._ranges.size)
        data = self._ranges.read(self._at, stop) if stop > self._at else b""
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._ranges.close()
        super().close()
