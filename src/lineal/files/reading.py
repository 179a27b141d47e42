"""Reading and hashing a file, in one read and noticing if it changes meanwhile."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import NamedTuple

from lineal.errors import SourceChanged
from lineal.files.refusals import unreadable
from lineal.files.stamps import Stamp, require_unchanged
from lineal.parallel import require_wanted

SMALL_BYTES = 1 << 20
"""Files up to here are read whole: one read, one hash, one write."""
CHUNK_BYTES = 256 << 10
"""Read, hashed and written at a time: small enough to stay in the processor's cache meanwhile
(2 GiB: 2.0 s of CPU; with 4 MiB 2.9 s)."""

Advance = Callable[[int], object]
"""Hears of a large file how many more bytes are done, again and again; of a small one nothing."""


class Hashed(NamedTuple):
    """A file as it was read: digest without prefix, and the stamp it had before and after."""

    hex_digest: str
    size: int
    stamp: Stamp


class Piece(NamedTuple):
    """Some bytes of a file to which nobody writes any more."""

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the bytes; raises MissingFile if the file is gone, SourceChanged if it is cut."""
        with opened(self.path) as (descriptor, _):
            try:
                data = os.pread(descriptor, self.size, self.offset)
                while len(data) < self.size:  # a file system may answer in pieces
                    end = self.offset + len(data)
                    more = os.pread(descriptor, self.size - len(data), end)
                    if not more:
                        raise SourceChanged(f"File {self.path} ends at {end}; it was longer before")
                    data += more
            except OSError as error:
                raise unreadable(self.path, error) from error
        return data


Source = str | Piece
"""Where on this machine content is: the path of a file, or a piece of one."""


def hash_file(path: str, *, advance: Advance | None = None) -> Hashed:
    """Hash a file; raises SourceChanged if it changed meanwhile, MissingFile if it is gone.

    What grew beyond its size has changed: to follow it to its end might take for ever.
    """
    with opened(path) as (descriptor, before):
        if before.size <= SMALL_BYTES:
            running = hashlib.sha256(read_whole(path, descriptor, before))
        else:
            with open(descriptor, "rb", buffering=0, closefd=False) as file:
                running, done = hashlib.sha256(), 0
                buffer = memoryview(bytearray(CHUNK_BYTES))
                try:
                    while done <= before.size and (count := file.readinto(buffer)):
                        require_wanted()
                        running.update(buffer[:count])
                        done += count
                        if advance is not None:
                            advance(count)
                except OSError as error:
                    raise unreadable(path, error) from error
        require_unchanged(path, descriptor, before)
    return Hashed(running.hexdigest(), before.size, before)


def read_small(path: str, most: int) -> tuple[bytes, Hashed, bytes] | None:
    """Return (content, what `hash_file` says, SHA-256) of a file of at most so many bytes.

    None if it is larger; errors as of `hash_file`.
    """
    with opened(path) as (descriptor, before):
        if before.size > most:
            return None
        data = read_whole(path, descriptor, before)
        require_unchanged(path, descriptor, before)
    hashed = hashlib.sha256(data)
    return data, Hashed(hashed.hexdigest(), before.size, before), hashed.digest()


def open_file(path: str) -> int:
    """Return a descriptor to read a file with; raises MissingFile for a folder, a pipe, a device.

    Without O_NONBLOCK, to open a pipe waits until somebody writes to it.
    """
    return _open(path)[0]


def _open(path: str) -> tuple[int, Stamp]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        return descriptor, Stamp.of_open(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


class opened:  # noqa: N801 - read as a word of the `with` statement
    """A file open for reading, and its stamp; a class, as a generator takes thrice as long."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> tuple[int, Stamp]:
        self._descriptor, stamp = _open(self._path)
        return self._descriptor, stamp

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        os.close(self._descriptor)


def read_whole(path: str, descriptor: int, before: Stamp) -> bytes:
    """Return what is in an open file; raises SourceChanged if that is not of the stamp's size."""
    try:
        data = os.read(descriptor, before.size + 1)
        if len(data) != before.size:  # a file system may answer in pieces
            data += _read_all(descriptor)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(data) != before.size:  # it grew, or it is one of /proc, whose sizes are made up
        raise SourceChanged(
            f"File {path} has {before.size} bytes by its size and {len(data)} when read; "
            "copy it to an ordinary file that nobody writes to, and log that"
        )
    return data


def _read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, SMALL_BYTES):
        parts.append(part)
    return b"".join(parts)
