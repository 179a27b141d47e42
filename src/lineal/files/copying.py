"""Copying a file and hashing the copy, in one read."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import cycle

from lineal.files.flushing import FLUSH_BYTES, begin_flush
from lineal.files.reading import CHUNK_BYTES, SMALL_BYTES, Hashed, hash_file, opened, read_whole
from lineal.files.refusals import unreadable
from lineal.files.stamps import Stamp, require_unchanged
from lineal.files.writing import created, write_all, write_new

CHUNKS_AHEAD = 8
"""Chunks that may wait for the hash."""
_FICLONE = 0x40049409
"""linux/fs.h: let the target share the source's extents (XFS, Btrfs, overlay of them)."""
_NO_CLONE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.EPERM, errno.ENOSYS}


def copy_and_hash(source: str, target: str, *, mode: int = 0o444) -> Hashed:
    """Copy a file to a new path and hash what was written, in one read.

    The digest is that of the copy, whatever happens to the source. Raises SourceChanged if the
    source changed while being read (the copy would be a mixture), MissingFile if it is gone,
    NoSpace; on any error the target is removed.
    """
    with opened(source) as reading:
        before = Stamp.of_open(source, reading)
        if before.size <= SMALL_BYTES:
            data = read_whole(source, reading, before)
            require_unchanged(source, reading, before)
            write_new(target, data, mode=mode)
            return Hashed(hashlib.sha256(data).hexdigest(), before.size, before)
        with created(target, mode) as writing:
            if _clone(reading, writing):
                hex_digest = hash_file(target).hex_digest
            else:
                hex_digest = _copy_large(source, reading, writing)
            require_unchanged(source, reading, before)
    return Hashed(hex_digest, before.size, before)


def _clone(reading: int, writing: int) -> bool:
    try:
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def _copy_large(source: str, reading: int, writing: int) -> str:
    """Write each chunk here while one thread hashes it: both let go of the interpreter.

    Where no thread can be had it is hashed here: by a limit, or since the process is ending.
    """
    running = hashlib.sha256()
    buffers = [memoryview(bytearray(CHUNK_BYTES)) for _ in range(CHUNKS_AHEAD)]
    pending: deque[Future[None]] = deque()
    written = flushed = 0
    has_thread = True
    with ThreadPoolExecutor(1, "lineal-hash") as hasher:
        for buffer in cycle(buffers):
            if len(pending) == len(buffers):
                pending.popleft().result()  # its buffer is filled again now
            try:
                count = os.readv(reading, [buffer])
            except OSError as error:
                raise unreadable(source, error) from error
            if not count:
                break
            if has_thread:
                try:
                    pending.append(hasher.submit(running.update, buffer[:count]))
                except RuntimeError:
                    has_thread = False
                    wait(pending)
            if not has_thread:
                running.update(buffer[:count])
            write_all(writing, buffer[:count])
            written += count
            if written - flushed >= FLUSH_BYTES:
                begin_flush(writing, flushed, written - flushed)
                flushed = written
        for future in pending:
            future.result()
    return running.hexdigest()
