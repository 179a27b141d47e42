"""Reading a SQLite database in a folder that this process may not write.

In write-ahead mode SQLite makes files beside a database even to read it, and without them it
refuses. Who may write elsewhere is not known: another machine, or another mount of the folder.
So each transaction looks anew:

- no log, or an empty one: all is in the file, which is read as if nobody wrote; whether that was
  true is looked at again when the transaction ends;
- a log: SQLite reads it, with the shared memory that a living or killed process left beside it;
- a log that cannot be read so, as that memory was not copied along: a private copy of both.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from lineal.errors import Unavailable

if TYPE_CHECKING:
    from lineal.files.temporary import TemporaryFolder

_ATTEMPTS = 10
"""To copy a database that somebody writes, or to open one whose log comes and goes."""

_ANYTHING = "SELECT 1 FROM sqlite_master"

Stamps = tuple[tuple[int, ...] | None, tuple[int, ...] | None]
"""Size, moment of the last change and inode of the database and of its log, None if missing."""


class _Still(sqlite3.Connection):
    """A connection to a file as if nobody wrote it."""

    seen: Stamps


class UnwritableFile:
    """One database file; any number of threads may connect to it."""

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)  # SQLite keeps the log beside the file itself
        self._lock = threading.Lock()
        self._copy: TemporaryFolder | None = None
        self._copied: Stamps | None = None

    def connect(self) -> sqlite3.Connection:
        """Open a connection for one transaction, to be read within `unchanged`."""
        for _ in range(_ATTEMPTS):
            seen = self._stamps()
            log = seen[1]
            if log is None or not log[0]:
                still = sqlite3.connect(
                    self._uri("mode=ro&immutable=1"),
                    uri=True,
                    check_same_thread=False,
                    factory=_Still,
                )
                still.seen = seen
                return still
            shared = self._shared()
            if shared is not None:
                return shared
            copied = self._of_copy(seen)
            if copied is not None:
                return copied
        raise self._changed()

    @contextmanager
    def unchanged(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Raises Unavailable if what is read meanwhile may be a mixture of two states."""
        try:
            yield
        except Exception:
            self._require_same(connection)  # what failed may be the mixture
            raise
        self._require_same(connection)

    def _require_same(self, connection: sqlite3.Connection) -> None:
        if isinstance(connection, _Still) and connection.seen[0] != self._stamps()[0]:
            raise self._changed()

    def _changed(self) -> Unavailable:
        return Unavailable(
            f"The database {self.path} is being written from elsewhere, and its folder may only be "
            "read here; try again"
        )

    def _stamps(self) -> Stamps:
        return _stamp(self.path), _stamp(self.path + "-wal")

    def _uri(self, options: str) -> str:
        return f"file:{quote(self.path)}?{options}"

    def _shared(self) -> sqlite3.Connection | None:
        connection = sqlite3.connect(self._uri("mode=ro"), uri=True, check_same_thread=False)
        try:
            connection.execute(_ANYTHING).close()
        except sqlite3.OperationalError:
            connection.close()
            return None
        return connection

    def _of_copy(self, seen: Stamps) -> sqlite3.Connection | None:
        """Connect to a copy, None if the database changed while it was made."""
        with self._lock:
            if self._copied != seen:
                self._drop_copy()
                from lineal.files.temporary import TemporaryFolder  # few read a copy

                self._copy = TemporaryFolder("lineal-db-")
                if not self._filled(self._copy.path) or self._stamps() != seen:
                    return None
                self._copied = seen
            assert self._copy is not None
            connection = sqlite3.connect(self._in(self._copy.path), check_same_thread=False)
            connection.execute(_ANYTHING).close()  # opens all its files: the next copy removes them
            return connection

    def _filled(self, folder: str) -> bool:
        target = self._in(folder)
        try:
            for suffix in ("", "-wal"):
                shutil.copyfile(self.path + suffix, target + suffix)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Unavailable(
                f"Cannot copy {self.path} to {target}, to read it without writing beside it: "
                f"{error.strerror}"
            ) from error
        return True

    def _in(self, folder: str) -> str:
        return os.path.join(folder, os.path.basename(self.path))

    def _drop_copy(self) -> None:
        if self._copy is not None:
            self._copy.close()
        self._copy = self._copied = None

    def close(self) -> None:
        with self._lock:
            self._drop_copy()


def _stamp(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
