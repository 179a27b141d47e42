"""Folders among the temporary files of the system, for as long as a process needs them."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import stat
import tempfile
import weakref
from contextlib import suppress

_LOCK = ".lock"
_HOST_BYTES_MOST = 256


class TemporaryFolder:
    """A folder that goes when it is closed, or with its process; if that is killed, with the next.

    A file in it says which machine it is of, and is locked as long as its process lives, or one
    that was forked from it. Where there are no locks, what was left stays.
    """

    def __init__(self, prefix: str) -> None:
        """Make the folder. prefix: what its name begins with, and those of all that are like it."""
        parent = tempfile.gettempdir()
        _remove_leftovers(parent, prefix)
        self.path = tempfile.mkdtemp(prefix=prefix, dir=parent)
        self.lock = _locked(self.path)
        """Descriptor of the lock, None without one; a program that inherits it keeps the folder."""
        self._remove = weakref.finalize(self, _remove, self.path, self.lock, os.getpid())

    def close(self) -> None:
        self._remove()


def _remove(folder: str, lock: int | None, owner: int) -> None:
    if os.getpid() == owner:  # and not in a forked child
        shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _locked(folder: str) -> int | None:
    try:
        lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, _host())  # last: without it nobody takes the folder for one that was left
    return lock


def _host() -> bytes:
    return os.fsencode(os.uname().nodename)


def _remove_leftovers(parent: str, prefix: str) -> None:
    for folder in glob.glob(os.path.join(glob.escape(parent), f"{glob.escape(prefix)}*")):
        with suppress(OSError):  # it is locked, another user's, or removed meanwhile
            _remove_if_left(folder)


def _remove_if_left(folder: str) -> None:
    """Remove a folder of this user whose process was killed on this machine.

    On another one it may be alive: not all file systems that machines share share locks.
    """
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.read(lock, _HOST_BYTES_MOST) == _host():
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
