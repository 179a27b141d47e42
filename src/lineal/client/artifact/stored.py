"""Holding the stored bytes of a version against its digests, wherever they are (ART-33)."""

from __future__ import annotations

import hashlib

from lineal.client import term
from lineal.client.backend import Backend
from lineal.core.digest import of_hash
from lineal.core.manifest import Entry, decode_entries
from lineal.core.records import Location, VersionRecord
from lineal.errors import IntegrityError

CHUNK_BYTES = 1 << 20


def verify(backend: Backend, record: VersionRecord) -> int:
    """Read the stored bytes of one version; returns how many files were checked.

    References are not ours to check. Raises IntegrityError naming the first file that is wrong.
    """
    checked = 0
    with term.progress("Checking", files=record.entry_count, size=record.size_bytes) as progress:
        for segment in backend.read_segments(record.id, backend.manifest(record.id).segments):
            entries = [each for each in decode_entries(segment.lines) if each.ref is None]
            digests = list({entry.digest for entry in entries})
            locations = backend.locate(digests, version=record.id)
            for entry in entries:
                _check(backend, entry, locations.get(entry.digest), record.path)
                progress.advance(files=1, size=entry.size)
            checked += len(entries)
    return checked


def _check(backend: Backend, entry: Entry, location: Location | None, version: str) -> None:
    if location is None:
        raise IntegrityError(f"The bytes of {entry.path} in {version} are not stored")
    running = hashlib.sha256()
    with backend.open(location) as file:
        while chunk := file.read(CHUNK_BYTES):
            running.update(chunk)
    digest = of_hash(running)
    if digest != entry.digest:
        raise IntegrityError(
            f"The stored bytes of {entry.path} in {version} are damaged: "
            f"they have {digest} instead of {entry.digest}"
        )
