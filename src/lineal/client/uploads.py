"""How much is sent before it is confirmed, and so survives whoever sends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lineal.core.transfers import Upload

CONFIRM_BYTES = 256 << 20
"""A killed upload may have to send so much, or one file, again."""


def portions(uploads: Iterable[Upload], most: int) -> Iterator[list[Upload]]:
    """Yield uploads in lists of up to `most`, each closed once it has CONFIRM_BYTES."""
    portion: list[Upload] = []
    size_bytes = 0
    for upload in uploads:
        portion.append(upload)
        size_bytes += upload.size
        if len(portion) == most or size_bytes >= CONFIRM_BYTES:
            yield portion
            portion, size_bytes = [], 0
    if portion:
        yield portion
