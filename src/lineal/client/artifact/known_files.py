"""Files of a version that are in a folder already, told by digest and never by size (STO-3)."""

from __future__ import annotations

import os

from lineal.client.cache import FETCHED, FILES, DigestCache, Known
from lineal.client.references.scheme import has_checked_content, identity
from lineal.core.digest import PREFIX, Digest
from lineal.core.manifest import Entry
from lineal.errors import MissingFile, Unavailable
from lineal.files.reading import hash_file
from lineal.files.stamps import Stamp

NOTED_FILES = 1_000
NOTED_BYTES = 1 << 30
"""Fetched files are noted after either, as what a killed download fetched since is read again."""


class KnownFiles:
    """What the digest cache knows of the files of one download, and what that adds to it."""

    looks_at_one = False
    """Whether it is about one file: others of its folder may be fetched like this, one by one."""

    def __init__(self, cache: DigestCache) -> None:
        self._cache = cache
        self._folders: dict[tuple[str, str], Known] = {}
        self._fresh: list[tuple[str, Stamp, Digest]] = []
        self._fresh_bytes = 0
        self._found: list[tuple[str, Stamp, Digest]] = []
        """Files that were there and were read; their owner may be writing to them."""
        self._fetched: list[tuple[str, Stamp, Digest]] = []
        """Files that came from elsewhere, each with `identity` of its entry."""

    def has(self, entry: Entry, target: str) -> bool:
        """Tell whether a file is what the entry says; where nobody knows, it is read."""
        try:
            stamp = Stamp.of(os.stat(target))
        except OSError:  # whatever is there instead, such as a link loop: writing will tell
            return False
        if has_checked_content(entry):
            return self._of(target, FETCHED) == (stamp, identity(entry))
        if stamp.size != entry.size:
            return False
        if self._of(target, FILES) == (stamp, entry.digest):
            return True
        try:
            if PREFIX + hash_file(target).hex_digest != entry.digest:
                return False
        except (MissingFile, Unavailable):  # no file, or it may not be read: writing will tell
            return False
        self._found.append((target, stamp, entry.digest))
        return True

    def add(self, entry: Entry, target: str, stamp: Stamp) -> None:
        """Note a stored file that was fetched."""
        self._fresh.append((target, stamp, entry.digest))
        self._fresh_bytes += entry.size
        if len(self._fresh) >= NOTED_FILES or self._fresh_bytes >= NOTED_BYTES:
            self._remember_fresh()

    def add_reference(self, entry: Entry, target: str) -> None:
        """Note a file that was fetched from elsewhere."""
        self._fetched.append((target, Stamp.at(target), identity(entry)))

    def remember(self, read_at_ns: int) -> None:
        """Tell the cache what was noted, and of files that were read at that moment."""
        self._remember_fresh()
        self._cache.remember(self._found, read_at_ns=read_at_ns)
        self._cache.remember(self._fetched, read_at_ns=None, table=FETCHED)
        self._found, self._fetched = [], []
        self._folders.clear()

    def _remember_fresh(self) -> None:
        self._cache.remember(self._fresh, read_at_ns=None)
        self._fresh, self._fresh_bytes = [], 0

    def _of(self, target: str, table: str) -> tuple[Stamp, Digest] | None:
        if self.looks_at_one:
            return self._cache.of_file(target, table)
        folder, name = os.path.split(target)
        if (folder, table) not in self._folders:
            self._folders[folder, table] = self._cache.of_folder(folder, table)
        return self._folders[folder, table].get(name)
