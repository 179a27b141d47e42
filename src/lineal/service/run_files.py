"""Plain files of runs (RUN-28): stored like artifact content, sharing its blobs, without versions.

Order of writing as everywhere: bytes, then the blob's row, then what points to it. A process that
dies in between leaves bytes that nothing points to, which the sweep removes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from lineal import packs
from lineal.core import access, file_paths
from lineal.core.access import Action, Actor
from lineal.core.digest import PREFIX, Digest, Key, of_bytes, storage_key
from lineal.core.records import Page, PageRequest, RunFileRecord, RunKey
from lineal.core.transfers import Handover
from lineal.db import blobs as blobs_db
from lineal.db import run_files as run_files_db
from lineal.db import runs as runs_db
from lineal.errors import Invalid, NotFound, SourceChanged, Unavailable
from lineal.files.copying import copy_and_hash
from lineal.files.folders import renew_folder
from lineal.files.reading import Piece, Source, hash_file, read_small
from lineal.files.writing import write_stream
from lineal.nearest import NEAR_MISSES_MOST, near_misses
from lineal.service import finding_runs
from lineal.service.instance import Instance

if TYPE_CHECKING:
    from typing import Self

_ATTEMPTS = 5
"""Content may be removed while it is looked for; after so many attempts that is said."""
PACK_LEAST = 4
"""So many small files become one, a pack (docs/design/007-packs.md): a file in its own folder."""


class _Sent(NamedTuple):
    size_bytes: int
    nonce: str


def put(
    instance: Instance, actor: Actor, run: RunKey, files: Sequence[tuple[str, Source]]
) -> list[RunFileRecord]:
    """Store local files as files of a run: (path in the run, source); the last write wins.

    Content that is stored already is not stored again. A log that somebody keeps writing to is
    stored as far as it went. Returns a record per given path, in order. Raises HostilePath,
    MissingFile, NoSpace, RunNotFoundError, Gone; then no path was changed.
    """
    access.require(actor, Action.WRITE, f"run {run}")
    wanted = {file_paths.entry_path(path): source for path, source in files}
    with instance.database.reading() as connection:
        finding_runs.require(connection, run)
    digests = {path: _hashed(source) for path, source in wanted.items()}
    sent: dict[Digest, _Sent] = {}
    for _ in range(_ATTEMPTS):
        _send_missing(instance, wanted, digests, sent)
        found = _record(instance, run, digests, sent)
        if found is not None:
            return [found[file_paths.entry_path(path)] for path, _ in files]
    raise Unavailable("Content was removed again and again while it was stored; try again")


def files(
    instance: Instance,
    actor: Actor,
    run: RunKey,
    page: PageRequest,
    *,
    names: Sequence[str] = (),
    pattern: str | None = None,
) -> Page[RunFileRecord]:
    """List the files of a run by path; names: only these; pattern: only what is like it in SQL.

    Raises RunNotFoundError, Gone, Invalid for a pattern that ends in a lone backslash.
    """
    access.require(actor, Action.READ, f"run {run}")
    if pattern and pattern.replace("\\\\", "").endswith("\\"):
        raise Invalid(f"Pattern {pattern!r} ends in a backslash that keeps nothing as it is")
    with instance.database.reading() as connection:
        finding_runs.require(connection, run)
        return run_files_db.page(connection, run, names, page, pattern=pattern)


def delete(instance: Instance, actor: Actor, run: RunKey, path: str) -> None:
    """Remove a file from a run. Raises NotFound (no such file), RunNotFoundError, Gone."""
    access.require(actor, Action.WRITE, f"run {run}")
    path = file_paths.entry_path(path)
    with instance.database.writing() as connection:
        row = finding_runs.require(connection, run, lock=True)
        if not run_files_db.remove(connection, run, path):
            known = run_files_db.paths(connection, run, NEAR_MISSES_MOST)
            near = near_misses(path, known, others="Files there") if known else ""
            raise NotFound(f"Run {runs_db.full_name(row)} has no file {path}{near}")


def _send_missing(
    instance: Instance,
    wanted: Mapping[str, Source],
    digests: dict[str, Digest],
    sent: dict[Digest, _Sent],
) -> None:
    """Store what is not stored; a file that changed since it was hashed gets its new digest."""
    with instance.database.reading() as connection:
        known = blobs_db.reuse(connection, set(digests.values())).keys() | sent.keys()
    missing = [path for path, digest in digests.items() if digest not in known]
    if not missing:
        return
    renew_folder(instance.home.staging)
    with _Sending(instance, sent, is_packing=len(missing) >= PACK_LEAST) as sending:
        for path in missing:
            if digests[path] not in sent:
                digests[path] = sending.send(wanted[path])


class _Sending:
    """Content on its way to the store, under one nonce; on the disk when the `with` block ends."""

    def __init__(self, instance: Instance, sent: dict[Digest, _Sent], *, is_packing: bool) -> None:
        """sent: hears of what is sent. is_packing: small files become one."""
        self._store, self._staging, self._sent = instance.store, instance.home.staging, sent
        self._packed_most = instance.pack_files_up_to if is_packing else 0
        self._nonce = os.urandom(16).hex()
        self._keys: list[Key] = []
        self._pack: packs.Writer | None = None
        self._packed: Key | None = None
        """One that is in the pack."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._store_pack()
                self._store.sync(self._keys)
        finally:
            if self._pack is not None:
                self._pack.discard()

    def send(self, source: Source) -> Digest:
        """Store the content of a file; returns the digest that it has by now."""
        if isinstance(source, Piece):
            data = source.read()
        else:
            small = self._small(source)
            if small is None:
                return self._send_file(source)
            data = small
        digest = of_bytes(data)
        if digest not in self._sent:
            if self._packed_most and len(data) <= self._packed_most:
                self._add_to_pack(digest, data)
            else:
                self._store.put_bytes(self._key(digest, len(data)), data)
        return digest

    def _small(self, path: str) -> bytes | None:
        """Return what is in a file that goes into a pack; None for any other."""
        try:
            read = read_small(path, self._packed_most) if self._packed_most else None
        except SourceChanged:
            return None  # somebody keeps writing to it
        return None if read is None else read[0]

    def _send_file(self, path: str) -> Digest:
        part = self._new_part()
        digest, size = _copied(path, part)
        if digest in self._sent:  # it changed, to what another file is
            os.unlink(part)
        else:
            key = self._key(digest, size)
            self._store.put(key, part, size=size, handover=Handover.TAKE)
        return digest

    def _add_to_pack(self, digest: Digest, data: bytes) -> None:
        if self._pack is not None and self._pack.is_full:
            self._store_pack()
        if self._pack is None:
            self._pack = packs.Writer(self._new_part())
        self._pack.add(bytes.fromhex(digest.removeprefix(PREFIX)), data)
        self._packed = self._key(digest, len(data))

    def _store_pack(self) -> None:
        if self._pack is not None and self._packed is not None:
            self._pack.seal()
            self._store.put_pack(self._packed, self._pack.path)
            self._pack = self._packed = None

    def _key(self, digest: Digest, size: int) -> Key:
        """Return the key of content that is sent now."""
        self._sent[digest] = _Sent(size, self._nonce)
        self._keys.append(storage_key(digest, self._nonce))
        return self._keys[-1]

    def _new_part(self) -> str:
        return os.path.join(self._staging, os.urandom(16).hex())


def _record(
    instance: Instance,
    run: RunKey,
    digests: Mapping[str, Digest],
    sent: Mapping[Digest, _Sent],
) -> dict[str, RunFileRecord] | None:
    """Point the paths to their blobs; None if one was condemned since it was looked up."""
    with instance.database.writing() as connection:
        finding_runs.require(connection, run, lock=True)
        now = instance.clock.now()
        ids = blobs_db.reuse(connection, set(digests.values()))
        missing = set(digests.values()) - ids.keys()
        if not missing <= sent.keys():
            return None  # before a row is written: it would name bytes that look needless later
        needless = [storage_key(digest, sent[digest].nonce) for digest in ids if digest in sent]
        ids |= blobs_db.insert_stored(connection, {each: sent[each] for each in missing}, now)
        run_files_db.put(connection, run, {path: ids[digests[path]] for path in digests}, now)
        records = run_files_db.records(connection, run, list(digests))
    instance.store.delete(needless)  # somebody else stored the same meanwhile; no row names ours
    return records


def _hashed(source: Source) -> Digest:
    """Return the digest of a file; of one that does not rest, one that nothing has."""
    if isinstance(source, Piece):
        return of_bytes(source.read())
    try:
        return Digest(PREFIX + hash_file(source).hex_digest)
    except SourceChanged:
        return Digest(PREFIX + os.urandom(32).hex())


def _copied(local: str, target: str) -> tuple[Digest, int]:
    """Copy a file; returns (digest, size in bytes) of the copy.

    One that does not rest is copied up to where it ended at first: it may grow as fast.
    """
    try:
        copy = copy_and_hash(local, target)
        return Digest(PREFIX + copy.hex_digest), copy.size
    except SourceChanged:
        with open(local, "rb") as file:
            head = _Head(file, os.fstat(file.fileno()).st_size)
            hex_digest = write_stream(head, target, mode=0o444)
        return Digest(PREFIX + hex_digest), head.count


class _Head:
    """The first bytes of a file, to be read once."""

    def __init__(self, file: BinaryIO, size_most: int) -> None:
        self._file = file
        self._size_most = size_most
        self.count = 0

    def read(self, count: int, /) -> bytes:
        data = self._file.read(min(count, self._size_most - self.count))
        self.count += len(data)
        return data
