"""Names of files and folders on their way to their own, and what a killed process left of them."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time

PART = re.compile(r"\.[0-9a-f]{12}-[0-9]+\.part")
"""Name of a file, or a folder, on its way to its own."""
OLD_PART_SECONDS = 24 * 3600.0
"""Age at which a file on its way to its name is nobody's any more: its download was killed."""


def is_part(name: str) -> bool:
    return name.endswith(".part") and PART.fullmatch(name) is not None


def new_stem() -> str:
    """Return what the names of one download's parts begin with; then `-`, a number and `.part`.

    The name of the file is not in it: with more to it, that may be too long.
    """
    return f".{secrets.token_hex(6)}"


def remove_old_parts(folder: str) -> None:
    """Remove from a folder what downloads left that were killed long ago."""
    try:
        parts = [entry for entry in os.scandir(folder) if PART.fullmatch(entry.name)]
    except OSError:
        return  # it is not there yet, or fetching will tell
    for entry in parts:
        try:
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > OLD_PART_SECONDS:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
        except OSError:
            continue  # removed by another download, or another user's
