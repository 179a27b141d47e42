"""Holding what was fetched, is stored or is referred to against a version (ART-33)."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from lineal.client import term
from lineal.client.artifact.folder import present
from lineal.client.backend import Backend
from lineal.core import file_paths
from lineal.core.digest import PREFIX, of_hash
from lineal.core.manifest import Entry, decode_entries
from lineal.core.records import Location, VersionRecord
from lineal.errors import IntegrityError, Invalid, MissingFile
from lineal.files.parts import PART
from lineal.files.reading import Advance, hash_file
from lineal.files.refusals import access_to
from lineal.packs import InTurn
from lineal.parallel import large_in_parallel, require_wanted

if TYPE_CHECKING:
    from lineal.client.references import References

CHUNK_BYTES = 1 << 20
BATCH = 5_000
"""Files located in one request, and read in the order in which they lie in the store."""


def folder(root: str, entries: Iterable[Entry]) -> tuple[int, int]:
    """Hold a folder against entries; returns (files checked, references skipped).

    Raises IntegrityError naming the first file that is missing, different or extra (ART-33);
    what a killed download left beside them is neither. Raises Invalid where no folder is there.
    Reads every byte: a stamp that looks unchanged proves nothing here.
    """
    if not os.path.isdir(root):
        raise Invalid(f"{root} is not a folder; download the artifact first")
    expected: set[str] = set()
    references_count = 0

    def files() -> Iterator[Entry]:
        nonlocal references_count
        for entry in entries:
            expected.add(entry.path)
            if entry.ref is None:
                yield entry
            else:
                references_count += 1

    for _ in large_in_parallel(partial(_check_file, root), files(), _size):
        continue
    for path in present(root):
        if path not in expected and not PART.fullmatch(os.path.basename(path)):
            raise IntegrityError(f"{path} in {root} is not part of the artifact")
    return len(expected) - references_count, references_count


def _check_file(root: str, entry: Entry) -> None:
    target = os.path.join(root, file_paths.entry_path(entry.path))
    if not _is_file(target):
        raise IntegrityError(f"{entry.path} is missing in {root}")
    if PREFIX + hash_file(target).hex_digest != entry.digest:
        raise IntegrityError(f"{entry.path} in {root} has other content than the artifact")


def _size(entry: Entry) -> int:
    return entry.size


def _is_file(path: str) -> bool:
    try:
        with access_to(path):
            return stat.S_ISREG(os.stat(path).st_mode)
    except MissingFile:
        return False


def stored(backend: Backend, record: VersionRecord) -> int:
    """Read the stored bytes of one version; returns how many files were checked.

    References are not ours to check. Raises IntegrityError naming the first file found wrong.
    """
    checked = 0
    packed = InTurn()
    segments = backend.read_segments(record.id, backend.manifest(record.id).segments)
    stored = (
        entry
        for segment in segments
        for entry in decode_entries(segment.lines)
        if entry.ref is None
    )

    def check(located: tuple[Entry, Location]) -> None:
        entry, location = located
        file = progress.file()
        _check(entry, _chunks(backend, packed, location), record.path, file)
        file.done(entry.size)

    with term.progress("Checking", files=record.entry_count, size=record.size_bytes) as progress:
        while batch := list(islice(stored, BATCH)):
            for _ in large_in_parallel(check, _in_order(backend, record, batch), _loose_bytes):
                continue
            checked += len(batch)
    return checked


def _in_order(
    backend: Backend, record: VersionRecord, entries: Sequence[Entry]
) -> list[tuple[Entry, Location]]:
    """Return entries as they lie in the store: those of a pack one after the other."""
    locations = backend.locate(record.id, list({entry.digest for entry in entries}))
    found = []
    for entry in entries:
        location = locations.get(entry.digest)
        if location is None:
            raise IntegrityError(f"The bytes of {entry.path} in {record.path} are not stored")
        found.append((entry, location))
    return sorted(found, key=lambda each: (each[1].pack or "", each[1].offset))


def _loose_bytes(located: tuple[Entry, Location]) -> int:
    """Return the size of a file; 0 for one in a pack, whose files are read in turn."""
    entry, location = located
    return entry.size if location.pack is None else 0


def _chunks(backend: Backend, packed: InTurn, location: Location) -> Iterator[bytes | memoryview]:
    if location.pack is not None:
        yield packed.file(location.pack, location.offset, location.size)
        return
    with backend.open(location) as file:
        while chunk := file.read(CHUNK_BYTES):
            require_wanted()
            yield chunk


def _check(
    entry: Entry, chunks: Iterable[bytes | memoryview], version: str, advance: Advance
) -> None:
    running = hashlib.sha256()
    for chunk in chunks:
        running.update(chunk)
        advance(len(chunk))
    digest = of_hash(running)
    if digest != entry.digest:
        raise IntegrityError(
            f"The stored bytes of {entry.path} in {version} are damaged: "
            f"they have {digest} instead of {entry.digest}"
        )


def references(opened: References, entries: Iterable[Entry]) -> None:
    """Raise IntegrityError for a reference that leads nowhere, or to what may not be read."""
    # few artifacts have any
    from lineal.client.references import checking
    from lineal.client.references.scheme import State

    for entry, found in checking.check(opened, entries):
        if found.state in (State.LOST, State.FORBIDDEN):
            raise IntegrityError(f"Reference {entry.path} is {found.state}: {found.detail}")
