"""Holding what was fetched, is stored or is referred to against a version (ART-33)."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from lineal.client import term
from lineal.client.artifact.folder import present
from lineal.client.backend import Backend
from lineal.core import file_paths
from lineal.core.digest import PREFIX, of_hash
from lineal.core.manifest import Entry, decode_entries
from lineal.core.records import VersionRecord
from lineal.core.transfers import Location
from lineal.errors import IntegrityError, Invalid, MissingFile
from lineal.files.parts import is_part
from lineal.files.reading import Advance, hash_file
from lineal.files.refusals import access_to
from lineal.packs import InTurn
from lineal.parallel import large_in_parallel, require_wanted

if TYPE_CHECKING:
    from lineal.client.references import References

CHUNK_BYTES = 1 << 20
BATCH = 5_000
"""Files located in one request, and read in the order in which they lie in the store."""


class Wrong(NamedTuple):
    """A file that is not as its version has it."""

    path: str
    """In the artifact."""
    kind: str
    """`missing`, `changed`, or `extra`: not part of the artifact."""
    told: str
    """What is wrong, as a sentence that names the path."""


@dataclass
class Counted:
    """How much was looked at."""

    files: int = 0
    references: int = 0
    """That were skipped."""


def folder(root: str, entries: Iterable[Entry]) -> tuple[int, int]:
    """Hold a folder against entries; returns (files checked, references skipped).

    Raises IntegrityError naming a file that is missing, different or extra (ART-33), Invalid where
    no folder is there.
    """
    counted = Counted()
    for wrong in wrong_in_folder(root, entries, counted):
        raise IntegrityError(wrong.told)
    return counted.files, counted.references


def wrong_in_folder(root: str, entries: Iterable[Entry], counted: Counted) -> Iterator[Wrong]:
    """Yield every file that is missing, different or extra, in no certain order.

    What a killed download left beside them is neither. Raises Invalid where no folder is there.
    Reads every byte: a stamp that looks unchanged proves nothing here.
    """
    if not os.path.isdir(root):
        raise Invalid(f"{root} is not a folder; download the artifact first")
    expected: set[str] = set()

    def files() -> Iterator[Entry]:
        for entry in entries:
            expected.add(entry.path)
            if entry.ref is None:
                counted.files += 1
                yield entry
            else:
                counted.references += 1

    def check(entry: Entry) -> Wrong | None:
        file = progress.file()
        wrong = _wrong_file(root, entry, file)
        file.done(entry.size)
        return wrong

    with term.progress("Checking") as progress:
        for _, wrong in large_in_parallel(check, files(), _size):
            if wrong is not None:
                yield wrong
    for path in present(root):
        if path not in expected and not any(map(is_part, path.split("/"))):
            yield Wrong(path, "extra", f"{path} in {root} is not part of the artifact")


def _wrong_file(root: str, entry: Entry, advance: Advance) -> Wrong | None:
    target = os.path.join(root, file_paths.entry_path(entry.path))
    if not _is_file(target):
        return Wrong(entry.path, "missing", f"{entry.path} is missing in {root}")
    if PREFIX + hash_file(target, advance=advance).hex_digest != entry.digest:
        told = f"{entry.path} in {root} has other content than the artifact"
        return Wrong(entry.path, "changed", told)
    return None


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

    References are not ours to check. Raises IntegrityError naming a file found wrong.
    """
    counted = Counted()
    for wrong in wrong_in_store(backend, record, counted):
        raise IntegrityError(wrong.told)
    return counted.files


def wrong_in_store(backend: Backend, record: VersionRecord, counted: Counted) -> Iterator[Wrong]:
    """Yield every file whose stored bytes are missing or damaged, in no certain order."""
    packed = InTurn()
    segments = backend.read_segments(record.id, backend.manifest(record.id).segments)
    kept = (
        entry
        for segment in segments
        for entry in decode_entries(segment.lines)
        if entry.ref is None
    )

    def check(located: tuple[Entry, Location]) -> Wrong | None:
        entry, location = located
        file = progress.file()
        wrong = _wrong_bytes(entry, _chunks(backend, packed, location), record.path, file)
        file.done(entry.size)
        return wrong

    with term.progress("Checking", files=record.entry_count, size=record.size_bytes) as progress:
        while batch := list(islice(kept, BATCH)):
            located, lost = _in_order(backend, record, batch)
            yield from lost
            for _, wrong in large_in_parallel(check, located, _loose_bytes):
                if wrong is not None:
                    yield wrong
            counted.files += len(batch)


def _in_order(
    backend: Backend, record: VersionRecord, entries: Sequence[Entry]
) -> tuple[list[tuple[Entry, Location]], list[Wrong]]:
    """Return entries as they lie in the store, of a pack in turn, and those that are not there."""
    locations = backend.locate(record.id, list({entry.digest for entry in entries}))
    found, lost = [], []
    for entry in entries:
        location = locations.get(entry.digest)
        if location is None:
            lost.append(_lost(entry, record.path))
        else:
            found.append((entry, location))
    return sorted(found, key=lambda each: (each[1].pack or "", each[1].offset)), lost


def _lost(entry: Entry, version: str) -> Wrong:
    return Wrong(entry.path, "missing", f"The bytes of {entry.path} in {version} are not stored")


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


def _wrong_bytes(
    entry: Entry, chunks: Iterable[bytes | memoryview], version: str, advance: Advance
) -> Wrong | None:
    running = hashlib.sha256()
    try:
        for chunk in chunks:
            running.update(chunk)
            advance(len(chunk))
    except MissingFile:
        return _lost(entry, version)
    digest = of_hash(running)
    if digest == entry.digest:
        return None
    told = (
        f"The stored bytes of {entry.path} in {version} are damaged: "
        f"they have {digest} instead of {entry.digest}"
    )
    return Wrong(entry.path, "changed", told)


def references(opened: References, entries: Iterable[Entry]) -> None:
    """Raise IntegrityError for a reference that leads nowhere, or to what may not be read."""
    # few artifacts have any
    from lineal.client.references import checking
    from lineal.client.references.scheme import State

    for entry, found in checking.check(opened, entries):
        if found.state in (State.LOST, State.FORBIDDEN):
            raise IntegrityError(f"Reference {entry.path} is {found.state}: {found.detail}")
