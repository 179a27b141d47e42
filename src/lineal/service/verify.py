"""Walk every invariant and every byte; say what is wrong and where."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Row

from lineal.blobs.store import LocalPlace
from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.digest import Digest, Key, of_hash, storage_key
from lineal.core.findings import ALL, STORED_BYTES, UNREADABLE, Finding, Portion
from lineal.core.manifest import Entry, Segment, SegmentHead, check_segment
from lineal.db import blobs as blobs_db
from lineal.db import checks
from lineal.db import damage as damage_db
from lineal.db.compression import decompress
from lineal.errors import IntegrityError, MissingFile, Unavailable
from lineal.packs import InTurn
from lineal.parallel import large_in_parallel, require_wanted
from lineal.service.instance import Instance

Progress = Callable[[int, int], None]
"""Called with (blobs, bytes) read since the last call, by several threads."""

_Located = tuple[Row[Any], Key, LocalPlace | None]

PAGE = 5_000
"""Blobs looked up per query, and read in the order in which they lie in the store."""
PAGE_CONTENTS = 50
"""Segments or chunks of lines, with their content, read per query."""
CHUNK_BYTES = 1 << 20


def verify(
    instance: Instance,
    actor: Actor,
    progress: Progress | None = None,
    *,
    repair: bool = False,
    portion: Portion = ALL,
) -> Iterator[Finding]:
    """Yield everything that contradicts an invariant of docs/design/001-storage.md.

    repair: note that damaged and missing bytes are not stored; logging the same content again
    then stores them for all versions that have them. What cannot be read now, on a disk that fails
    or by a limit, is left as it is. Changes nothing otherwise.
    Reads every stored byte once; of files beyond the portion only whether they are there, and of
    which size. Files that belong to no blob are not a finding of damage: they
    are what a killed upload left, and the sweep removes them.
    """
    access.require(actor, Action.ADMINISTER, "the instance")
    # each may fail where those before it found damage
    for look in (damage_db.of_file, damage_db.of_texts, checks.violations):
        with instance.database.reading() as connection:
            findings = [Finding(*found) for found in look(connection)]
        yield from findings
    yield from _segments(instance)
    yield from _lines(instance)
    told = progress or (lambda _blobs, _bytes: None)
    yield from _blobs(instance, told, repair=repair, portion=portion)


def damage(instance: Instance, actor: Actor) -> list[Finding]:
    """Return what is wrong with the database's own pages; reads them once, and no stored bytes."""
    access.require(actor, Action.ADMINISTER, "the instance")
    with instance.database.reading() as connection:
        return [Finding(*found) for found in damage_db.of_file(connection, quick=True)]


def unreadable(instance: Instance, actor: Actor) -> Finding | None:
    """Return the first thing that keeps the database from being read, None if nothing does.

    For a database that comes from elsewhere. Looks at every row, and at no stored bytes.
    """
    access.require(actor, Action.ADMINISTER, "the instance")
    with instance.database.reading() as connection:
        found = itertools.chain(
            damage_db.of_file(connection, quick=True),
            damage_db.of_texts(connection),
            damage_db.of_values(connection),
        )
        return next((Finding(*each) for each in found), None)


def _segments(instance: Instance) -> Iterator[Finding]:
    """Check each segment against its digest, and its pairs against its entries."""
    after = 0
    while True:
        with instance.database.reading() as connection:
            rows = checks.segments_with_content(connection, after=after, limit=PAGE_CONTENTS)
            pairs = checks.blob_digests(connection, [row.id for row in rows])
        for row in rows:
            try:
                entries = _entries(row)
            except IntegrityError as error:
                yield Finding("segment matches its digest", row.digest, str(error))
                continue
            needed = {entry.digest for entry in entries if entry.ref is None}
            for digest in needed ^ pairs[row.id]:
                yield Finding("segment names its blobs", row.digest, f"pair of {digest} is wrong")
        if not rows:
            return
        after = rows[-1].id


def _entries(row: Row[Any]) -> list[Entry]:
    """Return what a row of a segment lists. Raises IntegrityError."""
    head = SegmentHead(Digest(row.digest), row.first_path, row.entry_count, row.size_bytes)
    return check_segment(Segment(head, decompress(row.content, "the segment")))


def _lines(instance: Instance) -> Iterator[Finding]:
    """Check that what runs logged can be read, and is as much as is said."""
    rows = itertools.chain.from_iterable(_pages(instance, checks.chunks_of_lines, PAGE_CONTENTS))
    for row in rows:
        where = f"{row.name}: {row.stream} of {row.writer}, from {row.first_offset}"
        try:
            count = decompress(row.content, "the chunk").count(b"\n") + 1
        except IntegrityError as error:
            yield Finding("lines of a run can be read", where, str(error))
            continue
        if count != row.line_count:
            what = f"{count} lines instead of {row.line_count}"
            yield Finding("lines of a run can be read", where, what)


def _blobs(
    instance: Instance, progress: Progress, *, repair: bool, portion: Portion
) -> Iterator[Finding]:
    packed = InTurn()
    paths_in = functools.lru_cache(maxsize=8)(partial(_paths_in, instance))
    damaged: dict[str, str] = {}
    for rows in _pages(instance, checks.stored_blobs, PAGE):
        keyed: list[tuple[Row[Any], Key]] = []
        for row in rows:
            try:
                keyed.append((row, storage_key(Digest(row.digest), row.nonce)))
            except ValueError as error:
                yield Finding("stored blob has a key", f"blobs {row.id}", str(error))
        for (row, key, place), problem in large_in_parallel(
            partial(_problem, instance, packed, progress, portion),
            _in_order(instance, keyed),
            _loose_bytes,
        ):
            if problem is not None:
                if problem.is_missing:
                    pack = _damaged_pack(instance, row.nonce, damaged)
                    problem = problem._replace(text=problem.text + pack)
                where = _shown(key, place)
                yield from _said(instance, row, where, problem, paths_in, repair=repair)
            progress(1, 0)


def _pages(
    instance: Instance, look: Callable[..., list[Row[Any]]], most: int
) -> Iterator[list[Row[Any]]]:
    """Yield what a query of `checks` returns, so many rows at a time."""
    after = 0
    while True:
        with instance.database.reading() as connection:
            rows = look(connection, after=after, limit=most)
        if not rows:
            return
        yield rows
        after = rows[-1].id


def _in_order(instance: Instance, keyed: Sequence[tuple[Row[Any], Key]]) -> list[_Located]:
    """Return blobs with their places as they lie in the store: of a pack one after the other."""
    places: Sequence[LocalPlace | None]
    try:
        places = instance.store.places([key for _, key in keyed])
    except Unavailable:  # for one folder or pack: whoever opens each finds out for which
        places = [None] * len(keyed)
    found = [(row, key, place) for (row, key), place in zip(keyed, places, strict=True)]
    return sorted(found, key=lambda each: _where(each[2]))


def _where(place: LocalPlace | None) -> tuple[str, int]:
    return ("", 0) if place is None else (place.path, place.pack_offset or 0)


def _loose_bytes(located: _Located) -> int:
    """Return the size of a blob; 0 for one in a pack, whose files are read in turn."""
    row, _, place = located
    return 0 if place is not None and place.pack_offset is not None else row.size_bytes


def _chunks(
    instance: Instance, packed: InTurn, key: Key, place: LocalPlace | None
) -> Iterator[bytes | memoryview]:
    if place is not None and place.pack_offset is not None and place.pack_length is not None:
        yield packed.file(place.path, place.pack_offset, place.pack_length)
        return
    with instance.store.open(key) as file:
        while chunk := file.read(CHUNK_BYTES):
            require_wanted()
            yield chunk


def _size(instance: Instance, key: Key, place: LocalPlace | None) -> int:
    """Return the size of stored bytes; raises MissingFile, Unavailable."""
    if place is not None and place.pack_length is not None:
        return place.pack_length
    size = instance.store.size(key)
    if size is None:
        raise MissingFile(f"There is no {key}")
    return size


def _shown(key: Key, place: LocalPlace | None) -> str:
    """Say where bytes are, or would be: a key is no name of a file."""
    if place is None:
        return key
    return place.path if place.pack_offset is None else f"{place.path}, at byte {place.pack_offset}"


def _said(
    instance: Instance,
    row: Row[Any],
    where: str,
    problem: _Problem,
    paths_in: Callable[[int], Mapping[str, str]],
    *,
    repair: bool,
) -> Iterator[Finding]:
    """Say what is wrong with the bytes of a blob, unless a sweep took it since it was looked up."""
    with instance.database.reading() as connection:
        if not checks.is_stored(connection, row.id, row.nonce):
            return
        listed = checks.versions_with_blob(connection, row.id)
        of_runs = checks.run_files_with_blob(connection, row.id)
    in_versions = [
        _named(paths_in(segment).get(row.digest), name) for name, segment in listed.items()
    ]
    what = problem.text
    if repair and problem.is_lost:
        with instance.database.writing() as connection:
            blobs_db.mark_lost(connection, row.id, row.nonce)
        what += "; log the same content again to store it anew"
    yield Finding(STORED_BYTES, where, what, (*in_versions, *of_runs), row.nonce)


def _paths_in(instance: Instance, segment_id: int) -> dict[str, str]:
    """Return a path for each content that a segment names; none if it cannot be read."""
    with instance.database.reading() as connection:
        row = checks.segment_with_content(connection, segment_id)
    try:
        entries = [] if row is None else _entries(row)
    except IntegrityError:  # a finding of its own
        return {}
    return {entry.digest: entry.path for entry in entries if entry.ref is None}


def _named(path: str | None, version: str) -> str:
    return version if path is None else f"{path} in {version}"


def _damaged_pack(instance: Instance, nonce: str, known: dict[str, str]) -> str:
    """Say which packs of a nonce cannot be read as such: their file is to be put back."""
    if nonce not in known:
        try:
            names = {file.name for file in instance.store.packed(nonce) if file.is_part}
        except Unavailable:
            names = set()
        listed = ", ".join(f"blobs/{name}" for name in sorted(names))
        known[nonce] = f"; damaged: {listed}" if names else ""
    return known[nonce]


class _Problem(NamedTuple):
    text: str
    is_lost: bool
    """False if the bytes cannot be read now and may well be there: nothing to repair here."""
    is_missing: bool = False


def _problem(
    instance: Instance, packed: InTurn, progress: Progress, portion: Portion, located: _Located
) -> _Problem | None:
    row, key, place = located
    is_read = portion.has(key if place is None else os.path.basename(place.path))
    running, size = hashlib.sha256(), 0
    try:
        if not is_read:
            size = _size(instance, key, place)
        for chunk in _chunks(instance, packed, key, place) if is_read else ():
            running.update(chunk)
            size += len(chunk)
            progress(0, len(chunk))
    except MissingFile:
        return _Problem("the bytes are missing", is_lost=True, is_missing=True)
    except IntegrityError as error:
        return _Problem(f"cannot be read: {error}", is_lost=True)
    except (Unavailable, OSError) as error:
        return _Problem(f"{UNREADABLE}: {error}", is_lost=False)
    if size != row.size_bytes:
        return _Problem(f"{size} bytes instead of {row.size_bytes}", is_lost=True)
    if is_read and of_hash(running) != row.digest:
        text = "the bytes do not have the digest: they were changed on disk"
        return _Problem(text, is_lost=True)
    return None
