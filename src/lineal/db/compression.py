"""Zstandard for what the database keeps: history lines, manifest segments."""

from __future__ import annotations

import sys
import threading

from lineal.errors import IntegrityError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 3
"""Above it, history lines shrink by a few per cent more and take several times as long."""


class _OfThread(threading.local):
    """A compressor for each thread: to make one takes twenty times as long as a short text."""

    def __init__(self) -> None:
        self.compressor = zstd.ZstdCompressor(level=_LEVEL)


_of_thread = _OfThread()


def compress(data: bytes) -> bytes:
    return _of_thread.compressor.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)


def decompress(data: bytes, what: str) -> bytes:
    """Raises IntegrityError naming what it is, if the database gives back what nobody wrote."""
    try:
        return zstd.decompress(data)
    except (zstd.ZstdError, EOFError) as error:
        raise IntegrityError(
            f"The database is damaged: {what} cannot be decompressed ({error}); "
            "`lineal verify` says what else is"
        ) from error
