"""Ids that are made up: of runs, sweeps, drafts, writers."""

from __future__ import annotations

import os

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def new_id(length: int = 8) -> str:
    """Return random lower-case letters and digits; eight of them hold 41 bits."""
    number = int.from_bytes(os.urandom(length), "big")
    letters = []
    for _ in range(length):
        number, index = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[index])
    return "".join(letters)
