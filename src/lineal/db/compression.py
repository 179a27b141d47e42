"""Zstandard for what the database keeps: history lines, manifest segments."""

from __future__ import annotations

import sys

from lineal.errors import IntegrityError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 3
"""Above it, history lines shrink by a few per cent more and take several times as long."""


def compress(data: bytes) -> bytes:
    return zstd.compress(data, level=_LEVEL)


def decompress(data: bytes, what: str) -> bytes:
    """Raises IntegrityError naming what it is, if the database gives back what nobody wrote."""
    try:
        return zstd.decompress(data)
    except (zstd.ZstdError, EOFError) as error:
        raise IntegrityError(
            f"The database is damaged: {what} cannot be decompressed ({error}); "
            "`lineal verify` says what else is"
        ) from error
