"""Copying a file and hashing the copy."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from functools import partial

from lineal.files.flushing import FLUSH_BYTES, begin_flush
from lineal.files.reading import (
    CHUNK_BYTES,
    SMALL_BYTES,
    Advance,
    Hashed,
    hash_file,
    opened,
    read_whole,
)
from lineal.files.refusals import unreadable
from lineal.files.stamps import require_unchanged
from lineal.files.writing import created, write_new
from lineal.parallel import Threads, require_wanted

PIECE_BYTES = 4 << 20
"""Copied by the kernel at a time: no bytes come here, which takes half the processor's time of
reading and writing them. (`copy_file_range` does the same, but only within a file system.)"""
PIECES_AHEAD = 32
"""Pieces that may wait for the hash: they must still be in memory when it comes to them."""
_FICLONE = 0x40049409
"""linux/fs.h: let the target share the source's extents (XFS, Btrfs, overlay of them)."""


def copy_and_hash(
    source: str, target: str, *, mode: int = 0o444, advance: Advance | None = None
) -> Hashed:
    """Copy a file to a new path and hash what was written.

    The digest is that of the copy, whatever happens to the source. Raises SourceChanged if the
    source changed while being read (the copy would be a mixture), MissingFile if it is gone,
    NoSpace; on any error the target is removed.
    """
    with opened(source) as (reading, before):
        if before.size <= SMALL_BYTES:
            data = read_whole(source, reading, before)
            require_unchanged(source, reading, before)
            write_new(target, data, mode=mode)
            return Hashed(hashlib.sha256(data).hexdigest(), before.size, before)
        with created(target, mode) as writing:
            if _clone(reading, writing, before.size):
                hex_digest = hash_file(target, advance=advance).hex_digest
            else:
                hex_digest = _copy_large(source, reading, writing, before.size, advance)
            require_unchanged(source, reading, before)
    return Hashed(hex_digest, before.size, before)


def _clone(reading: int, writing: int, size: int) -> bool:
    """Let a file share the bytes of another; False where it does not have all of them then.

    Why it cannot is no matter: what is really wrong shows when they are copied.
    """
    try:
        # OpenZFS has EAGAIN for what was written a moment ago, and 2.2 may have cloned a part of it
        # https://github.com/openzfs/zfs/issues/15728
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError:
        return False
    return os.fstat(writing).st_size == size


def _copy_large(source: str, reading: int, writing: int, size: int, advance: Advance | None) -> str:
    """Copy piece by piece here while one thread hashes the copy behind it.

    What grew beyond its size has changed: to follow it to its end might take for ever.
    """
    copier, running = _Copier(source, reading, writing), _Hash(writing, advance)
    offset = 0
    with Threads[None](1 if size > PIECE_BYTES else 0, "lineal-hash") as hasher:
        while offset <= size and (count := copier.copy(offset)):
            hasher.begin(partial(running.add, offset, count))
            hasher.wait(PIECES_AHEAD)
            offset += count
        hasher.wait()
    return running.hexdigest()


class _Copier:
    """Copies pieces of one file to the same place in another."""

    def __init__(self, source: str, reading: int, writing: int) -> None:
        self._source, self._reading, self._writing = source, reading, writing
        self._asks_kernel = hasattr(os, "sendfile")

    def copy(self, offset: int) -> int:
        """Return how many bytes were copied, 0 at the end; raises Abandoned."""
        require_wanted()
        if self._asks_kernel:
            try:
                count = os.sendfile(self._writing, self._reading, offset, PIECE_BYTES)
            except OSError:  # it cannot do that here; if anything else is wrong, it shows below
                self._asks_kernel = False
            else:
                if count:
                    return count
        try:
            piece = os.pread(self._reading, CHUNK_BYTES, offset)
        except OSError as error:
            raise unreadable(self._source, error) from error
        written = 0
        while written < len(piece):
            written += os.pwrite(self._writing, piece[written:], offset + written)
        return written


class _Hash:
    """Hashes a file that is being written, in order."""

    def __init__(self, descriptor: int, advance: Advance | None) -> None:
        self._descriptor = descriptor
        self._advance = advance
        self._running = hashlib.sha256()
        self._buffer = memoryview(bytearray(CHUNK_BYTES))
        self._flushed = 0

    def add(self, offset: int, count: int) -> None:
        end = offset + count
        while offset < end:
            read = os.preadv(self._descriptor, [self._buffer[: end - offset]], offset)
            if not read:
                raise OSError(errno.EIO, "the copy became shorter while it was made")
            self._running.update(self._buffer[:read])
            offset += read
        if self._advance is not None:
            self._advance(count)
        if end - self._flushed >= FLUSH_BYTES:  # what is not hashed yet stays in memory
            begin_flush(self._descriptor, self._flushed, end - self._flushed)
            self._flushed = end

    def hexdigest(self) -> str:
        return self._running.hexdigest()
