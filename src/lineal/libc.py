"""What the C library can do and Python does not offer; each says False where it is missing."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable
from typing import Any

_KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02
"""linux/falloc.h"""
_NO_HOLES = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def syncfs(descriptor: int) -> bool:
    """Flush the file system of an open file or folder; raises OSError."""
    call = _function("syncfs")
    if call is None:
        return False
    if call(descriptor) != 0:
        raise _last_error()
    return True


def punch_hole(descriptor: int, offset: int, length: int) -> bool:
    """Give bytes of a file back to the disk, which reads as zeros then; raises OSError."""
    if length == 0:
        return True
    call = _function("fallocate64")
    if call is None:
        return False
    if call(descriptor, _KEEP_SIZE_PUNCH_HOLE, offset, length) != 0:
        error = _last_error()
        if error.errno in _NO_HOLES:
            return False
        raise error
    return True


@functools.cache
def _function(name: str) -> Callable[..., int] | None:
    import ctypes  # 10 ms; only batches of many files and deleting come here

    arguments: dict[str, list[Any]] = {
        "syncfs": [ctypes.c_int],
        "fallocate64": [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64],
    }
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is not None:
        function.argtypes = arguments[name]
    return function


def _last_error() -> OSError:
    import ctypes  # as above

    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
