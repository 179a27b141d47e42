"""Of several processes that want the same in the same folder, one fetches it and the others wait.

So the ranks of a distributed training, which all begin with the same download, read and write it
once. This only saves work: where no lock can be had, each fetches for itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lineal.client import term

LOOK_AGAIN_SECONDS = 0.01
SILENT_SECONDS = 1.0
"""Before somebody who waits is told why."""


@contextmanager
def turn(locks: str, root: str, *what: str) -> Iterator[None]:
    """Wait until no other process of this machine fetches this into `root`, then hold the turn.

    locks: a folder for the lock, which is removed at the end. It goes with its process, however
    that ends, and is not inherited by children. Threads of one process do not wait for each other.
    """
    name = hashlib.sha256("\0".join((root, *what)).encode(errors="surrogateescape")).hexdigest()
    path = os.path.join(locks, f"{name[:32]}.lock")
    lock = _opened(path)
    if lock is None:
        yield
        return
    try:
        with suppress(OSError):  # a file system without locks
            _wait(lock, root)
        yield
    finally:
        os.close(lock)
        with suppress(OSError):  # whoever waited has removed it already
            os.unlink(path)


def _opened(path: str) -> int | None:
    """Return None in a home that may only be read, and for another user's lock."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        return None


def _wait(lock: int, root: str) -> None:
    until = time.monotonic() + SILENT_SECONDS
    while time.monotonic() < until:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            time.sleep(LOOK_AGAIN_SECONDS)
        else:
            return
    term.info(f"another process downloads the same to {root}; waiting for it")
    fcntl.lockf(lock, fcntl.LOCK_EX)
