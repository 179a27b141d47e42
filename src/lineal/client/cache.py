"""The digest cache: a file whose stamp is unchanged need not be read again.

Only saves work: a wrong answer is caught when bytes are stored, a lost cache costs one reading.
Keyed by (folder, name), so that a folder of a million files is asked in one query, and one file of
it without the others.
"""

# The names of tables that are put into statements are constants of this module.
# ruff: noqa: S608

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import NamedTuple

from lineal.client import term, unseen
from lineal.client.fork_gate import inside_sqlite
from lineal.core.digest import PREFIX, Digest
from lineal.errors import Unavailable
from lineal.files.folders import make_folder
from lineal.files.modes import share
from lineal.files.stamps import Stamp
from lineal.forks import around_forks
from lineal.interrupts import held

FINE_WINDOW_NS = 20_000_000
"""A file modified this shortly before it was read may change again within the same tick of the
file system's clock (at most 10 ms on Linux); it is not remembered."""
COARSE_WINDOW_NS = 2_000_000_000
"""The same where times are whole seconds (FAT, some network file systems)."""

FILES = "files"
"""The table of what files hold: the digest of their content."""
FETCHED = "fetched"
"""The table of what was fetched from elsewhere: the digest of what the reference says. These bytes
are not stored, so nobody must find them in `files` when the file is added."""
_TABLES = (FILES, FETCHED)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS {} (
    folder TEXT, name TEXT, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER,
    digest BLOB NOT NULL, PRIMARY KEY (folder, name)
) WITHOUT ROWID
"""

_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_OCCUPIED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_REFUSED = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)
"""What the file system does not let it do, and will not the next time either."""
_PRIMARY_CODE = 0xFF
"""The bits of an error's code in SQLite that tell its kind."""
_FAILURES = (sqlite3.Error, OSError, UnicodeEncodeError)
"""Where it cannot be read or written, and names that are not Unicode: SQLite takes none."""

_ELSEWHERE = "make its folder one that you may write to, or name another by LINEAL_CACHE_DIR"

Known = Mapping[str, tuple[Stamp, Digest]]


class Shrunk(NamedTuple):
    """What `shrink` did."""

    files_forgotten: int
    bytes_freed: int
    bytes_left: int


class DigestCache:
    """Remembers path and stamp → digest; every failure of it counts as "not known".

    Its database stays open from the first use on: opening takes longer than to hash a small file.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._path = os.path.join(folder, "digests.db")
        self._connection: sqlite3.Connection | None = None
        self._opened_file = 0
        """The inode of what is open."""

    def of_folder(self, folder: str, table: str = FILES) -> Known:
        """Return what is known of the files directly in an absolute folder, by name.

        Files that may have changed without a sign are not known (see `unseen`).
        """
        return self._known(folder, None, table)

    def of_file(self, path: str, table: str = FILES) -> tuple[Stamp, Digest] | None:
        """Return what is known of one file, as `of_folder` does of all; path: absolute."""
        folder, name = _split(path)
        return self._known(folder, name, table).get(name)

    def _known(self, folder: str, name: str | None, table: str) -> Known:
        """name: of the only file that is asked for."""
        query = (
            f"SELECT name, size, mtime_ns, ctime_ns, inode, digest FROM {table} WHERE folder = ?"
        )
        values = [folder]
        if name is not None:
            query += " AND name = ?"
            values.append(name)
        try:
            with self._connected() as connection:
                rows = connection.execute(query, values).fetchall()
        except _FAILURES as error:
            self._note(error)
            return {}
        if not rows or not unseen.shows_changes(folder):
            return {}
        mapped = unseen.mapped_inodes()
        return {
            found: (Stamp(size, mtime_ns, ctime_ns, inode), Digest(PREFIX + digest.hex()))
            for found, size, mtime_ns, ctime_ns, inode, digest in rows
            if inode not in mapped
        }

    def remember(
        self,
        read: Iterable[tuple[str, Stamp, Digest]],
        *,
        read_at_ns: int | None,
        table: str = FILES,
    ) -> None:
        """Keep (absolute path, stamp, digest) of files that were read at or after a moment.

        None: nobody but us can have written them. Left out are those that may change without a
        sign.
        """
        settled = [each for each in read if read_at_ns is None or _is_settled(each[1], read_at_ns)]
        if not settled:
            return
        mapped = frozenset() if read_at_ns is None else unseen.mapped_inodes()
        rows = [  # a bytearray, since Python looks for an adapter of each bytes
            (*_split(path), *stamp, bytearray.fromhex(digest.removeprefix(PREFIX)))
            for path, stamp, digest in settled
            if stamp.inode not in mapped
        ]
        try:
            with self._connected() as connection, connection:
                connection.executemany(
                    f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?)", rows
                )
        except _FAILURES as error:
            self._note(error)

    def shrink(self, most_bytes: int) -> Shrunk:
        """Forget files until the cache takes at most so many bytes, or is empty.

        First those that are gone or changed since they were read, then those that were modified
        longest ago. A damaged cache is deleted. Raises Unavailable where it cannot be written.
        """
        before = self.size_bytes()
        if not os.path.exists(self._path):
            return Shrunk(0, 0, 0)
        try:
            with closing(self), self._connected() as connection:
                forgotten = sum(_forget_stale(connection, table) for table in _TABLES)
                _compact(connection)
                while (size := self.size_bytes()) > most_bytes:
                    share = most_bytes / size
                    more = sum(_forget_oldest(connection, table, share) for table in _TABLES)
                    if not more:
                        break
                    forgotten += more
                    _compact(connection)
        except _FAILURES as error:
            code = _code(error)
            if code not in _DAMAGED:
                then = "try again later" if code in _OCCUPIED else _ELSEWHERE
                raise Unavailable(f"Cannot clean {self._path}: {error}; {then}") from error
            forgotten = 0  # nobody knows what was in it
            self._delete()
        return Shrunk(forgotten, max(0, before - self.size_bytes()), self.size_bytes())

    def _delete(self) -> None:
        for path in filter(os.path.exists, self._files()):
            try:
                os.unlink(path)
            except OSError as error:
                told = f"Cannot delete {path}, which is damaged: {error.strerror}; {_ELSEWHERE}"
                raise Unavailable(told) from error

    def _note(self, error: Exception) -> None:
        """Say that nothing will be remembered until somebody does something about it."""
        if _code(error) in _DAMAGED:  # a machine that stops may leave it so
            term.warn_once(
                f"The digest cache {self._path} is damaged, so files are read that need not be; "
                "`lineal purge-cache` makes a new one",
                key=f"damaged {self._path}",
            )
        elif isinstance(error, OSError) or _code(error) in _REFUSED:
            why = error.strerror if isinstance(error, OSError) else error
            term.warn_once(
                f"The digest cache {self._path} cannot be used ({why}), so files are read each "
                f"time; {_ELSEWHERE}",
                key=f"refused {self._path}",
            )

    def size_bytes(self) -> int:
        return sum(os.path.getsize(path) for path in self._files() if os.path.exists(path))

    def _files(self) -> list[str]:
        return [f"{self._path}{suffix}" for suffix in ("", "-wal", "-shm")]

    def close(self) -> None:
        with held(inside_sqlite):
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with held(inside_sqlite):
            if self._connection is not None and not self._is_in_place():
                self.close()
            if self._connection is None:
                self._connection = self._open()
                self._opened_file = os.stat(self._path).st_ino
                _open_caches.add(self)
            try:
                yield self._connection
            except sqlite3.Error:
                self.close()
                raise

    def _is_in_place(self) -> bool:
        try:
            return os.stat(self._path).st_ino == self._opened_file
        except OSError:
            return False

    def _open(self) -> sqlite3.Connection:
        make_folder(os.path.dirname(self._path))
        connection = sqlite3.connect(self._path, timeout=5, check_same_thread=False)
        try:
            # now: SQLite gives the files beside it the mode that it has
            share(self._path, os.path.dirname(self._path))
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")  # losing it costs one reading
            for table in _TABLES:
                connection.execute(_SCHEMA.format(table))
        except (sqlite3.DatabaseError, OSError):
            connection.close()
            raise
        return connection


_open_caches: weakref.WeakSet[DigestCache] = weakref.WeakSet()


def _before_fork() -> None:
    """No connection of SQLite's survives a fork."""
    inside_sqlite.acquire()  # until the fork is over: nobody opens one meanwhile
    for cache in list(_open_caches):
        cache.close()


around_forks(_before_fork, inside_sqlite.release)


def _code(error: Exception) -> int:
    """Return what SQLite calls an error, without the details; 0 for one that is not its own."""
    return int(getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE)


def _forget_stale(connection: sqlite3.Connection, table: str) -> int:
    query = f"SELECT folder, name, size, mtime_ns, ctime_ns, inode FROM {table}"
    stale = [row[:2] for row in connection.execute(query) if not _is_as_read(*row)]
    with connection:
        connection.executemany(f"DELETE FROM {table} WHERE folder = ? AND name = ?", stale)
    return len(stale)


def _is_as_read(folder: str, name: str, *stamp: int) -> bool:
    try:
        return Stamp.of(os.stat(os.path.join(folder, name))) == Stamp(*stamp)
    except OSError:
        return False


def _forget_oldest(connection: sqlite3.Connection, table: str, kept_share: float) -> int:
    """Forget all but this share of the files, at least one; returns how many."""
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    query = (
        f"DELETE FROM {table} WHERE (folder, name) IN "
        f"(SELECT folder, name FROM {table} ORDER BY mtime_ns LIMIT ?)"
    )
    with connection:
        return connection.execute(query, (count - int(count * kept_share),)).rowcount


def _compact(connection: sqlite3.Connection) -> None:
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")  # ten times as quick as os.path.split
    return folder or "/", name


def now_ns() -> int:
    return time.time_ns()


def _is_settled(stamp: Stamp, read_at_ns: int) -> bool:
    is_coarse = stamp.mtime_ns % 1_000_000_000 == 0
    window = COARSE_WINDOW_NS if is_coarse else FINE_WINDOW_NS
    if stamp.size >= unseen.LARGE_BYTES:
        window = unseen.WINDOW_NS
    return stamp.mtime_ns < read_at_ns - window
