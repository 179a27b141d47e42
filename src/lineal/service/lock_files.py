"""Files of a home that one process at a time holds, while it migrates or sweeps."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lineal.db.lock_holder import file_lock_holder
from lineal.db.write_lock import TOLD_AFTER_SECONDS
from lineal.errors import Unavailable
from lineal.files.modes import open_shared
from lineal.home import unwritable

_LOOK_AGAIN_SECONDS = 0.05
"""Between two attempts at a lock that another process holds."""


@contextmanager
def locked(
    path: str, *, wait_seconds: float, holder: str, tell: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold a lock file; the kernel lets go of it when the process dies.

    holder: what a process does that holds it. tell: takes a message for a user who waits long.
    Raises Unavailable if another holds it for `wait_seconds`.
    """
    descriptor = _open_lock(path)
    began = time.monotonic()
    try:
        while not _is_taken(path, descriptor):
            waited = time.monotonic() - began
            if waited > wait_seconds:
                who = file_lock_holder(path)
                raise Unavailable(
                    f"{who[0].upper()}{who[1:]} has held {path} for {wait_seconds:g} seconds, as "
                    f"it {holder}; see whether it hangs, and try again"
                )
            if tell is not None and waited >= TOLD_AFTER_SECONDS:
                tell(f"{file_lock_holder(path)} {holder} (it holds {path}); waiting for it")
                tell = None
            time.sleep(_LOOK_AGAIN_SECONDS)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_if_free(path: str) -> Iterator[bool]:
    """Hold a lock file unless somebody else does; says whether it is held, and never waits."""
    descriptor = _open_lock(path)
    try:
        yield _is_taken(path, descriptor)
    finally:
        os.close(descriptor)


def _is_taken(path: str, descriptor: int) -> bool:
    """Take a lock if nobody else holds it; raises Unavailable where there are none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise Unavailable(
            f"Cannot lock {path}: {error.strerror}. Lineal needs a file system with locks; set "
            "LINEAL_HOME to a folder on another one, or mount this one with them"
        ) from error
    return True


def _open_lock(path: str) -> int:
    try:
        return open_shared(path)
    except OSError as error:
        raise unwritable(path, error) from error
