"""Who may read and write a file."""

from __future__ import annotations

import errno
import os

_NO_MODES = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def set_mode(file: str | int, mode: int) -> None:
    """Set the mode of a file, by path or descriptor; where modes cannot be set it stays as it is.

    So it is on file systems without modes: vfat, SMB, some of FUSE.
    """
    try:
        os.chmod(file, mode)
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise


def shared_mode(folder: str) -> int:
    """Return the mode with which all read and write a file who may write to its folder."""
    writers = os.stat(folder).st_mode & 0o022
    return 0o600 | writers | writers << 1
