"""Zstandard for what the database keeps: history lines, manifest segments."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 3
"""Above it, history lines shrink by a few per cent more and take several times as long."""


def compress(data: bytes) -> bytes:
    return zstd.compress(data, level=_LEVEL)


def decompress(data: bytes) -> bytes:
    return zstd.decompress(data)
