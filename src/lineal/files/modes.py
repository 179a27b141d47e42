"""Who may read and write a file."""

from __future__ import annotations

import errno
import os
import stat

_NO_MODES = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def set_mode(file: str | int, mode: int) -> None:
    """Set the mode of a file, by path or descriptor; where modes cannot be set it stays as it is.

    They cannot on file systems without modes: vfat, SMB, some of FUSE.
    """
    try:
        os.chmod(file, mode)
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise


def open_shared(path: str) -> int:
    """Open or make a file that all may read and write who may write to its folder."""
    folder = os.path.dirname(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _shared_mode(folder))
    share(descriptor, folder)
    return descriptor


def share(file: str | int, folder: str) -> None:
    """Let all read and write our file who may write to its folder, whatever the umask took."""
    mode, found = _shared_mode(folder), os.stat(file)
    if mode & ~found.st_mode and found.st_uid == os.geteuid():
        set_mode(file, found.st_mode | mode)


def _shared_mode(folder: str) -> int:
    writers = os.stat(folder).st_mode & 0o022
    return 0o600 | writers | writers << 1


def umask_against(folder: str) -> int | None:
    """Return the umask if it locks out the group that a folder is set up for; None if it does not.

    A folder with the set-group-id bit is set up for its group. None, too, where Linux does not tell
    the umask: the other way to learn it is to change it, which other threads would notice.
    """
    mode = os.stat(folder).st_mode
    if not mode & stat.S_ISGID:
        return None
    try:
        with open("/proc/self/status", "rb") as file:
            masks = [int(line.split()[1], 8) for line in file if line.startswith(b"Umask:")]
    except OSError:
        return None
    return next((mask for mask in masks if mask & mode & stat.S_IRWXG), None)
