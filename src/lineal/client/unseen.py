"""Files that may change without their times showing it: those that somebody has mapped.

The time of a file is set when a page of it is written to first; until the page has been written
back to disk, after half a minute, it may be changed on and on. On tmpfs no page is ever written
back, and older kernels never set the time there.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator

from lineal.files.stamps import kept

WINDOW_NS = 60_000_000_000
"""Twice as long as Linux leaves a changed page in memory before it is written back."""
LARGE_BYTES = 1 << 20
"""A smaller file is seldom mapped, but often logged as soon as it is written."""
LOOKED_UP_EACH_SECONDS = 0.05
_NEVER_SHOWING = frozenset({"tmpfs", "ramfs", "hugetlbfs"})


def shows_changes(folder: str) -> bool:
    """Tell whether the times of files in a folder say that they were changed."""
    try:
        device = os.stat(folder).st_dev
    except OSError:
        return True  # whoever reads it will tell
    return device not in _devices_in_memory()


class _Seen:
    """What was mapped when it was looked up last: with many libraries that takes 5 ms."""

    inodes: frozenset[int] = frozenset()
    at = float("-inf")


_seen = _Seen()


def mapped_inodes() -> frozenset[int]:
    """Return the inodes of files that this process has mapped and may write to.

    As of a moment ago: the first write through a newer mapping sets the time of the file.
    """
    now = time.monotonic()
    if now - _seen.at > LOOKED_UP_EACH_SECONDS:
        _seen.inodes, _seen.at = frozenset(_mapped()), now
    return _seen.inodes


def _mapped() -> Iterator[int]:
    for line in _lines("/proc/self/maps"):
        _, rights, _, _, inode, *_ = line.split(None, 5)
        if rights[1:2] == b"w" and rights[3:4] == b"s":
            yield kept(int(inode))


@functools.lru_cache(1)
def _devices_in_memory() -> frozenset[int]:
    """Return the devices of file systems that are in memory, as they were mounted at first."""
    found = set()
    for line in _lines("/proc/self/mountinfo"):
        head, _, tail = line.decode(errors="replace").partition(" - ")
        if tail.split(" ", 1)[0] in _NEVER_SHOWING:
            major, minor = head.split(" ", 3)[2].split(":")
            found.add(os.makedev(int(major), int(minor)))
    return frozenset(found)


def _lines(path: str) -> list[bytes]:
    """Return the lines of a file that only Linux has."""
    try:
        with open(path, "rb") as file:
            return file.readlines()
    except OSError:
        return []
