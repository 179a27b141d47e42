"""Who holds SQLite's write lock, or a file's: for whoever waits, and wants to know for whom."""

from __future__ import annotations

import os

LOCKS = "/proc/locks"
"""Linux lists the locks of all processes there that this one can see."""
_WRITE_LOCK_BYTE = b"120"
"""Where in the file of its locks, `-shm`, SQLite puts that for writing (in WAL mode)."""
_WHOLE_FILE = b"0"
"""Where a lock of a whole file begins."""
_WORDS = 3
"""Of a command: the interpreter, its script or module; what follows may be anybody's secret."""
_LENGTH = 60


def lock_holder(database: str) -> str:
    """Name who may write to a database now: `process 4711 (python train.py)`.

    `another process` where nobody can tell: on other systems, from another container. Nothing is
    opened for it: a process that closes the file of the locks would lose its own.
    """
    return _named(f"{database}-shm", _WRITE_LOCK_BYTE)


def file_lock_holder(path: str) -> str:
    """Name who holds a file as a whole, by `flock`; as `lock_holder` does."""
    return _named(path, _WHOLE_FILE)


def _named(path: str, start: bytes) -> str:
    try:
        inode = os.stat(path).st_ino
        with open(LOCKS, "rb") as file:
            pids = [pid for line in file if (pid := _writer(line, inode, start)) is not None]
    except OSError:
        return "another process"
    if not pids:
        return "another process"
    return "another thread of this process" if pids[0] == os.getpid() else _process(pids[0])


def _writer(line: bytes, inode: int, start: bytes) -> int | None:
    """Return whose lock a line lists, if it is for writing from a byte on to the file of an inode.

    The device is left out: Btrfs and overlays have another one here than `stat` says.
    """
    fields = line.split()  # 1: POSIX ADVISORY WRITE 4711 fe:00:2252856 120 120
    if len(fields) != 8 or fields[3] != b"WRITE" or fields[6] != start:
        return None
    return int(fields[4]) if int(fields[5].rpartition(b":")[2]) == inode else None


def _process(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().decode(errors="replace").split("\0")[:_WORDS]
            command = " ".join(" ".join(words).split())[:_LENGTH]
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):  # it has ended, or may not be looked at
        return f"process {pid}"
    stopped = ", stopped" if state in (b"T", b"t") else ""
    return f"process {pid} ({command}{stopped})"
