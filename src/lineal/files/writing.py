"""Writing files so that no half of one is left."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from lineal.files.parts import new_stem
from lineal.files.reading import CHUNK_BYTES, Advance
from lineal.files.refusals import room_on
from lineal.files.stamps import Stamp
from lineal.parallel import require_wanted

_OPEN_FILES = "/proc/self/fd"
_HAS_NAMELESS = hasattr(os, "O_TMPFILE") and os.path.isdir(_OPEN_FILES)
_NO_NAMELESS = {
    errno.EOPNOTSUPP,
    errno.EISDIR,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EPERM,
    errno.EXDEV,
}
"""Said by file systems, kernels and sandboxes without them."""


def write_new(path: str, data: bytes | memoryview, *, mode: int = 0o444) -> None:
    """Write a new file, read-only unless told otherwise; on any error it is removed."""
    with room_on(path):  # not `created`: every small file comes here, and it costs a tenth of it
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            write_all(descriptor, data)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)


def write_whole(path: str, data: bytes | memoryview, *, mode: int = 0o644) -> Stamp:
    """Make or replace a file as a whole, so that no reader ever sees half of it.

    It gets its name when it is written, so that a crash leaves nothing either. Where the file
    system has no nameless files, as NFS, a crash may leave a `PART` (`parts.py`).
    """
    with room_on(path):
        written = _write_nameless(path, data, mode)
        if written is not None:
            return written
        _make_beside(path, lambda part: write_new(part, data, mode=mode))
        return Stamp.at(path)


class Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...


def write_stream(
    source: Readable,
    path: str,
    chunk_bytes: int = CHUNK_BYTES,
    *,
    mode: int = 0o666,
    advance: Advance | None = None,
) -> str:
    """Write what a stream yields to a new file; returns the hex digest of what was written."""
    running = hashlib.sha256()
    with created(path, mode) as descriptor:
        while chunk := source.read(chunk_bytes):
            require_wanted()
            running.update(chunk)
            write_all(descriptor, chunk)
            if advance is not None:
                advance(len(chunk))
    return running.hexdigest()


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write everything to an open file, in as many calls as it takes.

    Not in one: for a whole megabyte the kernel looks for that much memory in one piece, which a
    virtual machine may have given back to its host: 300 files of 1 MiB take 0.6 to 0.9 s then, in
    pieces 0.07, or the same where smaller memory has run out, too.
    """
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left[:CHUNK_BYTES]) :]


@contextmanager
def created(path: str, mode: int = 0o444) -> Iterator[int]:
    """Make a new file, open for writing and reading; on any error it is removed."""
    with room_on(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            yield descriptor
        except BaseException:
            os.close(descriptor)
            os.unlink(path)
            raise
        os.close(descriptor)


def _write_nameless(path: str, data: bytes | memoryview, mode: int) -> Stamp | None:
    """Write a file and give it its name then; None where the file system cannot."""
    if not _HAS_NAMELESS:
        return None
    try:
        descriptor = os.open(
            path[: path.rfind("/") + 1] or ".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, mode
        )
    except OSError as error:
        if error.errno in _NO_NAMELESS:
            return None
        raise
    try:
        write_all(descriptor, data)
        return Stamp.of(os.fstat(descriptor)) if _named(descriptor, path) else None
    finally:
        os.close(descriptor)


def _named(descriptor: int, path: str) -> bool:
    """Give a nameless file its name; False if that fails, as in a sandbox that hides /proc.

    Whoever writes it by a rename then finds out whether something else is wrong.
    """
    # only with a folder's descriptor does Python call `linkat`, which goes through /proc to the
    # file; for an absolute path the kernel does not look at it
    nameless = f"{_OPEN_FILES}/{descriptor}"
    try:
        os.link(nameless, path, src_dir_fd=descriptor, follow_symlinks=True)
    except FileExistsError:
        _make_beside(
            path,
            lambda part: os.link(nameless, part, src_dir_fd=descriptor, follow_symlinks=True),
        )
    except OSError:
        return False
    return True


def _make_beside(path: str, make: Callable[[str], object]) -> None:
    """Make a file beside a path, and give it that name then; on any error it is removed.

    Its name is one that downloads and `verify` know as none of theirs.
    """
    part = os.path.join(os.path.dirname(path), f"{new_stem()}-0.part")
    try:
        make(part)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):  # it is not there yet, or not any more
            os.unlink(part)
        raise
