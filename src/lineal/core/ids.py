"""Ids that are made up: of runs, sweeps, drafts, writers."""

from __future__ import annotations

import os

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_OF_BYTE = (ALPHABET * 8)[:256].encode()
"""The letter or digit for each byte; four of them stand for one byte more than the others."""


def new_id(length: int = 8) -> str:
    """Return random lower-case letters and digits; eight of them hold 41 bits."""
    return os.urandom(length).translate(_OF_BYTE).decode()
