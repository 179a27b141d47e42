"""Whether a file is still the one that was looked at before."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from lineal.errors import SourceChanged
from lineal.files.refusals import not_a_file, unreadable

_MOST = (1 << 63) - 1
"""The largest number that SQLite has, which keeps stamps."""


class Stamp(NamedTuple):
    """What tells cheaply that a file is still the one that was hashed."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        mtime_ns, inode = status.st_mtime_ns, status.st_ino
        if mtime_ns > _MOST or inode > _MOST:  # as hardly ever
            mtime_ns, inode = kept(mtime_ns), kept(inode)
        return cls(status.st_size, mtime_ns, status.st_ctime_ns, inode)

    @classmethod
    def at(cls, path: str) -> Stamp:
        """Return the stamp of what has that path; raises MissingFile, Unavailable."""
        try:
            return cls.of(os.stat(path))
        except OSError as error:
            raise unreadable(path, error) from error

    def is_at(self, path: str) -> bool:
        """Tell whether what has that path has this stamp; raises as `at`."""
        try:
            return self == Stamp.of(os.stat(path))
        except OSError as error:
            raise unreadable(path, error) from error

    @classmethod
    def of_open(cls, path: str, descriptor: int) -> Stamp:
        """Return the stamp of what was opened at a path; raises MissingFile if it is no file."""
        try:
            status = os.fstat(descriptor)
        except OSError as error:
            raise unreadable(path, error) from error
        if not stat.S_ISREG(status.st_mode):
            raise not_a_file(path, status.st_mode)
        return cls.of(status)


def kept(number: int) -> int:
    """Return what is kept of a number: its lower 63 bits, if it has more.

    Inodes have more where file systems make them up, as mergerfs does, and times after 2262.
    """
    return number & _MOST if number > _MOST else number


def is_still_at(path: str, descriptor: int) -> bool:
    """Tell whether what was opened is still what has that path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def require_unchanged(path: str, descriptor: int, before: Stamp) -> None:
    """Raise SourceChanged if an open file is not as it was before it was read."""
    # ctime is left out: a hard link made meanwhile moves it without touching a byte
    after = Stamp.of_open(path, descriptor)
    if after.size != before.size or after.mtime_ns != before.mtime_ns:
        raise SourceChanged(
            f"File {path} changed while it was being read ({before.size} bytes before, "
            f"{after.size} after); log it again when nobody writes to it"
        )
