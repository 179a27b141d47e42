"""The content of an artifact: entries, and where on this machine the bytes of added ones are.

What a draft adds and removes is kept in a private SQLite database (`scratch`), so that one of any
number of files needs little memory, and is gone with the draft. All else are the entries of the
version that it was made from (`base`). A version that is read has only those.
"""

from __future__ import annotations

import heapq
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from lineal.client.artifact.base import NOTHING, Base
from lineal.client.artifact.scratch import Scratch
from lineal.client.artifact.staging import remove_copy, write_pack
from lineal.client.fork_gate import inside_sqlite
from lineal.collector import seldom_collected
from lineal.core.digest import Digest
from lineal.core.manifest import (
    NO_EXTRA,
    Entry,
    Segment,
    SegmentHead,
    build_segments,
    rewrite,
)
from lineal.errors import ArtifactFinalizedError, Invalid, Unavailable, UsageError
from lineal.files.stamps import Stamp
from lineal.interrupts import held

_PUT = """
    INSERT OR REPLACE INTO entries
    VALUES (?, ?, ?, nullif(?, ''), nullif(?, ''), ?, nullif(?, ''), ?, ?, ?, ?, ?)
"""
_PUT_FIRST = _PUT.replace("REPLACE", "IGNORE")
_BY_DIGEST = "CREATE INDEX IF NOT EXISTS by_digest ON entries (digest)"
_BY_COPY = "CREATE INDEX IF NOT EXISTS by_copy ON entries (staged) WHERE staged NOT NULL"
_ENTRY = "SELECT path, digest, size, ref, extra FROM entries"

SOURCES_MOST = 500
"""Digests asked for at once: every SQLite takes so many values."""
ADDED_AT_ONCE = 500
"""Rows that go into the database in one call; a fork waits that long at most."""
MUTABLE, IMMUTABLE = "mutable", "immutable"


class Source(NamedTuple):
    """Where the bytes of an entry are."""

    path: str
    """The user's file, absolute."""
    staged: str | None
    """Our private copy; None: the user's file is read again if the bytes are needed."""
    policy: str
    stamp: Stamp
    is_packed: bool = False
    """`staged` is a pack that holds the bytes among others."""


class Added(NamedTuple):
    entry: Entry
    source: Source | None


class _Copy(NamedTuple):
    """A private copy that an entry had, or does not get."""

    staged: str | bytes
    is_packed: bool
    digest: str


class Contents:
    """Entries by path, and where their bytes are; safe for threads."""

    def __init__(self, base: Base = NOTHING, *, is_final: bool = False) -> None:
        self._scratch = Scratch()
        self.base = base
        self.is_final = is_final
        self._owner = os.getpid()
        self._may_have_copies = True
        self._put_count = 0
        """Entries put in, also in place of others."""
        self._is_one_folder = False
        """All that was put in is of one folder of a disk, where no file is a folder, too."""
        self.alone: list[str] = []
        """Paths of small files whose private copies are files of their own, as far as is known."""

    # --- entries ---

    def finalize(self) -> None:
        """Refuse every change from now on; returns when those of other threads are done.

        Raises UsageError in the handler of a signal that interrupted a change.
        """
        with self._scratch.lock:
            self._require_no_change_under_way()
            self.is_final = True

    @seldom_collected()
    def add(
        self, added: Iterable[Added], *, overwrite: bool = False, is_folder: bool = False
    ) -> None:
        """Add entries: all of them or, when one is refused, none.

        The same path with the same digest changes nothing; with another one it is refused with
        Invalid unless `overwrite` (ART-18). Private copies of what is replaced, or changes
        nothing, are removed. is_folder: the entries are what a folder of a disk holds.
        """
        with self._scratch.lock:
            self._require_draft()
            has_own = self._has_own()
            self._is_one_folder = is_folder and not has_own
            put = partial(self._put, added, overwrite=overwrite, has_own=has_own)
            self._remove_copies(self._scratch.at_once(put))

    def _put(self, added: Iterable[Added], *, overwrite: bool, has_own: bool) -> set[str | bytes]:
        """Put entries in; returns the private copies that are needed no more."""
        is_first = not has_own and self.base is NOTHING
        spare: list[_Copy] = []
        coming = iter(added)
        while some := list(islice(coming, ADDED_AT_ONCE)):
            with held(inside_sqlite):  # once for all: each time costs as much as a row
                if overwrite:
                    spare += self._copies_at([each.entry.path for each in some] if has_own else [])
                    self._put_rows(_PUT, some)
                elif is_first:
                    self._put_rows(_PUT_FIRST, some)
                else:
                    for each in self._new(some, spare):  # must see those before it
                        self._put_rows(_PUT_FIRST, [each])
        return self._unneeded(self._handed_on(spare))  # to those that came last, too

    def _put_rows(self, statement: str, added: Sequence[Added]) -> None:
        rows = list(
            map(_row, added)
        )  # made one by one, amid SQLite's work, they take a sixth longer
        count = self._scratch.change_many(statement, rows)
        if count < len(added):  # a path came twice
            for entry, _ in added:
                self._is_new(entry)  # raises if it has two contents
        self._put_count += len(added)

    def _require_draft(self) -> None:
        if self.is_final:
            raise ArtifactFinalizedError(
                "Another thread logged or finalized the artifact meanwhile; nothing was changed"
            )
        self._require_no_change_under_way()

    def _require_no_change_under_way(self) -> None:
        """To be called with the lock held: a change that goes on is one of this thread's own."""
        if self._scratch.is_amid_change:
            raise UsageError(
                "Something is being added to the artifact by the code that was interrupted, which "
                "cannot go on meanwhile; change it or log it afterwards, or use another artifact"
            )

    def _new(self, added: Iterable[Added], spare: list[_Copy]) -> Iterator[Added]:
        """Yield what changes something, and note the private copies of what does not."""
        for item in added:
            entry, source = item
            if self._is_new(entry):
                yield item
            elif source is not None and source.staged is not None:
                spare.append(_Copy(_kept(source.staged), source.is_packed, entry.digest))

    def _is_new(self, entry: Entry) -> bool:
        """Tell whether nothing is at its path; raises Invalid if that is other content."""
        before = self.get(entry.path)
        if before is None:
            return True
        if (before.digest, before.ref) != (entry.digest, entry.ref):
            how = "pass overwrite=True, or merge=True for a folder, to replace it"
            if entry.ref is not None:
                how = f"to refer to {entry.ref}, remove what is there first"
            raise Invalid(f"Cannot add {entry.path!r} twice with different content; {how}")
        return False

    def get(self, path: str) -> Entry | None:
        rows = self._scratch.rows(f"{_ENTRY} WHERE path = ?", path)
        if rows:
            return _entry(rows[0])
        return None if self._is_removed(path) else self.base.get(path)

    def __len__(self) -> int:
        own = self._total("count(*)")
        if self.base is NOTHING:
            return own
        replaced = sum(self.base.get(path) is not None for path in self._touched_paths())
        return self.base.head.entry_count + own - replaced

    def __iter__(self) -> Iterator[Entry]:
        """Yield entries sorted by path."""
        if self.base is NOTHING:
            return self._own()
        kept = (entry for entry in self.base.under("") if not self._is_touched(entry.path))
        return heapq.merge(kept, self._own(), key=lambda entry: entry.path)

    @property
    def size_bytes(self) -> int:
        own = self._total("coalesce(sum(size), 0)")
        if self.base is NOTHING:
            return own
        before = (self.base.get(path) for path in self._touched_paths())
        return self.base.head.size_bytes + own - sum(entry.size for entry in before if entry)

    def segments(self) -> Iterator[SegmentHead | Segment]:
        """Yield the manifest's segments; as heads where they are the base's own."""
        if self.base is NOTHING:
            return build_segments(self._own())
        return rewrite(self.base.head, self.base.segment, self._changes())

    def remove(self, path: str) -> int:
        """Remove a file, or a folder with all below it; returns how many entries went.

        All of them or, when that fails, none.
        """
        with self._scratch.lock:
            self._require_draft()
            gone = [entry.path for entry in self._below(path)]
            inherited = [entry for entry in gone if self.base.get(entry) is not None]
            if gone:
                take_out = partial(self._take_out, gone, inherited)
                self._remove_copies(self._scratch.at_once(take_out))
            return len(gone)

    def _take_out(self, gone: Sequence[str], inherited: Sequence[str]) -> set[str | bytes]:
        """Remove entries; inherited: those of the base. Returns as `_put`."""
        copies: set[str | bytes] = set()
        for start in range(0, len(gone), SOURCES_MOST):
            some = gone[start : start + SOURCES_MOST]
            removed = self._copies_at(some)
            self._scratch.change_many("DELETE FROM entries WHERE path = ?", zip(some))
            copies |= self._handed_on(removed)
        self._scratch.change_many("INSERT OR IGNORE INTO removed VALUES (?)", zip(inherited))
        return self._unneeded(copies)

    def under(self, folder: str) -> list[Entry]:
        """Return the entries below a folder, sorted by path, without reading the others."""
        found = (entry for entry in self._below(folder) if entry.path != folder)
        return sorted(found, key=lambda entry: entry.path)

    def _below(self, path: str) -> Iterator[Entry]:
        yield from (
            _entry(row)
            for row in self._scratch.rows(
                f"{_ENTRY} WHERE path = ? OR (path > ? AND path < ?)", path, f"{path}/", f"{path}0"
            )  # `0` follows `/`
        )
        for entry in (self.base.get(path), *self.base.under(f"{path}/")):
            if entry is not None and not self._is_touched(entry.path):
                yield entry

    def clash(self) -> str | None:
        """Return a path that is a file and a folder at once, which no disk can hold."""
        if self.base is NOTHING and (self._is_one_folder or self._put_count < 2):
            return None
        rows = self._scratch.rows(
            "SELECT path FROM entries AS one WHERE EXISTS (SELECT 1 FROM entries AS other"
            " WHERE other.path > one.path || '/' AND other.path < one.path || '0') LIMIT 1"
        )
        if rows or self.base is NOTHING:
            return str(rows[0][0]) if rows else None
        for (path,) in self._scratch.rows("SELECT path FROM entries"):
            folders = (path[:at] for at in range(len(path)) if path[at] == "/")
            clashing: str | None = next((each for each in folders if self.get(each)), None)
            if clashing is not None or any(each.path != path for each in self._below(path)):
                return clashing or path
        return None

    def _own(self) -> Iterator[Entry]:
        return map(_entry, self._scratch.paged(f"{_ENTRY} WHERE path > ? ORDER BY path LIMIT ?"))

    def _total(self, what: str) -> int:
        rows = self._scratch.rows(f"SELECT {what} FROM entries")  # noqa: S608 - constants
        return int(rows[0][0]) if rows else 0

    def _has_own(self) -> bool:
        return bool(self._scratch.rows("SELECT 1 FROM entries LIMIT 1"))

    def _is_removed(self, path: str) -> bool:
        return bool(self._scratch.rows("SELECT 1 FROM removed WHERE path = ?", path))

    def _is_touched(self, path: str) -> bool:
        return self._is_removed(path) or bool(
            self._scratch.rows("SELECT 1 FROM entries WHERE path = ?", path)
        )

    def _touched_paths(self) -> Iterator[str]:
        query = "SELECT path FROM entries UNION SELECT path FROM removed ORDER BY path"
        return (path for (path,) in self._scratch.rows(query))

    def _changes(self) -> Iterator[tuple[str, Entry | None]]:
        for path in self._touched_paths():
            rows = self._scratch.rows(f"{_ENTRY} WHERE path = ?", path)
            yield path, _entry(rows[0]) if rows else None

    # --- where their bytes are ---

    def name_of(self, source: str) -> str | None:
        """Return the path in the artifact of a local file added earlier (ART-27)."""
        query = "SELECT path FROM entries WHERE source = ? LIMIT 1"
        rows = self._scratch.rows(query, _kept(source))
        return str(rows[0][0]) if rows else None

    def source_of(self, digest: Digest) -> Source | None:
        """Return where the bytes of a digest are, a private copy if there is one."""
        return self.sources_of([digest]).get(digest)

    def sources_of(self, digests: Sequence[Digest]) -> dict[Digest, Source]:
        """Return where the bytes of up to 500 digests are; the others are left out."""
        if not self._scratch.is_made:
            return {}
        if self._put_count > SOURCES_MOST:
            self._scratch.change(_BY_DIGEST)
        marks = ", ".join("?" * len(digests))
        query = (
            "SELECT digest, source, staged, packed, policy,"  # noqa: S608 - only question marks
            " size, mtime_ns, ctime_ns, inode FROM entries"
            f" WHERE digest IN ({marks}) AND source IS NOT NULL"
            " ORDER BY staged IS NOT NULL"  # copies come last, and so win
        )
        rows = self._scratch.rows(query, *digests)
        return {
            Digest(digest): _source(source, staged, packed, policy, Stamp(*stamp))
            for digest, source, staged, packed, policy, *stamp in rows
        }

    def immutable_sources(self) -> Iterator[tuple[Source, Digest]]:
        """Yield the user's immutable files, with the digests they had."""
        query = (
            "SELECT path, digest, source, staged, packed, policy, size, mtime_ns, ctime_ns, inode"
            " FROM entries WHERE path > ? AND policy = ? ORDER BY path LIMIT ?"
        )
        rows = self._scratch.paged(query, IMMUTABLE)
        for _, digest, source, staged, packed, policy, *stamp in rows:
            yield _source(source, staged, packed, policy, Stamp(*stamp)), Digest(digest)

    def pack_copies(self, pack: str) -> None:
        """Put the copies that are files of their own into one new file, so that few are needed.

        Where that cannot be, for want of room or since a copy is gone, all stay as they are.
        """
        with self._scratch.lock:
            paths, self.alone = self.alone, []
            if self.is_final or self._scratch.is_amid_change or not self.owns_copies:
                return
            copies: dict[str | bytes, str] = {}
            for start in range(0, len(paths), SOURCES_MOST):
                found = self._copies_at(paths[start : start + SOURCES_MOST])
                copies.update((copy.staged, copy.digest) for copy in found if not copy.is_packed)
            if not copies or not write_pack(pack, copies):
                return
            try:
                self._scratch.at_once(partial(self._take_from, pack, copies))
            except BaseException as error:
                if pack not in self.copies():
                    remove_copy(pack)
                if isinstance(error, Unavailable):
                    return
                raise
            self._remove_copies(copies)

    def _take_from(self, pack: str, copies: Iterable[str | bytes]) -> None:
        """Have the entries that have these copies take their bytes from a pack instead."""
        self._scratch.change(_BY_COPY)
        self._scratch.change_many(
            "UPDATE entries SET staged = ?, packed = 1 WHERE staged = ?",
            ((_kept(pack), copy) for copy in copies),
        )

    def drop_copies(self, *, taken: int = 0) -> None:
        """Remove the private copies that were not stored: their content was there already.

        taken: how many the store took over; when it took all, nothing is looked for.
        """
        self._may_have_copies = False
        if (
            not self.owns_copies
            or taken == self._put_count
            or taken == self._total("count(DISTINCT staged)")
        ):
            return
        for copy in self.copies():
            remove_copy(copy)

    def copies(self) -> set[str]:
        """Return the private copies that entries have."""
        query = "SELECT DISTINCT staged FROM entries WHERE staged NOT NULL"
        return {os.fsdecode(staged) for (staged,) in self._scratch.rows(query)}

    def _copies_at(self, paths: Sequence[str]) -> list[_Copy]:
        """Return the private copies that up to 500 entries have."""
        if not paths:
            return []
        marks = ", ".join("?" * len(paths))
        query = "SELECT staged, packed, digest FROM entries WHERE staged NOT NULL AND path IN"
        return [_Copy(*row) for row in self._scratch.rows(f"{query} ({marks})", *paths)]

    def _handed_on(self, copies: Sequence[_Copy]) -> set[str | bytes]:
        """Give copies that entries had to others of that content; returns the copies' paths.

        A file that is added while another entry has its copy gets none of its own.
        """
        if copies:
            self._scratch.change(_BY_DIGEST)
            self._scratch.change_many(
                "UPDATE entries SET staged = ?, packed = ?"
                " WHERE digest = ? AND staged IS NULL AND source NOT NULL",
                copies,
            )
        return {copy.staged for copy in copies}

    def _unneeded(self, copies: set[str | bytes]) -> set[str | bytes]:
        """Return the copies that no entry has any more: a pack holds the bytes of many."""
        if copies:
            self._scratch.change(_BY_COPY)
        query = "SELECT 1 FROM entries WHERE staged = ? LIMIT 1"
        return {copy for copy in copies if not self._scratch.rows(query, copy)}

    @property
    def owns_copies(self) -> bool:
        """Whether private copies are this process's; a forked child's are those of its parent."""
        return self._owner == os.getpid()

    def _remove_copies(self, copies: Iterable[str | bytes]) -> None:
        if self.owns_copies:
            for copy in copies:
                remove_copy(os.fsdecode(copy))

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # A draft that nobody logged, or that failed, would fill the disk until the process ends.
        # At the very end of that the names of this module are gone.
        scratch = vars(self).get("_scratch")  # None where an interrupt came amid `__init__`
        if is_finalizing() or scratch is None or not scratch.is_made:
            return
        if self._may_have_copies:
            self.drop_copies()
        is_small = self.owns_copies and self._put_count <= ADDED_AT_ONCE
        scratch.give_back(is_small=is_small)


def _kept(path: str) -> str | bytes:
    """Return the path of a local file as the database keeps it: not each is Unicode."""
    return path if path.isascii() else os.fsencode(path)


def _row(added: Added) -> tuple[object, ...]:
    """Return the values of a row; an empty text is NULL there.

    For each None, bool or bytes of it Python looks for an adapter, as long as for all the rest.
    """
    entry, source = added
    extra = json.dumps(dict(entry.extra)) if entry.extra else ""
    head = (entry.path, entry.digest, entry.size, entry.ref or "", extra)
    if source is None:
        return (*head, None, None, None, None, None, None, None)
    stamp = source.stamp
    return (
        *head,
        _kept(source.path),
        _kept(source.staged or ""),
        int(source.is_packed),
        source.policy,
        stamp.mtime_ns,
        stamp.ctime_ns,
        stamp.inode,
    )


def _source(
    path: str | bytes, staged: str | bytes | None, packed: int, policy: str, stamp: Stamp
) -> Source:
    copy = None if staged is None else os.fsdecode(staged)
    return Source(os.fsdecode(path), copy, policy, stamp, bool(packed))


def _entry(row: tuple[Any, ...]) -> Entry:
    path, digest, size, ref, extra = row
    return Entry(path, digest, size, ref or None, json.loads(extra) if extra else NO_EXTRA)
